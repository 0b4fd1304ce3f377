"""What MindSpore raises where it cannot do something with a network, in our own words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from erfnet_jobs.errors import ErfnetJobsError

# Its exporters, its compiler and its loader raise these, and have no base of their own. OSError stays what it is: a
# full disk is another matter.
_ITS_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)

log = logging.getLogger(__name__)


@contextmanager
def mindspore_errors(what: str) -> Iterator[None]:
    """Raise ErfnetJobsError where MindSpore does not `what`; all that it says, often pages, goes to the log."""
    try:
        yield
    except _ITS_ERRORS as error:
        log.warning("MindSpore does not %s", what, exc_info=error)
        said = str(error).strip().splitlines()
        short = f"{type(error).__name__}: {said[0].strip()[:300]}" if said else type(error).__name__
        raise ErfnetJobsError(f"MindSpore does not {what} ({short}; the log has all of it)") from error
