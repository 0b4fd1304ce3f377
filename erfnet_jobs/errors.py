"""One exception tree, and the exit code of each; ranks and commands share the codes.

Every error names what was wrong, why, and what to do. `permanent` says whether another attempt could help: what the
user gave does not mend itself, so an attempt that ends with a permanent error is not tried again.
"""

from typing import ClassVar


class ErfnetJobsError(Exception):
    """Base of all errors that users see without a traceback; the message stands on its own."""

    exit_code: ClassVar[int] = 1
    permanent: ClassVar[bool] = True


class UsageError(ErfnetJobsError):
    """An argument or a setting that cannot be meant."""

    exit_code = 2


class BadData(ErfnetJobsError):
    """A dataset that is missing, unpaired, or holds what it must not."""

    exit_code = 3


class NotFound(ErfnetJobsError):
    """A job, checkpoint, host or metric that the registry does not know."""

    exit_code = 4


class BrokerUnreachable(ErfnetJobsError):
    """Redis did not answer in time."""

    exit_code = 5
    permanent = False


class RegistryUnreachable(ErfnetJobsError):
    """The registry's database did not answer, or stayed locked."""

    exit_code = 6
    permanent = False


class RegistryNotMigrated(ErfnetJobsError):
    """The registry's schema is older or newer than this program's."""

    exit_code = 7


class NoHostFits(ErfnetJobsError):
    """No registered host, nor all of them together, can ever run this."""

    exit_code = 8


class JobFailed(ErfnetJobsError):
    """The job that was waited for failed or was skipped."""

    exit_code = 9


class JobCancelled(ErfnetJobsError):
    """The job that was waited for was cancelled."""

    exit_code = 10


class BadCheckpoint(ErfnetJobsError):
    """A checkpoint that is truncated, of another network, changed since it was recorded, or none at all."""

    exit_code = 11


class AlreadyRunning(ErfnetJobsError):
    """A second worker, `up` or `down` where there may be one."""

    exit_code = 12


class DiskFull(ErfnetJobsError):
    """No space (or quota) left where the run or the data must be written."""

    exit_code = 13
    permanent = False


class LossNotFinite(ErfnetJobsError):
    """The training loss became NaN or Inf; the message holds step and learning rate."""

    exit_code = 14


class MissingDependency(ErfnetJobsError):
    """A package or program of an extra that is not installed here."""

    exit_code = 15


class RanksFailed(ErfnetJobsError):
    """A rank ended without saying why (crash, signal, out of memory)."""

    exit_code = 16
    permanent = False


class DeviceLost(ErfnetJobsError):
    """A device of the job is gone, its health lets no job go on, or its program cannot use it."""

    exit_code = 17
    permanent = False


class RankMisplaced(ErfnetJobsError):
    """A rank has landed elsewhere than planned: the rank table and the plan differ, or MindSpore went its own way."""

    exit_code = 18


class PeersLost(ErfnetJobsError):
    """A rank lost the others in the middle of a collective: one of them, or its host, was gone before."""

    exit_code = 19
    permanent = False


class Interrupted(ErfnetJobsError):
    """Ended by SIGINT or SIGTERM."""

    exit_code = 130


def all_errors() -> list[type[ErfnetJobsError]]:
    """Every class of the tree, by exit code; the README's table and the tests are made from it."""
    found = [ErfnetJobsError]
    for error in found:
        found.extend(error.__subclasses__())
    return sorted(found, key=lambda error: error.exit_code)


def from_exit_code(code: int) -> type[ErfnetJobsError]:
    """The class whose exit code is `code`; `RanksFailed` where none has it."""
    return next((error for error in all_errors() if error.exit_code == code and code != 1), RanksFailed)
