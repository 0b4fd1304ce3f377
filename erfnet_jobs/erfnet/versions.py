"""The versions that a rank runs with, as its first report tells them."""

import sys
from importlib import metadata

from erfnet_jobs import __version__

PACKAGES = ("mindspore", "numpy", "pillow")


def versions() -> dict[str, str]:
    """By name: this package, Python, and those of PACKAGES that are installed."""
    return {"erfnet-jobs": __version__, "python": sys.version.split()[0], **dict(_installed())}


def _installed() -> list[tuple[str, str]]:
    found = ((name, next(iter(metadata.distributions(name=name)), None)) for name in PACKAGES)
    return [(name, package.version) for name, package in found if package is not None]
