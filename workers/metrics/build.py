"""Which program this worker is, and since when it runs."""

import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from erfnet_jobs import __version__


class Build(Collector):
    """Versions of what runs here; MindSpore's is read from its package, which this process must not import."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._started = time.time()

    def collect(self) -> Iterator[Metric]:
        """Both families."""
        build = InfoMetricFamily(
            "erfnet_jobs_build", "This host's name in the registry, and versions of what runs on it."
        )
        versions = {"version": __version__, "python": sys.version.split()[0], "mindspore": _version("mindspore")}
        build.add_metric([], {"host": self._host, **versions})
        yield build
        yield GaugeMetricFamily(
            "erfnet_jobs_worker_start_time_seconds",
            "When this host's worker was started, in seconds since 1970; it changes with each restart.",
            self._started,
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
