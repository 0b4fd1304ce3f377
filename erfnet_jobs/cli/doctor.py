"""`doctor`: whether what jobs need is there, line by line, and what to do where it is not."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from erfnet_jobs.cli.output import Document, print_json, screen_width
from erfnet_jobs.cli.parameters import DEVICES
from erfnet_jobs.errors import UsageError

if TYPE_CHECKING:
    from erfnet_jobs.cli.checks.answer import Question
    from erfnet_jobs.settings import Settings


MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "error": ("ERROR  ", "red")}
INDENT = " " * 20
LEAST_ROOM = 40


@click.command()
@click.option(
    "--all-reduce", is_flag=True, help="Also sum over ranks on the free devices, for real, and check the sum."
)
@click.option("--devices", type=DEVICES, default=None, help="With --all-reduce: exactly these devices, such as 0-3.")
@click.option("--data", metavar="DIR", default=None, help="Also look at this dataset as a job would.")
@click.option("--no-mindspore", is_flag=True, help="Leave MindSpore out, whose import takes seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(
    ctx: click.Context,
    all_reduce: bool,
    devices: tuple[int, ...] | None,
    data: str | None,
    no_mindspore: bool,
    as_json: bool,
) -> None:
    """Check that everything jobs need is there; exits with 1 if something is wrong.

    --all-reduce starts a gang as a job's, on all free devices (on the CPU: two slots), and refuses those that jobs or
    other processes have. No job is kept from coming meanwhile: 'hosts drain' does that.
    """
    from erfnet_jobs.cli.checks.answer import ask

    if devices is not None and not all_reduce:
        raise UsageError("--devices says where --all-reduce runs: add --all-reduce, or leave it out")
    settings = ctx.obj.settings
    looked_at = None if data is None else Path(data).absolute()
    found = []
    for name, question in _questions(settings, looked_at, not no_mindspore, all_reduce, devices):
        for finding in ask(name, question, settings):
            found.append(finding)
            if not as_json:
                click.echo(_line(finding))
    is_well = all(finding["state"] != "error" for finding in found)
    if as_json:
        print_json({"ok": is_well, "checks": found})
    ctx.exit(0 if is_well else 1)


def _questions(
    settings: "Settings", data: Path | None, mindspore: bool, all_reduce: bool, devices: tuple[int, ...] | None
) -> "Iterator[tuple[str, Question]]":
    from erfnet_jobs.ascend.discover import host_devices
    from erfnet_jobs.cli.checks import ascend, lite, network, places, services, software
    from erfnet_jobs.lite.programs import is_wanted

    yield "home", places.check_home
    yield "runs", places.check_runs
    if data is not None:
        yield "data", partial(places.check_data, data)
    yield "paths", places.check_allowed_paths
    yield "Redis", services.check_broker
    yield "registry", services.check_registry
    yield "worker", services.check_worker
    yield "address", network.check_address
    found = host_devices(settings)
    yield from ascend.questions(settings, found)
    if (on_chips := lite.has_310(found)) or is_wanted(settings.infer_310):
        yield "310-infer", partial(lite.check_infer_310, on_chips=on_chips)
    if mindspore:
        yield "MindSpore", partial(software.check_mindspore, drives_ascend=ascend.drives_ascend(found))
    if all_reduce:
        from erfnet_jobs.cli.checks.all_reduce import check_all_reduce

        yield "all-reduce", partial(check_all_reduce, found=found, asked=devices)


def _line(finding: Document) -> str:
    mark, colour = MARKS[finding["state"]]
    said = [*finding["text"].splitlines(), *filter(None, [finding["remedy"]])]
    room = max(screen_width() - len(INDENT), LEAST_ROOM)
    lines = [part for line in said for part in wrap(line, room, break_long_words=False, break_on_hyphens=False)]
    text = f"\n{INDENT}".join(lines)
    return f"{click.style(mark, fg=colour)}  {finding['name']:<10} {text}"
