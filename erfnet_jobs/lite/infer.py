"""Running `erfnet_infer`: what it is told, what it says on the way, and how it ended. Stdlib only."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.choices import FP32
from erfnet_jobs.errors import ErfnetJobsError, MissingDependency, from_exit_code
from erfnet_jobs.lite.child import LINE_LENGTH, Ending, run_child
from erfnet_jobs.lite.messages import Ended, Message, NoMessage, Stopped, parse_message
from erfnet_jobs.lite.programs import INFER, REMEDY, lite_environ

CPU_DEVICE = "cpu"
VERSION_SECONDS = 60.0
VERSION = re.compile(rf"{INFER} \S+ \(MindSpore Lite [^)]+\)")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inference:
    """What one run of the program is told; `device` is 'cpu' or 'ascend:ID', with the logical id. Paths are absolute.

    `threads` None leaves their number to the program.
    """

    model: Path
    images: Sequence[Path]
    output: Path
    labels: Path | None = None
    split: str = "val"
    limit: int | None = None
    device: str = CPU_DEVICE
    threads: int | None = None
    precision: str = FP32
    save: tuple[str, ...] = ("labels",)

    def arguments(self) -> list[str]:
        """As the program takes them."""
        given = {
            "--output": self.output,
            "--labels": self.labels,
            "--split": self.split,
            "--limit": self.limit,
            "--device": self.device,
            "--threads": self.threads,
            "--precision": self.precision,
            "--save": ",".join(self.save) or "none",
        }
        options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
        return ["--model", str(self.model), "--images", *map(str, self.images), *options, "--json"]


def run_infer(
    program: Path, inference: Inference, take: Callable[[Message], None], environ: Mapping[str, str] = os.environ
) -> Ended:
    """Run it to its end; each message but the last ones goes to `take`. Gives what it ended with.

    Raises the error of its exit code with its own message (BadData where images were skipped, after all others are
    done and `take` has had the end as well), RanksFailed where a signal ended it, and MissingDependency.
    """
    course = _Course(take)
    ending = run_child([str(program), *inference.arguments()], lite_environ(environ), course.line)
    return course.result(ending)


def version_of(program: Path, environ: Mapping[str, str] = os.environ) -> str:
    """What it says of its version and Lite's, on one line. Raises MissingDependency and ErfnetJobsError."""
    said: list[str] = []
    ending = run_child([str(program), "--version"], lite_environ(environ), said.append, VERSION_SECONDS)
    if ending.code != 0:
        raise ending.error(f"{program} cannot be used")
    if len(said) != 1 or VERSION.fullmatch(said[0]) is None:
        told = f"it says {said[0][:LINE_LENGTH]!r}" if said else "it says nothing"
        raise MissingDependency(f"{program} is no {INFER}, asked for its version {told}: {REMEDY}")
    return said[0]


class _Course:
    """What the program has said until now."""

    def __init__(self, take: Callable[[Message], None]) -> None:
        self._take = take
        self._ended: Ended | None = None
        self._stopped: Stopped | None = None

    def line(self, line: str) -> None:
        try:
            message = parse_message(line)
        except NoMessage as error:
            log.warning("a line of the program is not understood (%s): %s", error, line[:500])
            return
        if isinstance(message, Stopped):
            self._stopped = message
            return
        if isinstance(message, Ended):
            self._ended = message
        self._take(message)

    def result(self, ending: Ending) -> Ended:
        if ending.code < 0:
            raise ending.error(_WHAT)
        if self._stopped is not None:
            # The process' own code is what the contract is about; a message may be of a newer program.
            raise from_exit_code(ending.code or self._stopped.exit_code)(self._stopped.message)
        if ending.code != 0:
            raise ending.error(_WHAT)
        if self._ended is None:
            raise ErfnetJobsError(
                f"{ending.name} ended well and did not say what it did, as one of another version would; build it "
                f"with 'make infer310' of this version; {ending.told}"
            )
        return self._ended


_WHAT = "the pictures were not all segmented"
