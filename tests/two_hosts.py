"""Two hosts on one machine: workers in UTS namespaces of their own, with a name, an address and a home each.

They share the runs folder (so the storage id), the registry in PostgreSQL, and Redis. Ranks are scripted unless a test
says otherwise with `use_ranks`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from erfnet_jobs.launch.program import RANK_MODULE
from tests.services import NewSite, Site

ADDRESSES = {"left": "127.0.0.2", "right": "127.0.0.3"}
RENAME = 'hostname "$0" && exec "$@"'


@dataclass(frozen=True)
class TwoHosts:
    """`left` gets rank 0 where both have as many devices; no worker runs yet."""

    left: Site
    right: Site
    namespace: tuple[str, ...]

    @property
    def both(self) -> tuple[Site, Site]:
        return self.left, self.right

    def start(self, devices: int = 1) -> None:
        """Start both workers, with as many devices each."""
        for site in self.both:
            self.start_worker(site, devices)

    def start_worker(self, site: Site, devices: int = 1) -> None:
        """Start one host's worker under the host's own name."""
        site.start_worker(devices, (*self.namespace, "sh", "-c", RENAME, site.settings.host_name))

    def use_ranks(self, module: str) -> None:
        """Have workers that start from now on run ranks of this module."""
        for site in self.both:
            site.environ[RANK_MODULE] = module


def cut_power(site: Site) -> None:
    """SIGKILL to all of a host at once: its worker, supervisors and ranks."""
    everything = site.processes()
    for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that nobody sees another one die
        for pid in everything:
            os.kill(pid, number)
    if site.worker is not None:
        site.worker.wait()
        site.worker = None


def _namespace() -> tuple[str, ...]:
    """The command in front of what runs in a UTS namespace of its own; skips where the machine lets nobody make one."""
    unshare = shutil.which("unshare") or "unshare"
    for options in (("--uts",), ("--uts", "--map-root-user")):
        probe = [unshare, *options, "sh", "-c", RENAME, "probe", "true"]
        try:
            if subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0:
                return unshare, *options
        except FileNotFoundError:
            break
    reason = "this machine has no UTS namespaces: two hosts cannot have names of their own"
    assert not os.environ.get("CI"), reason
    pytest.skip(reason)


NewHosts = Callable[..., TwoHosts]


@pytest.fixture
def new_hosts(new_site: NewSite, postgres_url: str) -> NewHosts:
    """Makes the two hosts; at the end none of their processes may be left."""

    def make(**settings: object) -> TwoHosts:
        namespace = _namespace()
        left, right = (
            new_site(postgres_url, host=name, host_address=address, **settings) for name, address in ADDRESSES.items()
        )
        return TwoHosts(left, right, namespace)

    return make
