"""An attempt here and now, in the foreground, without queue or registry: checks, plan and course. Stdlib only."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from erfnet_jobs.allowed_paths import allowed_roots, check_plan
from erfnet_jobs.ascend.devices import threads_per_rank
from erfnet_jobs.errors import BadCheckpoint, BadData, DiskFull, MissingDependency, UsageError
from erfnet_jobs.files import absolute_path, make_private_folder, write_atomically
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.launch.gang import PLAN_NAME, RANK_TABLE_NAME, Gang
from erfnet_jobs.launch.program import RankProgram, rank_program
from erfnet_jobs.launch.ranks import Ranks
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import GangWatch, ReportLine
from erfnet_jobs.lite.programs import SETTING
from erfnet_jobs.plan import CheckpointFile, Plan, write_plan
from erfnet_jobs.settings import Settings
from erfnet_jobs.spec_checks import is_reference
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec, Spec
from erfnet_jobs.states import JobKind, Outcome
from erfnet_jobs.train_spec import TrainSpec

STEP = 0.25
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _existing(text: str, error: type[BadData | BadCheckpoint], what: str) -> str:
    path = absolute_path(text)
    try:
        found = path.exists()
    except OSError as why:
        raise error(f"{what} {text!r} cannot be read ({why.strerror}): check the path") from why
    if not found:
        raise error(f"{what} {_named(text, path)} does not exist: check the path")
    return str(path)


def _named(text: str, path: Path) -> str:
    """What was given, and where that is unless it says so itself."""
    return f"{text!r}" if text == str(path) else f"{text!r} ({path})"


def _checkpoint(text: str) -> str:
    path = absolute_path(text)
    try:
        is_file, why = path.is_file(), "is a folder" if path.is_dir() else "does not exist"
    except OSError as error:
        raise BadCheckpoint(f"checkpoint {text!r} cannot be read ({error.strerror}): check the path") from error
    if not is_file:
        hint = (
            "`run` takes a file's path; ids and JOB:best are for `submit`" if is_reference(text) else "check the path"
        )
        raise BadCheckpoint(f"checkpoint {_named(text, path)} {why}: {hint}")
    return str(path)


def with_checked_paths(spec: Spec) -> Spec:
    """The spec with absolute paths; raises BadData or BadCheckpoint for those that do not exist."""
    match spec:
        case TrainSpec():
            checkpoint = None if spec.checkpoint is None else _checkpoint(spec.checkpoint)
            return replace(spec, data=_existing(spec.data, BadData, "dataset"), checkpoint=checkpoint)
        case EvalSpec():
            checkpoints = tuple(_checkpoint(entry) for entry in spec.checkpoints)
            output = None if spec.save_predictions is None else str(absolute_path(spec.save_predictions))
            data = _existing(spec.data, BadData, "dataset")
            return replace(spec, data=data, checkpoints=checkpoints, save_predictions=output)
        case ExportSpec():
            return replace(spec, checkpoint=_checkpoint(spec.checkpoint))
        case InferSpec():
            output, logits = (None if path is None else str(absolute_path(path)) for path in (spec.output, spec.logits))
            images = _existing(spec.images, BadData, "images")
            return replace(spec, checkpoint=_checkpoint(spec.checkpoint), images=images, output=output, logits=logits)
        case Infer310Spec():
            return _checked_310(spec)


def _checked_310(spec: Infer310Spec) -> Infer310Spec:
    return replace(
        spec,
        images=_existing(spec.images, BadData, "images"),
        checkpoint=None if spec.checkpoint is None else _checkpoint(spec.checkpoint),
        model=None if spec.model is None else _existing(spec.model, BadCheckpoint, "model"),
        labels=None if spec.labels is None else _existing(spec.labels, BadData, "labels"),
        output=None if spec.output is None else str(absolute_path(spec.output)),
    )


def inputs_of(spec: Spec) -> tuple[CheckpointFile, ...]:
    """The checkpoints that the spec names, as files."""
    match spec:
        case EvalSpec():
            return tuple(CheckpointFile(path, network=spec.network) for path in spec.checkpoints)
        case TrainSpec(checkpoint=None) | Infer310Spec(checkpoint=None):
            return ()
        case _:
            return (CheckpointFile(str(spec.checkpoint)),)


def local_plan(spec: Spec, settings: Settings, ranks: Ranks) -> Plan:
    """The plan of an attempt on this host, in a folder of its own below `settings.runs`; nothing is written yet.

    Raises BadData, BadCheckpoint or UsageError for what cannot be run here.
    """
    checked = with_checked_paths(spec)
    run_dir = settings.runs / f"local-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}" / "1"
    plan = Plan(
        kind=checked.kind,
        spec=checked,
        run_dir=str(run_dir),
        data_dir=str(settings.data_dir),
        ranks=ranks.places,
        device_target=ranks.target,
        rank_table=None if ranks.table is None else str(run_dir / RANK_TABLE_NAME),
        inputs=inputs_of(checked),
        threads=threads_per_rank(len(ranks.places)),
        allowed=allowed_roots(settings),
    )
    check_plan(plan)
    return plan


def _check_program(program: RankProgram, plan: Plan) -> None:
    # 310-infer needs MindSpore only where a checkpoint is to be exported first, which its rank finds out.
    if plan.kind != JobKind.INFER_310 and program.scheduler_module is not None and find_spec("mindspore") is None:
        raise MissingDependency("MindSpore is not installed here: pip install 'erfnet-jobs[worker]'")


def _base_environ(settings: Settings) -> Mapping[str, str]:
    """What ranks inherit: with the C++ program that the settings name, of which a file may be the source."""
    return os.environ if settings.infer_310 is None else {**os.environ, SETTING: str(settings.infer_310)}


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Raise DiskFull or UsageError for what the system says of writing below `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no space left below {folder}: free some, or set ERFNET_JOBS_RUNS elsewhere") from error
        raise UsageError(f"{folder} cannot be written ({error}): set ERFNET_JOBS_RUNS to a folder that can") from error


@contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """A list to which SIGINT, SIGTERM and SIGHUP are added instead of ending this process.

    One that is ignored, as nohup and shells in the background do, stays so.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module calls it so
        came.append(number)

    before = {
        number: signal.signal(number, note) for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield came
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def run_here(
    plan: Plan,
    settings: Settings,
    on_line: Callable[[ReportLine], None],
    default: RankProgram | None = None,
    rank_table: str | None = None,
) -> GangResult:
    """Run the plan to its end and give each report to `on_line`; SIGINT and SIGTERM end all of it (CANCELLED).

    `default` is what ranks run unless ERFNET_JOBS_RANK_MODULE says otherwise; `rank_table` is the text of their table.

    Whatever happens, no process of the gang is left when this returns or raises. Raises MissingDependency, DiskFull or
    UsageError when it cannot be started.
    """
    program = rank_program(default=default)
    _check_program(program, plan)
    run_dir = Path(plan.run_dir)
    gang = Gang(plan, settings.host_name, program=program, base_environ=_base_environ(settings))
    with _noted_signals() as came:
        try:
            with disk_errors(run_dir):
                make_private_folder(settings.home)
                run_dir.mkdir(parents=True, exist_ok=True)
                if plan.rank_table is not None and rank_table is not None:
                    write_atomically(Path(plan.rank_table), rank_table.encode())
                write_plan(plan, run_dir / PLAN_NAME)
                gang.start()
            return _course(
                GangWatch(gang, settings.stuck_timeout, compile_timeout=settings.compile_timeout), came, on_line
            )
        finally:
            gang.kill(grace=0)


def _course(watch: GangWatch, came: list[int], on_line: Callable[[ReportLine], None]) -> GangResult:
    while (result := watch.result) is None:
        lines = watch.step(STEP)
        if came:
            name = signal.Signals(came[0]).name
            lines += watch.cancel(Outcome.CANCELLED, f"ended by {name}: all its processes are gone")
        for line in lines:
            on_line(line)
    return result
