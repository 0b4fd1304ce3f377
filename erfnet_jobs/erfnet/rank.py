"""One rank of an attempt: `python -m erfnet_jobs.erfnet.rank PLAN_JSON`, started by a worker or by `run`.

It reads the plan, reports what it does, and ends with exit code 0 after `Done`, or with the error's after `Failed`.
SIGTERM has its default action: it ends the process at once, even while C++ code holds the interpreter, and what is half
written then lies in files that nothing refers to.
"""

import errno
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from erfnet_jobs.allowed_paths import check_plan
from erfnet_jobs.ascend.environment import RankEnvironment, from_environ
from erfnet_jobs.ascend.lifeline import hold_lifeline
from erfnet_jobs.erfnet.mindspore_errors import lost_peers
from erfnet_jobs.erfnet.versions import versions
from erfnet_jobs.errors import DiskFull, ErfnetJobsError, Interrupted, UsageError
from erfnet_jobs.plan import Plan, read_plan
from erfnet_jobs.reports import Done, Failed, Hello, ReportWriter
from erfnet_jobs.states import JobKind

if TYPE_CHECKING:
    from erfnet_jobs.erfnet.world import Landed

Work = Callable[[Plan, RankEnvironment, ReportWriter], None]

log = logging.getLogger(__name__)

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def main(arguments: list[str], work: Work | None = None) -> int:
    """A rank's life: `work`, by default what the plan's kind of job is; gives its exit code."""
    hold_lifeline()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    if len(arguments) != 1:
        log.error("usage: python -m erfnet_jobs.erfnet.rank PLAN_JSON")
        return UsageError.exit_code
    plan = read_plan(Path(arguments[0]))
    environment = from_environ(os.environ)
    try:
        writer = ReportWriter(plan.report_path(environment.rank))
    except OSError as error:
        # Nobody reads more than the exit code then, and the log.
        log.exception("no reports can be written")
        known = _as_known(error, plan)
        return known.exit_code if known else 1
    try:
        (work or _work_of_job)(plan, environment, writer)
        writer.write(Done())
        writer.close()
    except KeyboardInterrupt:
        return _fail(Interrupted("ended by an interrupt"), plan, writer)
    except Exception as error:  # noqa: BLE001  whatever it was, the supervisor is to know
        return _fail(error, plan, writer)
    return 0


def greet(plan: Plan, environment: RankEnvironment, writer: ReportWriter) -> "Landed":
    """Join the other ranks, and report who this process has become."""
    from erfnet_jobs.erfnet import world

    world.join(environment)
    landed = world.landed(environment)
    host = environment.host or socket.gethostname()
    device = plan.device_at(host, landed.local_device)
    writer.write(Hello(landed.rank, landed.world_size, host, device, os.getpid(), versions()))
    return landed


def _work_of_job(plan: Plan, environment: RankEnvironment, writer: ReportWriter) -> None:
    check_plan(plan)
    if plan.kind is JobKind.INFER_310:
        # MindSpore may not even be installed where there is a 310.
        from erfnet_jobs.erfnet.infer_310 import infer_310

        infer_310(plan, environment, writer.write)
        return
    from erfnet_jobs.erfnet import world

    greet(plan, environment, writer)
    if plan.kind is JobKind.TRAIN:
        from erfnet_jobs.erfnet.train import train

        train(plan, environment, writer.write)
        world.leave(environment.world_size)
    elif plan.kind is JobKind.EVAL:
        from erfnet_jobs.erfnet.evaluate import evaluate

        evaluate(plan, environment, writer.write)
        world.leave(environment.world_size)
    elif plan.kind is JobKind.EXPORT:
        from erfnet_jobs.erfnet.export import export

        export(plan, writer.write)
    else:
        from erfnet_jobs.erfnet.infer import infer

        infer(plan, writer.write)


def _fail(error: Exception, plan: Plan, writer: ReportWriter) -> int:
    known = _as_known(error, plan)
    if known is None:
        log.error("unexpected", exc_info=error)
        message = str(error).strip().splitlines()
        short = f"{type(error).__name__}: {message[0] if message else 'no message'}"
        failed = Failed(type(error).__name__, short[:500], exit_code=1, permanent=False)
    else:
        log.error("%s: %s", type(known).__name__, known)
        failed = Failed(type(known).__name__, str(known), exit_code=known.exit_code, permanent=known.permanent)
    try:
        writer.write(failed)
    except OSError as unwritten:
        # The report file may lie on the disk that is full; the exit code then has to say it.
        log.error("the failure could not be reported: %s", unwritten)  # noqa: TRY400
    return failed.exit_code


def _as_known(error: BaseException | None, plan: Plan) -> ErfnetJobsError | None:
    """The error itself if it is one of ours, DiskFull where that is behind it, PeersLost for a collective's."""
    if isinstance(error, ErfnetJobsError):
        return error
    if isinstance(error, RuntimeError) and (lost := lost_peers(error)):
        return lost
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            where = error.filename or plan.run_dir
            return DiskFull(f"no space left for {where}: free some, or set ERFNET_JOBS_RUNS to another disk")
        error = error.__cause__ or error.__context__
    return None


def leave_process(code: int) -> NoReturn:
    """End this process at once, its output written."""
    sys.stdout.flush()
    sys.stderr.flush()
    # MindSpore's cluster takes seconds to sign off at interpreter exit. All files are closed and synced by now, all
    # ranks have done their work (world.leave), and the launcher ends the scheduler when the last rank is gone.
    os._exit(code)


if __name__ == "__main__":
    leave_process(main(sys.argv[1:]))
