"""Log lines for people: when, how bad, what; to standard error."""

import logging
import sys


class _WithoutTraceback(logging.Filter):
    """A lost Redis is no programming error: Celery's warnings of it need no traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        theirs = record.name.startswith(("celery", "kombu"))
        if theirs and record.levelno <= logging.ERROR and record.exc_info and record.exc_info[1] is not None:
            record.msg = f"{record.getMessage().strip()} ({record.exc_info[1]})"
            record.args = None
            record.exc_info = None
        return True


def set_up_logging() -> None:
    """Our own lines from INFO on, those of the libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithoutTraceback())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("workers").setLevel(logging.INFO)
