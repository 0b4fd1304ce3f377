"""`submit train|eval|export|infer|310-infer`: into the registry and the queues."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from erfnet_jobs.cli.output import Document, print_json, warn
from erfnet_jobs.cli.plan_text import plan_lines
from erfnet_jobs.cli.session import Session
from erfnet_jobs.cli.spec_options import (
    Best,
    best_options,
    eval_options,
    eval_spec,
    export_options,
    export_spec,
    infer_310_options,
    infer_310_spec,
    infer_options,
    infer_spec,
    time_limit_option,
    train_options,
    train_spec,
)

if TYPE_CHECKING:
    from erfnet_jobs.specs import Spec
    from erfnet_jobs.states import JobKind

Command = TypeVar("Command", bound=Callable[..., Any])

REQUEST_OPTIONS = (
    click.option("--name", default=None, help="A name of your own, shown by `status`."),
    click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first, -1000 to 1000."),
    click.option("--host", default=None, help="Run on this host only."),
    click.option(
        "--after", type=int, multiple=True, metavar="JOB", help="Only when JOB has succeeded; may be repeated."
    ),
    click.option(
        "--max-attempts",
        type=int,
        default=3,
        show_default=True,
        help="Try again until so many have failed; those lost with a host do not count (up to 10). 1: never again.",
    ),
    time_limit_option,
    click.option("--dry-run", is_flag=True, help="Print what would be submitted, and do nothing."),
    click.option(
        "--wait", "wait_for", is_flag=True, help="Wait until all of it has ended; the exit code is the job's."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
)


def request_options(command: Command) -> Command:
    """The options that only `submit` has."""
    for option in reversed(REQUEST_OPTIONS):
        command = option(command)
    return command


@click.group()
def submit() -> None:
    """Hand in a job: train, eval, export, infer or 310-infer."""


@submit.command()
@train_options
@click.option("--rank-table", default=None, metavar="FILE", help="A rank table of your own: exactly its devices.")
@click.option(
    "--then", default="", metavar="KINDS", help="Jobs that use the best weights then: export,infer,310-infer."
)
@click.option("--allow-cpu", is_flag=True, help="Of --then 310-infer: let it have a CPU slot where no 310 is free.")
@click.option("--no-eval", is_flag=True, help="No evaluation after the training.")
@request_options
@click.pass_context
def train(ctx: click.Context, /, then: str, no_eval: bool, allow_cpu: bool, **values: Any) -> None:
    """Train ERFNet on a dataset, evaluate every checkpoint, and do what --then says."""
    table = _rank_table(values)
    follow = {"then": _kinds(then), "evaluate": not no_eval, "allow_cpu": allow_cpu}
    _submit(ctx, train_spec(values), values, rank_table=table, **follow)


def _rank_table(values: dict[str, Any]) -> str | None:
    """The text of --rank-table; it also says how many cards the job has, unless that is said."""
    if values["rank_table"] is None:
        return None
    from erfnet_jobs.ascend.rank_table_files import content_of, sound_table
    from erfnet_jobs.files import absolute_path

    path = absolute_path(values["rank_table"])
    content = content_of(path)
    table = sound_table(content, str(path))
    if values["cards"] is None and values["devices"] is None:
        values["cards"] = table.world_size
    return content.decode()


@submit.command("eval")
@eval_options
@request_options
@click.pass_context
def evaluate(ctx: click.Context, /, **values: Any) -> None:
    """Measure checkpoints: loss and IoU of each class and category."""
    _submit(ctx, eval_spec(values), values)


@submit.command()
@export_options
@best_options
@request_options
@click.pass_context
def export(ctx: click.Context, /, **values: Any) -> None:
    """Write a checkpoint's network as MINDIR, as ONNX or for MindSpore Lite, each compared with the network."""
    _submit(ctx, export_spec(values, _found_best(ctx, values)), values)


@submit.command()
@infer_options
@best_options
@request_options
@click.pass_context
def infer(ctx: click.Context, /, **values: Any) -> None:
    """Segment pictures with a checkpoint."""
    _submit(ctx, infer_spec(values, _found_best(ctx, values)), values)


@submit.command("310-infer")
@infer_310_options
@best_options
@click.option("--device-id", type=click.IntRange(min=0), default=None, metavar="N", help="This device of its host.")
@click.option("--allow-cpu", is_flag=True, help="Let it have a CPU slot where no 310 or 310P is free.")
@request_options
@click.pass_context
def infer_310(ctx: click.Context, /, device_id: int | None, allow_cpu: bool, **values: Any) -> None:
    """Segment pictures on Ascend 310 or 310P with the C++ program, and measure them with --labels."""
    values["devices"] = None if device_id is None else (device_id,)
    _submit(ctx, infer_310_spec(values, _found_best(ctx, values), allow_cpu=allow_cpu), values)


def _kinds(text: str) -> "list[JobKind]":
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.states import JobKind

    names = [name.strip() for name in text.split(",") if name.strip()]
    if wrong := [name for name in names if name not in ("export", "infer", "310-infer")]:
        raise UsageError(f"--then {wrong[0]}: give some of export,infer,310-infer")
    return [JobKind(name) for name in dict.fromkeys(names)]


def _found_best(ctx: click.Context, values: dict[str, Any]) -> Best | None:
    """What --best leads to; the checkpoint by its id where the registry has one."""
    if values["best"] is None or values["checkpoint"] is not None or values.get("model") is not None:
        return None
    row = ctx.obj.client.best(values["best"])[0]
    return Best(str(row["checkpoint"] or row["path"]), (row["height"], row["width"]))


def _submit(
    ctx: click.Context,
    spec: "Spec",
    values: dict[str, Any],
    *,
    rank_table: str | None = None,
    **follow: Any,
) -> None:
    from erfnet_jobs.jobs import Request

    session: Session = ctx.obj
    request = Request(
        spec=spec,
        name=values["name"],
        priority=values["priority"],
        host=values["host"],
        devices=values.get("devices"),
        rank_table=rank_table,
        max_attempts=values["max_attempts"],
        time_limit=values["time_limit"],
        after=values["after"],
    )
    client = session.client
    client.warn = warn
    if values["dry_run"]:
        plan = client.plan(request, **follow)
        _print(plan, plan_lines(plan), values["as_json"])
        return
    jobs = client.submit(request, **follow)
    as_json, wait_for = values["as_json"], values["wait_for"]
    if not (as_json and wait_for):
        _print(_document(jobs), [_submitted(job) for job in jobs], as_json)
    if wait_for:
        _wait(ctx, jobs, as_json)


def _print(document: object, lines: list[str], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(lines))


def _submitted(job: Document) -> str:
    cards = f"{job['cards']} card{'s' if job['cards'] > 1 else ''}"
    return f"job {job['id']}  {job['kind']} on {cards}  {job['state']}: {job['reason']}"


def _document(jobs: Sequence[Document]) -> object:
    """What --json prints: the job, or all of those that came of one command."""
    return jobs[0] if len(jobs) == 1 else list(jobs)


def _wait(ctx: click.Context, jobs: Sequence[Document], as_json: bool) -> None:
    from erfnet_jobs.cli.wait import ended_text, exit_code_of, wait_for

    ended = wait_for(ctx.obj, [job["id"] for job in jobs])
    _print(_document(ended), [ended_text(job) for job in ended], as_json)
    ctx.exit(exit_code_of(ended))
