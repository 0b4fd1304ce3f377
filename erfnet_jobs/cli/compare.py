"""`compare`: jobs side by side."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from erfnet_jobs.cli.measures import difference_text, hash_text, iou_text
from erfnet_jobs.cli.output import UNKNOWN, Column, Document, duration, print_json, table, wrapped
from erfnet_jobs.cli.session import Session

MOST_JOBS = 8
# Of what figures are shown in their own way; all others as they are.
SHOWN: dict[str, Callable[[Any], str]] = {
    "duration": duration,
    "final loss": lambda value: f"{value:.4f}",
    "best val_mean_iou": lambda value: f"{value:.4f}",
    "images/s": lambda value: f"{value:.1f}",
    "git revision": hash_text,
    "content of data": hash_text,
}


@click.command()
@click.argument("jobs", type=int, nargs=-1, required=True, metavar="JOB JOB...")
@click.option("--all", "everything", is_flag=True, help="Also the settings and versions that are equal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document (with what is equal).")
@click.pass_obj
def compare(session: Session, jobs: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Compare two or more JOBs: settings that differ, versions and data, figures, IoU of each class.

    The IoUs are those of each job's best evaluation by mean IoU, all on one dataset, split, protocol and size; where
    the jobs have none in common it says what there is. Differences are from the first job.
    """
    from erfnet_jobs.client.comparing import compare as compare_jobs
    from erfnet_jobs.errors import UsageError

    once = tuple(dict.fromkeys(jobs))
    if not 2 <= len(once) <= MOST_JOBS:
        raise UsageError(f"compare takes from 2 to {MOST_JOBS} different jobs, and was given {len(once)}")
    document = compare_jobs(session.client, once)
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(_lines(document, everything)))


def _lines(document: Document, everything: bool) -> Iterator[str]:
    jobs = document["jobs"]
    yield from (f"job {job['job']}  {job['kind']}{'  ' + job['name'] if job['name'] else ''}" for job in jobs)
    yield from _section(
        "Settings" if everything else "Settings that differ", document["settings"], jobs, everything, "none"
    )
    if document["origins"]:
        yield from _section("Versions and data", document["origins"], jobs, everything, "unknown")
    if document["unseen"]:
        yield ""
        unseen = ", ".join(map(str, document["unseen"]))
        told = f"Versions and data of job {unseen} are not known: this machine sees no run of theirs."
        yield wrapped(told, _width() + 2)
    yield from _section("Figures", document["figures"], jobs, everything=True)
    yield ""
    yield from _classes(document["evaluated"], jobs)


def _section(
    title: str, lines: Sequence[Document], jobs: Sequence[Document], everything: bool, absent: str = UNKNOWN
) -> Iterator[str]:
    """Lines of values by job; a table leaves out columns in which all is UNKNOWN."""
    shown = [line for line in lines if everything or line["differs"]]
    yield ""
    yield title
    if not shown:
        yield f"  all {len(lines)} are equal"
        return
    columns = [Column("", lambda line: line["name"])]
    columns += [_of_job(index, job["job"], absent) for index, job in enumerate(jobs)]
    yield from (f"  {line}" for line in table(shown, columns, _width()))


def _of_job(index: int, job: int, absent: str) -> Column:
    def text(line: Document) -> str:
        value = line["values"][index]
        return absent if value is None else _text(line["name"], value)

    return Column(f"job {job}", text, bends=True, least=8, ends=True)


def _text(name: str, value: Any) -> str:
    if name in SHOWN:
        return SHOWN[name](value)
    if name == "size":
        return "x".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _width() -> int:
    from erfnet_jobs.cli.output import screen_width

    return screen_width() - 2


def _classes(evaluated: Document, jobs: Sequence[Document]) -> Iterator[str]:
    group = evaluated["group"]
    if group is None:
        yield wrapped(f"IoUs cannot be compared: {evaluated['why']}.", _width() + 2)
        return
    images = evaluated["evaluations"][0]["images"]
    where = f"{group['split']} ({images} images) of dataset {group['dataset_hash'][:12]}"
    how = f"at {group['height']}x{group['width']}, protocol {group['protocol']}"
    yield wrapped(f"Best evaluations on {where} {how}", _width() + 2)
    rows = [{"class": "mean IoU", **evaluated["mean_iou"]}, *evaluated["iou_class"]]
    columns = [Column("", lambda row: row["class"])]
    for index, job in enumerate(jobs):
        columns.append(_value(index, job["job"]))
        columns += [_difference(index, jobs[0]["job"])] if index else []
    yield from (f"  {line}" for line in table(rows, columns, _width()))
    measured = ", ".join(_checkpoint(row, job["job"]) for row, job in zip(evaluated["evaluations"], jobs, strict=True))
    yield wrapped(f"Measured: {measured}.", _width() + 2)


def _value(index: int, job: int) -> Column:
    return Column(f"job {job}", lambda row: iou_text(row["values"][index]), right=True)


def _difference(index: int, first: int) -> Column:
    return Column(f"- job {first}", lambda row: difference_text(row["differences"][index], 4), right=True, keep=8)


def _checkpoint(row: Document, job: int) -> str:
    return f"of job {job} " + (f"checkpoint {row['checkpoint']}" if row["checkpoint"] else row["path"])
