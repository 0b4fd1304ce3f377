"""What MindSpore raises where it cannot do something with a network, in our own words."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from erfnet_jobs.errors import ErfnetJobsError, PeersLost

# Its exporters, its compiler and its loader raise these, and have no base of their own. OSError stays what it is: a
# full disk is another matter.
_ITS_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)

# HCCL's error codes for another rank that does not answer (CANN, troubleshooting of HCCL): a notification that does not
# come, a socket that does not connect, a link that broke. Not seen on hardware yet.
_PEER_CODES = re.compile(r"\bEI(?:0002|0006|0013)\b")

log = logging.getLogger(__name__)


def lost_peers(error: BaseException) -> PeersLost | None:
    """What a collective's error says of the other ranks; None for every other error."""
    text = str(error)
    found = _PEER_CODES.search(text) if isinstance(error, RuntimeError) else None
    if found is None:
        return None
    line = next(line.strip() for line in text.splitlines() if found[0] in line)
    return PeersLost(f"a collective failed, most likely because another rank was gone before: {line[:300]}")


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
