"""A rank as the product runs it, with small networks in place of ERFNet: they compile in a second."""

import os
import signal
import sys

PAUSE_AFTER = "TINY_RANK_PAUSE_AFTER"


def pause_after(stage: int, epoch: int) -> None:
    """Stand still for good when that epoch's checkpoint is reported: whoever kills a rank then is never too late."""
    from erfnet_jobs.reports import CheckpointWritten, Report, ReportWriter

    write = ReportWriter.write

    def write_and_pause(writer: ReportWriter, report: Report) -> None:
        write(writer, report)
        if isinstance(report, CheckpointWritten) and (report.stage, report.epoch) == (stage, epoch):
            signal.pause()

    ReportWriter.write = write_and_pause  # type: ignore[method-assign]  # in this process only


def main() -> int:
    """As `erfnet_jobs.erfnet.rank`."""
    from erfnet_jobs.ascend.lifeline import hold_lifeline

    hold_lifeline()
    from erfnet_jobs.erfnet import inference, rank, train
    from tests.tiny import make_tiny

    inference.make_network = train.make_network = make_tiny
    if PAUSE_AFTER in os.environ:
        stage, epoch = map(int, os.environ[PAUSE_AFTER].split("-"))
        pause_after(stage, epoch)
    return rank.main(sys.argv[1:])


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
