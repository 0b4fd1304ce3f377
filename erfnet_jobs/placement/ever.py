"""Whether hosts could ever run a job: asked when it is submitted, and to tell why one waits."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from erfnet_jobs.id_ranges import to_ranges
from erfnet_jobs.placement.families import CPU_FAMILY, GROUP_RULE, GROUPED_FAMILY, INFERENCE_FAMILIES
from erfnet_jobs.placement.gangs import groups
from erfnet_jobs.placement.model import Demand, HostState
from erfnet_jobs.placement.pinned import pinned_spots

# So many counts that would do are told, those around what was wanted.
COUNTS_TOLD = 4
HOSTS_TOLD = 8
PROGRAM = "erfnet_infer"


def can_ever_run(demand: Demand, hosts: Sequence[HostState]) -> str | None:
    """Why the registered hosts, all free and in health, can never run this; None where they can, or there are none yet.

    Drained hosts and those whose worker is away count: they may come back.
    """
    if not hosts:
        return None
    healed = [replace(host, usable=host.usable | host.present) for host in hosts]
    return None if holds(demand, healed) else _why(demand, healed)


def holds(demand: Demand, hosts: Iterable[HostState]) -> bool:
    """Whether these hosts, all their usable devices free, could run this."""
    allowed = [host for host in hosts if demand.may_go_to(host)]
    if demand.pinned is not None:
        return pinned_spots(demand, allowed) is not None
    return any(demand.regions(host, demand.cards) for host in allowed) or bool(groups(demand, allowed))


def _why(demand: Demand, hosts: Sequence[HostState]) -> str:
    known = _told(hosts)
    names = {host.name for host in hosts}
    wanted = {part.host for part in demand.pinned} if demand.pinned is not None else {demand.host} - {None}
    if missing := sorted(name for name in wanted - names if name):
        return f"host {missing[0]!r} is not registered; the hosts (and their devices) are {known}"
    in_question = [host for host in hosts if not wanted or host.name in wanted]
    if unable := _why_not_able(demand, in_question):
        return f"{unable}; the hosts (and their devices) are {known}"
    in_question = [host for host in in_question if demand.finds_program(host)]
    if demand.storages and not any(demand.storages <= {host.storage} for host in in_question):
        return f"no host sees all the files that it needs; the hosts (and their devices) are {known}"
    if demand.pinned is not None:
        return _why_not_pinned(demand, in_question)
    if demand.devices is not None:
        return _why_not_devices(demand, in_question, known)
    if counts := counts_that_work(demand, in_question):
        return f"{GROUP_RULE}, and of several hosts as many of each, so {demand.cards} do not: {counts}"
    if demand.host is not None:
        return f"it wants {demand.cards} devices of {demand.host}, which has {len(in_question[0].usable)}"
    return f"it wants {demand.cards} devices: the hosts (and their devices) are {known}"


def _why_not_able(demand: Demand, hosts: Sequence[HostState]) -> str | None:
    if demand.families is not None and not any(host.family in demand.families for host in hosts):
        return _why_not_families(demand.families, hosts)
    if not (lacking := lack_the_program(demand, hosts)):
        return None
    named = ", ".join(sorted(host.name for host in lacking)[:HOSTS_TOLD])
    return f"no {PROGRAM} was found on {named}: build it there with 'make infer310' and start the worker again"


def lack_the_program(demand: Demand, hosts: Sequence[HostState]) -> list[HostState]:
    """The hosts that lack nothing but the program that the demand needs, where no other host has it; else none."""
    fit = [host for host in hosts if demand.families is None or host.family in demand.families]
    return [] if any(demand.finds_program(host) for host in fit) else fit


def _why_not_families(families: frozenset[str], hosts: Sequence[HostState]) -> str:
    if families >= INFERENCE_FAMILIES:
        slots = any(host.family == CPU_FAMILY for host in hosts)
        return (
            "a 310-infer job needs a 310 or 310P device"
            + (", or --allow-cpu, which lets it have CPU slots" if slots else "")
            + (" or a CPU slot" if CPU_FAMILY in families else "")
        )
    if all(host.family in INFERENCE_FAMILIES for host in hosts):
        return "310 and 310P take no training, evaluation, export or infer, a 910 or CPU host is needed"
    return f"it runs on {', '.join(sorted(families))} only"


def _told(hosts: Sequence[HostState]) -> str:
    ordered = sorted(hosts, key=lambda host: (-len(host.usable), host.name))
    texts = [_described(host) for host in sorted(ordered[:HOSTS_TOLD], key=lambda host: host.name)]
    return ", ".join(texts) + (f" and {len(hosts) - HOSTS_TOLD} more" if len(hosts) > HOSTS_TOLD else "")


def _described(host: HostState) -> str:
    family = "" if host.family == CPU_FAMILY else f" {host.family}"
    return f"{host.name} ({len(host.usable)}{family})"


def _why_not_pinned(demand: Demand, hosts: Sequence[HostState]) -> str:
    by_name = {host.name: host for host in hosts}
    for part in demand.pinned or ():
        host = by_name[part.host]
        if absent := set(part.devices) - host.usable:
            return f"it wants devices {to_ranges(absent)} of {part.host}, which has {to_ranges(host.usable) or 'none'}"
        if not host.allows(frozenset(part.devices)):
            return f"it wants devices {to_ranges(part.devices)} of {part.host}: {GROUP_RULE}"
    return f"hosts {', '.join(sorted(by_name))} do not have one run directory and one family of devices in common"


def _why_not_devices(demand: Demand, hosts: Sequence[HostState], known: str) -> str:
    exactly = frozenset(demand.devices or ())
    listed = ",".join(map(str, demand.devices or ()))
    if any(exactly <= host.usable and not host.allows(exactly) for host in hosts):
        return f"it wants devices {listed}: {GROUP_RULE}"
    return f"no host has the devices {listed} that it wants: the hosts (and their devices) are {known}"


def counts_that_work(demand: Demand, hosts: Sequence[HostState]) -> str:
    """What to ask for where only the group rule is in the way; nothing where something else is."""
    grouped = [
        replace(host, usable=host.usable | host.present)
        for host in hosts
        if host.family == GROUPED_FAMILY and demand.may_go_to(host)
    ]
    most = sum(len(host.usable) for host in grouped)
    if demand.cards > most or (demand.host is not None and not grouped):
        return ""
    counts = [count for count in range(1, most + 1) if holds(replace(demand, cards=count), grouped)]
    if not counts:
        return ""
    near = sorted(sorted(counts, key=lambda count: abs(count - demand.cards))[:COUNTS_TOLD])
    return f"ask for {', '.join(map(str, near[:-1]))}{' or ' if near[:-1] else ''}{near[-1]}"
