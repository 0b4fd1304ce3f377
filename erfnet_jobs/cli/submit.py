"""`submit train|eval|export|infer`: into the registry and the queues."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from erfnet_jobs.cli.job_details import batch_text, learning_rate_text
from erfnet_jobs.cli.output import Document, duration, print_json, warn
from erfnet_jobs.cli.session import Session
from erfnet_jobs.cli.spec_options import (
    eval_options,
    eval_spec,
    export_options,
    export_spec,
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
    """Hand in a job: train, eval, export or infer."""


@submit.command()
@train_options
@click.option("--rank-table", default=None, metavar="FILE", help="A rank table of your own: exactly its devices.")
@click.option("--then", default="", metavar="KINDS", help="Jobs that use the best weights then: export,infer.")
@click.option("--no-eval", is_flag=True, help="No evaluation after the training.")
@request_options
@click.pass_context
def train(ctx: click.Context, /, then: str, no_eval: bool, **values: Any) -> None:
    """Train ERFNet on a dataset, evaluate every checkpoint, and do what --then says."""
    table = _rank_table(values)
    _submit(ctx, train_spec(values), values, then=_kinds(then), evaluate=not no_eval, rank_table=table)


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
@request_options
@click.pass_context
def export(ctx: click.Context, /, **values: Any) -> None:
    """Write a checkpoint's network as ERFNet.mindir, ERFNet.onnx or both, each compared with the network."""
    _submit(ctx, export_spec(values, _found_best(ctx, values)), values)


@submit.command()
@infer_options
@request_options
@click.pass_context
def infer(ctx: click.Context, /, **values: Any) -> None:
    """Segment pictures with a checkpoint."""
    _submit(ctx, infer_spec(values, _found_best(ctx, values)), values)


def _kinds(text: str) -> "list[JobKind]":
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.states import JobKind

    names = [name.strip() for name in text.split(",") if name.strip()]
    if wrong := [name for name in names if name not in ("export", "infer")]:
        raise UsageError(f"--then {wrong[0]}: give export, infer or export,infer")
    return [JobKind(name) for name in dict.fromkeys(names)]


def _found_best(ctx: click.Context, values: dict[str, Any]) -> str | None:
    """The checkpoint that --best leads to, by its id where the registry has one."""
    if values["best"] is None or values["checkpoint"] is not None:
        return None
    row = ctx.obj.client.best(values["best"])[0]
    return str(row["checkpoint"] or row["path"])


def _submit(
    ctx: click.Context,
    spec: "Spec",
    values: dict[str, Any],
    *,
    then: "list[JobKind] | None" = None,
    evaluate: bool = True,
    rank_table: str | None = None,
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
        plan = client.plan(request, then=then or (), evaluate=evaluate)
        _print(plan, plan_lines(plan), values["as_json"])
        return
    jobs = client.submit(request, then=then or (), evaluate=evaluate)
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


def plan_lines(plan: Document) -> list[str]:
    """What --dry-run prints."""
    lines = ["Would submit:"]
    for job in plan["jobs"]:
        cards = f"{job['cards']} card{'s' if job['cards'] > 1 else ''}"
        lines.append(f"  {job['kind']} on {cards}{_where(job)}")
        if job["training"]:
            lines.append(
                f"    batch {batch_text(job['training'])}, learning rate {learning_rate_text(job['training'])}"
            )
        lines += [
            f"    stage {stage['stage']}: {stage['epochs']} epoch{'s' if stage['epochs'] > 1 else ''}, {_lr(stage)}"
            for stage in job.get("stages", ())
        ]
        if not job.get("stages"):
            lines.append(f"    {', '.join(_settings(job['spec']))}")
    lines.append("Hosts in question:")
    lines += [f"  {_host(host)}" for host in plan["hosts"]]
    if not plan["hosts"]:
        lines.append("  no host is registered yet; start one with 'erfnet-jobs up'")
    if plan["now"]:
        lines.append(f"If it were the next job: {_now(plan['now'])}.")
    return [*lines, "Nothing was submitted (--dry-run)."]


def _now(now: Document) -> str:
    parts = [
        f"device{'s' if len(devices) > 1 else ''} {','.join(map(str, devices))} of {host}"
        for host, devices in now["parts"]
    ]
    return f"it would get {' and '.join(parts)} now" if parts else f"it {now['reason']}"


def _where(job: Document) -> str:
    after = f", after job {', '.join(map(str, job['after']))}" if job["after"] else ""
    devices = f", devices {','.join(map(str, job['devices']))}" if job["devices"] else ""
    for host, ids in job["pinned"] or ():
        devices += f", devices {','.join(map(str, ids))} of {host}"
    limit = f", at most {duration(job['time_limit'])} an attempt" if job["time_limit"] else ""
    return after + devices + limit + (f", on {job['host']} only" if job["host"] else "")


def _lr(stage: Document) -> str:
    # The rate falls over stages 1 and 2, and again over 3 and 4: each pair begins at the first one.
    return f"learning rate from {stage['lr']:g}" if stage["stage"] in (1, 3) else "learning rate goes on falling"


def _settings(spec: Document) -> list[str]:
    names = ("checkpoints", "checkpoint", "data", "images", "split", "network", "protocol", "limit")
    shown = [(name, spec[name]) for name in names if spec.get(name) is not None]
    texts = [
        f"{name} {','.join(map(str, value)) if isinstance(value, list | tuple) else value}" for name, value in shown
    ]
    return [*texts, f"size {spec['size'][0]}x{spec['size'][1]}"]


def _host(host: Document) -> str:
    away = f"; {host['closed']}" if host["closed"] else ""
    return f"{host['name']}: {host['free']} of {host['usable']} devices free{away}"
