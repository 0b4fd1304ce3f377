"""Whether a gang stands still: how long it may report nothing, which depends on what it is doing. Stdlib only."""

import time
from collections.abc import Callable

from erfnet_jobs.reports import Metric, Phase, Progress, Report

COMPILE = "compile"


class Stillness:
    """Times the silence of a gang. Times are seconds.

    `compile_timeout` holds until the first step, and again while rank 0 compiles another network; then `stuck_timeout`
    does. Whatever is reported ends a silence, so long work that tells its phases never stands still.
    """

    def __init__(
        self, stuck_timeout: float, compile_timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stuck_timeout = stuck_timeout
        self._compile_timeout = compile_timeout
        self._clock = clock
        self._since = clock()
        self._stepped = False
        self._phase: str | None = None

    def hear(self, report: Report | None) -> None:
        """A rank has written a line, this report or (None) nothing that can be read."""
        self._since = self._clock()
        match report:
            case Phase():
                self._phase = report.name
            case Progress() | Metric():
                self._stepped = True

    @property
    def verdict(self) -> str | None:
        """What stands still and for how long; None while the silence is in order."""
        compiling = not self._stepped or self._phase == COMPILE
        limit = self._compile_timeout if compiling else self._stuck_timeout
        if self._clock() - self._since <= limit:
            return None
        doing = f" in phase '{self._phase}'" if self._phase else ""
        if not compiling:
            return f"no rank reported anything for {limit:g} s{doing}: a collective or a device hangs"
        before = "compiling again" if self._stepped else "before the first step"
        return (
            f"no rank reported anything for {limit:g} s{doing}, {before}: it hangs, or ERFNET_JOBS_COMPILE_TIMEOUT is "
            "too short for this network"
        )
