"""`erfnet-jobs run`: a job here and now, in the foreground, without queue or registry."""

from typing import TYPE_CHECKING, Any

import click

from erfnet_jobs.cli.parameters import DEVICE
from erfnet_jobs.cli.spec_options import (
    eval_options,
    eval_spec,
    export_options,
    export_spec,
    infer_310_options,
    infer_310_spec,
    infer_options,
    infer_spec,
    size_option,
    time_limit_option,
    train_options,
    train_spec,
)

if TYPE_CHECKING:
    from erfnet_jobs.cli.live import Course
    from erfnet_jobs.cli.session import Session
    from erfnet_jobs.launch.ranks import Ranks
    from erfnet_jobs.launch.verdict import GangResult
    from erfnet_jobs.plan import Plan
    from erfnet_jobs.specs import Spec

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")


@click.group()
def run() -> None:
    """Do a job here and now, in the foreground, without queue or registry.

    Ctrl-C ends all its processes. What it writes lies in a folder of its own below the runs' folder.
    """


@run.command()
@train_options
@time_limit_option
@_json
@click.pass_obj
def train(session: "Session", /, as_json: bool, time_limit: float | None, **values: Any) -> None:
    """Train ERFNet's stages one after another on this host's devices."""
    _run(session, train_spec(values), as_json, time_limit, values["devices"])


@run.command("eval")
@eval_options
@time_limit_option
@_json
@click.pass_obj
def evaluate(session: "Session", /, as_json: bool, time_limit: float | None, **values: Any) -> None:
    """Measure checkpoints: loss and IoU of each class and category."""
    _run(session, eval_spec(values), as_json, time_limit, values["devices"])


@run.command()
@export_options
@size_option
@time_limit_option
@_json
@click.pass_obj
def export(session: "Session", /, as_json: bool, time_limit: float | None, **values: Any) -> None:
    """Write a checkpoint's network as MINDIR, as ONNX or for MindSpore Lite, each compared with the network."""
    _run(session, export_spec(values), as_json, time_limit)


@run.command()
@infer_options
@size_option
@time_limit_option
@_json
@click.pass_obj
def infer(session: "Session", /, as_json: bool, time_limit: float | None, **values: Any) -> None:
    """Segment pictures with a checkpoint."""
    _run(session, infer_spec(values), as_json, time_limit)


@run.command("310-infer")
@infer_310_options
@size_option
@click.option(
    "--device",
    type=DEVICE,
    default=None,
    help="What runs the model.  [default: the first idle 310 or 310P, without any the CPU]",
)
@time_limit_option
@_json
@click.pass_obj
def infer_310(
    session: "Session", /, as_json: bool, time_limit: float | None, device: str | None, **values: Any
) -> None:
    """Segment pictures with the C++ program on a 310, a 310P or the CPU, and measure them with --labels."""
    from erfnet_jobs.launch.rank_310 import rank_310
    from erfnet_jobs.plan import CPU

    spec = infer_310_spec(values, allow_cpu=True)
    ranks = rank_310(device, session.settings)
    if ranks.target == CPU:
        spec.check_cpu()
        if device is None:
            click.echo("no 310 or 310P on this host: the CPU runs the model", err=True)
    _run_on(session, ranks, spec, as_json, time_limit)


def _run(
    session: "Session",
    spec: "Spec",
    as_json: bool,
    time_limit: float | None,
    devices: tuple[int, ...] | None = None,
) -> None:
    from erfnet_jobs.launch.ranks import local_ranks

    _run_on(session, local_ranks(spec.cards, devices, session.settings), spec, as_json, time_limit)


def _run_on(session: "Session", ranks: "Ranks", spec: "Spec", as_json: bool, time_limit: float | None) -> None:
    from dataclasses import replace

    from erfnet_jobs.cli.live import Course
    from erfnet_jobs.launch.foreground import local_plan, run_here

    plan = replace(local_plan(spec, session.settings, ranks), time_limit=time_limit)
    table = f", {ranks.note}" if ranks.note else ""
    several = "1 rank" if plan.world_size == 1 else f"{plan.world_size} ranks"
    click.echo(f"{plan.kind} on {several} in {plan.run_dir}{table}", err=True)
    course = Course()
    try:
        result = run_here(plan, session.settings, course.take, rank_table=ranks.table)
    finally:
        course.live.end()
    _tell(plan, course, result, as_json)


def _tell(plan: "Plan", course: "Course", result: "GangResult", as_json: bool) -> None:
    from erfnet_jobs.cli.output import print_json, tell, warn
    from erfnet_jobs.cli.run_results import result_lines, stopped_line
    from erfnet_jobs.states import Outcome

    if as_json:
        print_json(_document(plan, course, result))
    if result.left:
        warn(f"these processes could not be ended: {', '.join(map(str, result.left))}")
    if result.outcome is Outcome.SUCCEEDED:
        if not as_json:
            click.echo("\n".join(result_lines(plan, course)))
        return
    if result.outcome is not Outcome.CANCELLED:
        _print_failure(result)
    elif said := stopped_line(plan, course):
        tell(said)
    tell(f"error: {result.message}")
    click.get_current_context().exit(_exit_code(result))


def _document(plan: "Plan", course: "Course", result: "GangResult") -> dict[str, Any]:
    return {
        "id": None,
        "kind": str(plan.kind),
        "state": str(result.outcome),
        "cards": plan.world_size,
        "attempt": plan.attempt,
        "reason": result.message,
        "run_dir": plan.run_dir,
        **course.document(),
        "error": result.error,
        "failed_rank": result.failed_rank,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "last_lines": list(result.last_lines),
        "log": result.log_path,
    }


def _exit_code(result: "GangResult") -> int:
    """The exit code of the error that ended the run; a rank's own code counts only where it is one of ours."""
    from erfnet_jobs.errors import Interrupted, RanksFailed, all_errors
    from erfnet_jobs.states import Outcome

    if result.outcome is Outcome.CANCELLED:
        return Interrupted.exit_code
    return next((error.exit_code for error in all_errors() if error.__name__ == result.error), RanksFailed.exit_code)


def _print_failure(result: "GangResult") -> None:
    who = "the run" if result.failed_rank is None else f"rank {result.failed_rank}"
    click.echo(f"{who} failed first; the last lines of {result.log_path}:", err=True)
    for line in result.last_lines:
        click.echo(f"  | {line}", err=True)
