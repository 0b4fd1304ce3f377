"""The page that Prometheus reads, from threads of its own: neither it nor the rounds ever wait for the other."""

import errno
import logging
import socket

from erfnet_jobs.errors import MissingDependency, UsageError
from erfnet_jobs.settings import PREFIX, Settings

log = logging.getLogger(__name__)


def open_page(settings: Settings) -> None:
    """Show this worker's figures at `metrics_port`, until the process ends.

    Raises UsageError for an address or port that cannot be had, and MissingDependency without prometheus-client.
    """
    assert settings.metrics_port is not None  # noqa: S101 - who calls this has asked for it
    try:
        from prometheus_client import CollectorRegistry, start_http_server

        from workers.metrics.build import Build
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"--metrics-port needs the package prometheus-client ({error}): pip install 'erfnet-jobs[worker]'"
        ) from error
    shown = CollectorRegistry(auto_describe=False)
    shown.register(Build())
    try:
        start_http_server(settings.metrics_port, settings.metrics_address, shown)
    except OSError as error:
        raise UsageError(_refusal(settings, error)) from error
    log.info("figures for Prometheus at %s", page_url(settings))


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
