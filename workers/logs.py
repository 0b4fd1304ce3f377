"""Log lines for people: when, how bad, what; to standard error."""

import logging
import sys


class _InOneLine(logging.Filter):
    """Celery tells of a lost Redis, or of a message that is none, in paragraphs and tracebacks; here a line will do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(("celery", "kombu")):
            said = record.getMessage().strip().split("\n\n")[0]
            cause = record.exc_info[1] if record.exc_info else None
            why = f" ({cause!r})" if cause is not None and repr(cause) not in said else ""
            record.msg, record.args = " ".join(said.split()) + why, None
            record.exc_info = record.exc_text = None
        return True


def set_up_logging() -> None:
    """Our own lines from INFO on, those of the libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_InOneLine())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("workers").setLevel(logging.INFO)
