"""What a placement decision is made from, and what it says."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from erfnet_jobs.id_ranges import from_ranges
from erfnet_jobs.jobs import Part
from erfnet_jobs.placement.families import CPU_FAMILY, SECOND_HALF, may_work_together, regions


@dataclass(frozen=True)
class HostState:
    """A host as placement sees it.

    `storage` tells which run directory it sees. `usable` are its devices in health, `free` those of them that no
    attempt holds, `present` all that it has (those in health always count). `is_open`: it has a live worker and is not
    drained; `closed` says why not. `family` is what its devices are: 'cpu', or an Ascend generation. `address` is its
    server_id in a rank table. `second_half`: which of the devices of a 910A host have physical ids from 4 on.
    `infers_310`: it has the C++ program of 310-infer jobs.
    """

    name: str
    storage: str
    usable: frozenset[int]
    free: frozenset[int]
    is_open: bool = True
    family: str = CPU_FAMILY
    present: frozenset[int] = frozenset()
    closed: str = "its worker is not up, or it is drained"
    address: str = ""
    second_half: frozenset[int] = SECOND_HALF
    infers_310: bool = True

    @classmethod
    def of_summary(
        cls,
        name: str,
        address: str,
        storage: str,
        closed: str | None,
        *,
        infers_310: bool,
        family: str,
        present: str,
        usable: str,
        free: str,
        second_half: str,
    ) -> Self:
        """The state of a host whose devices are told as ranges of ids; `closed`: why it gets no jobs, if so."""
        told = {"present": present, "usable": usable, "free": free, "second_half": second_half}
        ids = {name: from_ranges(text) for name, text in told.items()}
        is_open, closed = closed is None, closed or ""
        return cls(
            name, storage, **ids, is_open=is_open, closed=closed, family=family, address=address, infers_310=infers_310
        )

    @property
    def group(self) -> tuple[str, str]:
        """Hosts of one group can hold a gang together: one storage, one family."""
        return self.storage, self.family

    def allows(self, devices: frozenset[int]) -> bool:
        """Whether exactly these of its devices may be a gang, or a gang's part."""
        return may_work_together(self.family, devices, self.second_half)


@dataclass(frozen=True)
class Demand:
    """What a queued job needs.

    `host` and `devices`: these and no others. `storages`: what it reads lies there, so its hosts must see them.
    `pinned`: exactly these devices of these hosts, with ranks in this order. `families`: those it can run on (None:
    all); a gang has one family. `infer_310`: its host must have the C++ program. `waited` is for how many seconds it
    could have been placed.
    """

    job: int
    cards: int
    priority: int = 0
    host: str | None = None
    devices: tuple[int, ...] | None = None
    storages: frozenset[str] = frozenset()
    pinned: tuple[Part, ...] | None = None
    families: frozenset[str] | None = None
    infer_310: bool = False
    waited: float = 0.0

    @cached_property
    def shape(self) -> tuple[object, ...]:
        """Demands of one shape fit in the same places."""
        return self.cards, self.host, self.devices, self.storages, self.pinned, self.families, self.infer_310

    def may_go_to(self, host: HostState) -> bool:
        """Whether the demand allows this host at all, whatever of it is in health or free."""
        return (
            self.host in (None, host.name)
            and self.storages <= {host.storage}
            and (self.families is None or host.family in self.families)
            and self.finds_program(host)
        )

    def finds_program(self, host: HostState) -> bool:
        """Whether the host has the program that it needs beside Python's, if any."""
        return host.infers_310 or not self.infer_310

    def regions(self, host: HostState, count: int) -> list[frozenset[int]]:
        """The devices of an allowed host among which any `count` would do; none where it cannot give so many."""
        if self.devices is None:
            return regions(host.family, host.usable, host.second_half, count)
        exactly = frozenset(self.devices)
        fits = exactly <= host.usable and host.allows(exactly)
        return [exactly] if fits else []


@dataclass(frozen=True)
class Decision:
    """Where a job goes now; no parts: it waits, for `reason`.

    `crowded`: the open hosts have what it needs, and other jobs hold it.
    """

    job: int
    parts: tuple[Part, ...]
    reason: str
    crowded: bool = False
