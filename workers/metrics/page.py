"""The page that Prometheus reads, from threads of its own: neither it nor the rounds ever wait for the other."""

import errno
import logging
import socket

from erfnet_jobs.errors import MissingDependency, UsageError
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.settings import PREFIX, Settings
from workers.own_devices import OwnDevices
from workers.tally import Tally

log = logging.getLogger(__name__)


class Page:
    """The page at `metrics_port`, until the process ends; at first with the worker's versions alone.

    Raises UsageError for an address or port that cannot be had, and MissingDependency without prometheus-client.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.metrics_port is not None  # noqa: S101 - who makes a page has asked for it
        try:
            from prometheus_client import CollectorRegistry, start_http_server

            from workers.metrics.build import Build
        except ModuleNotFoundError as error:
            raise MissingDependency(
                f"--metrics-port needs the package prometheus-client ({error}): pip install 'erfnet-jobs[worker]'"
            ) from error
        self._settings = settings
        self._shown = CollectorRegistry(auto_describe=False)
        self._shown.register(Build(settings.host_name))
        try:
            start_http_server(settings.metrics_port, settings.metrics_address, self._shown)
        except OSError as error:
            raise UsageError(_refusal(settings, error)) from error
        log.info("figures for Prometheus at %s", page_url(settings))

    def show(self, registry: Registry, tally: Tally, devices: OwnDevices) -> None:
        """Also the figures of a worker that has registered its host."""
        from workers.metrics.fresh import Fresh
        from workers.metrics.of_registry import OfRegistry
        from workers.metrics.of_worker import OfDevices, OfDisk, OfRounds
        from workers.metrics.registry_reader import RegistryReader

        reader = RegistryReader(self._settings, registry)
        collectors = OfRounds(tally), OfDevices(devices), OfDisk(self._settings.runs), OfRegistry(Fresh(reader.read))
        for collector in collectors:
            self._shown.register(collector)


def page_url(settings: Settings) -> str:
    """Where the page is, as Prometheus and people write it."""
    address = settings.metrics_address
    return f"http://{f'[{address}]' if ':' in address else address}:{settings.metrics_port}/metrics"


def _refusal(settings: Settings, error: OSError) -> str:
    """What cannot be had, why, and what to do."""
    port, address = settings.metrics_port, settings.metrics_address
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{PREFIX}METRICS_ADDRESS is {address!r}, which is no address of this host ({error.strerror}): "
            "give one, such as 127.0.0.1, or 0.0.0.0 for all"
        )
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {address} is taken already: see by whom with 'ss -ltnp', "
            f"or give another one with --metrics-port or {PREFIX}METRICS_PORT"
        )
    return (
        f"figures cannot be shown at port {port} of {address} ({error.strerror}): "
        f"give another one with --metrics-port or {PREFIX}METRICS_PORT"
    )
