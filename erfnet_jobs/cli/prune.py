"""`checkpoints prune`: makes room, after it has shown what would go."""

import shlex
import sys
from collections.abc import Iterator

import click

from erfnet_jobs.cli.output import Column, Document, file_size, number, print_json, table, terminal_width, wrapped
from erfnet_jobs.cli.parameters import KEEP
from erfnet_jobs.cli.session import Session


def _made(row: Document) -> str:
    parts = [_count(row[name], name[:-1]) for name in ("evaluations", "exports") if row[name]]
    return ", ".join(parts)


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


COLUMNS = (
    Column("checkpoint", lambda row: str(row["checkpoint"]), right=True),
    Column("job", lambda row: str(row["job"]), right=True),
    Column("attempt", lambda row: str(row["attempt"]), right=True, keep=2),
    Column("network", lambda row: row["network"], keep=3),
    Column("stage", lambda row: str(row["stage"] or "-"), right=True, keep=8),
    Column("epoch", lambda row: str(row["epoch"] or "-"), right=True, keep=8),
    Column("mean IoU", lambda row: number(row["mean_iou"], 4), right=True, keep=6),
    Column("size", lambda row: file_size(row["size"]), right=True),
    Column("came of it", _made, keep=7),
    Column("file", lambda row: "gone already" if row["verdict"] == "gone" else "", keep=8),
    Column("path", lambda row: row["path"], bends=True, least=24, ends=True, keep=1),
)
MOST_LEFT = 10
EVENTS = "erfnet-jobs events --kind 'checkpoints pruned'"


@click.command()
@click.option(
    "--keep",
    "counts",
    type=KEEP,
    metavar=KEEP.name,
    required=True,
    help="What stays of each job, such as best:3,newest:2.",
)
@click.option("--job", type=int, default=None, help="Only this job's.  [default: of all jobs]")
@click.option("--yes", "really", is_flag=True, help="Do it; without it, only list what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def prune(ctx: click.Context, counts: dict[str, int], job: int | None, really: bool, as_json: bool) -> None:
    """Remove checkpoints of jobs that have ended, but for the best and the newest of each.

    The best are those of the network of the job's last stage, by the mean IoU of evaluations that `best --job` would
    compare; where there are none, by what the training measured on val; else the newest. Nothing goes that a job which
    has not ended may need, and no file that was imported or named by path. Files on other hosts stay: run it there.
    """
    from erfnet_jobs.client.pruning import prune as prune_files
    from erfnet_jobs.registry.prune import Keep

    session: Session = ctx.obj
    document = prune_files(session.client, Keep(**counts), job, really=really)
    if as_json:
        print_json(document)
    else:
        width = terminal_width(sys.stdout)
        going = [row for row in document["checkpoints"] if row["verdict"] != "left"]
        rows = table(going, COLUMNS) if going else []
        click.echo("\n".join([*rows, *([""] if rows else []), *(wrapped(line, width) for line in _lines(document))]))
    ctx.exit(1 if document["faults"] else 0)


def _lines(document: Document) -> Iterator[str]:
    yield from _stays(document)
    yield from _went(document) if document["done"] else _would_go(document)


def _stays(document: Document) -> Iterator[str]:
    """What is left alone, and why."""
    for job in document["jobs"]:
        if job["left_alone"]:
            yield f"Job {job['job']} is left alone: {job['left_alone']}."
        for need in job["needed"]:
            yield f"Checkpoint {need['checkpoint']} stays: {need['why']}."
    left = [row for row in document["checkpoints"] if row["verdict"] == "left"]
    yield from (f"Checkpoint {row['checkpoint']} stays: {row['path']} {row['why']}." for row in left[:MOST_LEFT])
    if len(left) > MOST_LEFT:
        yield f"So do {len(left) - MOST_LEFT} more for such reasons: --json lists them."
    yield from _elsewhere(document)


def _elsewhere(document: Document) -> Iterator[str]:
    elsewhere: dict[str, int] = {}
    for job in document["jobs"]:
        if job["elsewhere"]:
            where = " or ".join(job["hosts"]) or "a host that is not in the registry any more"
            elsewhere[where] = elsewhere.get(where, 0) + job["elsewhere"]
    for where, count in elsewhere.items():
        yield f"{_count(count, 'checkpoint')} that would go lie{'s' if count == 1 else ''} on {where}: prune there."


def _sums(document: Document) -> str:
    going = [row for row in document["checkpoints"] if row["verdict"] != "left"]
    jobs = len({row["job"] for row in going})
    left = sum(len(entry["files"]) for entry in document["leftovers"])
    parts = [f"{_count(len(going), 'checkpoint')} of {_count(jobs, 'job')}"] if going else []
    parts += [f"{_count(left, 'file')} that {'is' if left == 1 else 'are'} known as removed"] if left else []
    left_alone = sum(row["verdict"] == "left" for row in document["checkpoints"])
    kept = left_alone + sum(len(job["kept"]) for job in document["jobs"])
    return f"{' and '.join(parts)}, {file_size(document['size'])}; {kept} stay"


def _nothing(document: Document) -> bool:
    return not document["leftovers"] and all(row["verdict"] == "left" for row in document["checkpoints"])


def _would_go(document: Document) -> Iterator[str]:
    if _nothing(document):
        yield f"Nothing to remove here with --keep {document['keep']}."
        return
    job = click.get_current_context().params["job"]
    of_job = ["--job", str(job)] if job else []
    again = shlex.join(["erfnet-jobs", "checkpoints", "prune", "--keep", document["keep"], *of_job, "--yes"])
    yield f"Would go: {_sums(document)}."
    yield f"Nothing was removed. To remove them: {again}"


def _went(document: Document) -> Iterator[str]:
    if _nothing(document):
        yield f"Nothing to remove here with --keep {document['keep']}."
        return
    yield f"Removed: {_sums(document)}. {EVENTS} tells who and when."
    for fault in document["faults"]:
        yield f"error: {fault}; mend that, and run this again."
