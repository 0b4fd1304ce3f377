"""A run as it goes: one refreshed line in a terminal, plain lines where the output is piped; and what it left."""

import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from erfnet_jobs.cli.output import duration, percent, screen_width, shorten, warn
from erfnet_jobs.reports import (
    ArtifactWritten,
    CheckpointRemoved,
    CheckpointWritten,
    Evaluated,
    Phase,
    Progress,
)

if TYPE_CHECKING:
    from erfnet_jobs.launch.watch import ReportLine

# Seconds between plain lines about the same epoch.
PLAIN_INTERVAL = 10.0


def progress_text(report: Progress) -> str:
    """'stage 2  epoch 3/85  step 10/50  loss 1.2345  12.3 img/s  45%  ETA 3m20s'; what is not known is left out."""
    parts = [
        f"stage {report.stage}" if report.stage is not None else "",
        f"epoch {report.epoch}/{report.epochs}" if report.epoch is not None and report.epochs is not None else "",
        f"step {report.step}/{report.steps}",
        f"loss {report.loss:.4f}" if report.loss is not None else "",
        f"{report.images_per_second:.1f} img/s" if report.images_per_second is not None else "",
        percent(report.fraction),
        f"ETA {duration(report.eta_seconds)}" if report.eta_seconds is not None else "",
    ]
    return "  ".join(part for part in parts if part)


def phase_text(report: Phase) -> str:
    """'build data 3/20  ETA 45s'."""
    count = f" {report.done}/{report.total}" if report.done is not None and report.total is not None else ""
    left = f"  ETA {duration(report.eta_seconds)}" if report.eta_seconds is not None else ""
    return f"{report.name}{count}{left}"


class LiveLine:
    """Writes to stderr, so that what a run prints at its end stands alone on stdout."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown: tuple[object, ...] | None = None
        self._shown_at = 0.0

    def show(self, text: str, about: tuple[object, ...]) -> None:
        """Show the newest state; `about` tells what it is about: piped, a change of it is always worth a line."""
        if self._is_terminal:
            click.echo(f"\r{shorten(text, screen_width() - 1)}\x1b[K", nl=False, err=True)
            return
        now = time.monotonic()
        if about != self._shown or now - self._shown_at >= PLAIN_INTERVAL:
            self._shown, self._shown_at = about, now
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the line, so that what follows stands below it."""
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


@dataclass
class Course:
    """What a run's ranks have reported; `checkpoints` are those still on disk, rate, phase and step the newest."""

    live: LiveLine = field(default_factory=LiveLine)
    fraction: float = 0.0
    images_per_second: float | None = None
    checkpoints: dict[str, CheckpointWritten] = field(default_factory=dict)
    evaluations: list[Evaluated] = field(default_factory=list)
    artifacts: list[ArtifactWritten] = field(default_factory=list)
    phase: str = ""
    step: int = 0
    steps: int = 0

    def take(self, line: "ReportLine") -> None:
        """Take one line of a rank's reports."""
        match line.report:
            case None:
                warn(f"rank {line.rank} wrote what is no report: {line.problem}")
            case Progress() as progress:
                self.fraction, self.images_per_second = progress.fraction, progress.images_per_second
                self.step, self.steps = progress.step, progress.steps
                self.live.show(progress_text(progress), (progress.stage, progress.epoch))
            case Phase() as phase if line.rank == 0:
                self.phase = phase.name
                self.live.show(phase_text(phase), (phase.name,))
            case CheckpointWritten() as checkpoint:
                self.checkpoints[checkpoint.path] = checkpoint
            case CheckpointRemoved() as removed:
                self.checkpoints.pop(removed.path, None)
            case Evaluated() as evaluation:
                self.evaluations.append(evaluation)
            case ArtifactWritten() as artifact:
                self.artifacts.append(artifact)
            case _:
                pass

    def document(self) -> dict[str, Any]:
        """What the run left, for --json; paths as reported."""
        return {
            "progress": self.fraction,
            "checkpoints": [asdict(checkpoint) for checkpoint in self.checkpoints.values()],
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
            "artifacts": [asdict(artifact) for artifact in self.artifacts],
        }
