"""`doctor`: whether what jobs need is there, line by line, and what to do where it is not."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from erfnet_jobs.cli.output import Document, print_json

if TYPE_CHECKING:
    from erfnet_jobs.cli.doctor_checks import Answer
    from erfnet_jobs.settings import Settings


MARKS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


@click.command()
@click.option("--no-mindspore", is_flag=True, help="Leave MindSpore out, whose import takes seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(ctx: click.Context, no_mindspore: bool, as_json: bool) -> None:
    """Check that everything jobs need is there; exits with 1 if something is wrong."""
    from erfnet_jobs.cli import doctor_checks as checks

    settings = ctx.obj.settings
    questions: list[tuple[str, Callable[[Settings], Answer]]] = [
        ("home", checks.check_home),
        ("runs", checks.check_runs),
        ("Redis", checks.check_broker),
        ("registry", checks.check_registry),
        ("worker", checks.check_worker),
        ("devices", checks.check_devices),
    ]
    if not no_mindspore:
        questions.append(("MindSpore", checks.check_mindspore))
    found = []
    for name, question in questions:
        finding = checks.ask(name, question, settings)
        found.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        print_json({"ok": _is_well(found), "checks": found})
    ctx.exit(0 if _is_well(found) else 1)


def _line(finding: Document) -> str:
    mark = click.style(
        MARKS[finding["state"]], fg={"ok": "green", "warning": "yellow", "error": "red"}[finding["state"]]
    )
    remedy = f"\n         {'':10}{finding['remedy']}" if finding["remedy"] else ""
    return f"{mark}  {finding['name']:<9} {finding['text']}{remedy}"


def _is_well(found: Sequence[Document]) -> bool:
    return all(finding["state"] != "error" for finding in found)
