"""Where a worker shows its figures in a test, and reading them."""

import socket
import urllib.request

from erfnet_jobs.settings import Settings
from workers.metrics.page import page_url


def free_port(family: socket.AddressFamily = socket.AF_INET) -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket(family) as tried:
        tried.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


def read_page(settings: Settings) -> str:
    """The whole page, as Prometheus reads it."""
    with urllib.request.urlopen(page_url(settings), timeout=30) as answer:  # noqa: S310 - http, as page_url says
        return str(answer.read().decode())
