"""What every command gets: the global options, and the settings and the client made from them when first asked for."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from erfnet_jobs.client import Client
    from erfnet_jobs.settings import Settings


class Session:
    """The global options of one call of `erfnet-jobs`; importing nothing until a command needs it."""

    def __init__(self, flags: Mapping[str, object], debug: bool = False) -> None:
        self.flags = flags
        self.debug = debug

    def give(self, **flags: object) -> None:
        """A command's own options that are settings, before it asks for these; None values do not count."""
        self.flags = {**self.flags, **flags}

    @cached_property
    def settings(self) -> "Settings":
        """Flags > environment > config file > defaults; raises UsageError."""
        from erfnet_jobs.settings import load_settings

        return load_settings(self.flags)

    @cached_property
    def client(self) -> "Client":
        """A client for these settings."""
        from erfnet_jobs.client import Client

        return Client(self.settings)
