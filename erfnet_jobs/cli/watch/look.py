"""Looking at the registry again and again; while it does not answer, that is what is seen."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from erfnet_jobs.cli.output import Document

if TYPE_CHECKING:
    from erfnet_jobs.client import Client


@dataclass(frozen=True)
class Look:
    """What was seen last, and why the registry does not answer now (None: it does)."""

    overview: Document
    trouble: str | None = None


def looks(
    client: "Client", interval: float, also: Callable[[], Collection[int]], wait: Callable[[float], None] = time.sleep
) -> Iterator[Look]:
    """Look every `interval` seconds, without end; jobs of `also` are seen in any case.

    Raises RegistryUnreachable only where it does not answer to begin with.
    """
    from erfnet_jobs.errors import RegistryUnreachable

    look = Look(client.overview(also()))
    while True:
        yield look
        wait(interval)
        try:
            look = Look(client.overview(also()))
        except RegistryUnreachable as error:
            look = Look(look.overview, str(error))
