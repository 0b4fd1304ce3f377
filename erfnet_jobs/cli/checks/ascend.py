"""The devices of a host and, where they are Ascend chips, links, versions, permissions, rank table and ports."""

import grp
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from erfnet_jobs.ascend.devices import ASCEND_CHIP, HEALTHY, Device, HostDevices, ascend_nodes
from erfnet_jobs.ascend.group_rule import FIRST_910, WITHOUT_HCCL, without_table
from erfnet_jobs.ascend.hccl import FIRST_PORT, PORTS, base_port
from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer, Question
from erfnet_jobs.cli.checks.held import held_devices
from erfnet_jobs.cli.checks.network import hccl_ports
from erfnet_jobs.errors import UsageError
from erfnet_jobs.id_ranges import to_ranges
from erfnet_jobs.settings import Settings

# mindspore/run_check/_check_version.py of the 2.10.0 wheel.
ACCEPTED_CANN = ("8.2", "8.3", "8.5", "9.0", "9.1")
# Made by the driver's installer, which gives the devices to it.
DRIVER_GROUP = "HwHiAiUser"
WARNING_HEALTH = "warning"


def questions(settings: Settings, found: HostDevices) -> Iterator[tuple[str, Question]]:
    """What is to be asked of this host's devices."""
    if not (chips := chips_of(found)):
        yield "devices", lambda _: device_answers(found, settings.warning_runs, {})
        return
    yield "devices", lambda _: device_answers(found, settings.warning_runs, held_devices(settings)[0])
    yield "devices", lambda _: kind_answers(chips)
    yield "nodes", permission_answers
    yield "versions", lambda _: version_answers(found)
    if not drives_ascend(found):
        return
    if not only_nodes(chips):
        yield "links", lambda _: link_answers(chips)
        yield "rank table", lambda _: table_answers(chips, settings.host_address, settings.warning_runs)
    last = max(chip.id for chip in chips)
    yield "ports", lambda _: hccl_ports(range(FIRST_PORT, base_port(last) + PORTS))


def chips_of(found: HostDevices) -> list[Device]:
    """The Ascend chips among the devices."""
    return [device for device in found.devices if device.kind == ASCEND_CHIP]


def drives_ascend(found: HostDevices) -> bool:
    """Whether MindSpore is to drive chips here: there are some, and not only 310 or 310P."""
    return any(chip.generation not in WITHOUT_HCCL for chip in chips_of(found))


def kind_answers(chips: Sequence[Device]) -> Iterator[Answer]:
    """Which of the chips only one kind of job goes to."""
    if kinds := sorted({chip.generation for chip in chips if chip.generation in WITHOUT_HCCL}):
        yield Answer(OK, f"{' and '.join(kinds)} take 310-infer only: no training, evaluation, export or infer")


def only_nodes(chips: Sequence[Device]) -> bool:
    """Whether no tool told anything of the chips: that there are some is known from the nodes in /dev only."""
    return bool(chips) and all(chip.npu_id is None for chip in chips)


def _some(devices: Sequence[Device]) -> str:
    """'device 2' or 'devices 0-3,6'."""
    return f"device{'s' if len(devices) > 1 else ''} {to_ranges(device.id for device in devices)}"


def _gets_jobs(device: Device, warning_runs: bool) -> bool:
    return device.health == HEALTHY or (device.health == WARNING_HEALTH and warning_runs)


def device_answers(found: HostDevices, warning_runs: bool, held: Mapping[int, int]) -> Iterator[Answer]:
    """How many there are, those that get no jobs and why, and what the tools could not tell.

    `held` are jobs by the devices that they hold, whose processes are theirs.
    """
    if only_nodes(chips_of(found)):
        yield _nodes_answer(found)
        return
    kinds = ", ".join(dict.fromkeys(device.name for device in found.devices)) or "no device"
    yield Answer(OK if found.devices else ERROR, f"{len(found.devices)} x {kinds}")
    for trouble in found.troubles:
        yield Answer(WARNING, trouble)
    for device in found.devices:
        if device.health != HEALTHY:
            yield _health_answer(device, _gets_jobs(device, warning_runs))
        if device.processes:
            yield _use_answer(device, held.get(device.id))


def _nodes_answer(found: HostDevices) -> Answer:
    """One line for all: why nothing is known of them, which the troubles say."""
    why = "; ".join(found.troubles) or "npu-smi tells nothing of them"
    return Answer(
        ERROR,
        f"{len(found.devices)} Ascend devices, by the nodes in /dev; they get no jobs, as their health is not known: "
        f"{why}",
        "run 'npu-smi info' as this user; once it lists the devices they get jobs",
    )


def _health_answer(device: Device, runs: bool) -> Answer:
    code = f", error code {device.error_code}" if device.error_code else ""
    where = "info" if device.npu_id is None else f"info -t health -i {device.npu_id} -c {device.chip_id}"
    return Answer(
        WARNING if runs else ERROR,
        f"device {device.id} is in health {device.health}{code}: it gets {'jobs all the same' if runs else 'no jobs'}",
        f"see 'npu-smi {where}' and 'dmesg'",
    )


def _use_answer(device: Device, job: int | None) -> Answer:
    pids = ", ".join(f"{process.pid} {process.name}".strip() for process in device.processes or ())
    if job is not None:
        return Answer(OK, f"device {device.id} is in use by job {job} ({pids})")
    return Answer(
        WARNING,
        f"device {device.id} is in use by {pids}, of no job: it gets no jobs while that runs",
        "end it if nobody needs it",
    )


def link_answers(chips: Sequence[Device]) -> Iterator[Answer]:
    """The network ports of the chips have addresses and are up."""
    down = [device for device in chips if device.link == "down"]
    without = [device for device in chips if device.device_ip is None]
    if down:
        yield Answer(
            ERROR,
            f"the link of {_some(down)} is down: jobs over several hosts fail",
            f"see {_hccn_tool(down, '-link -g')}, the cable and the switch",
        )
    if without:
        yield Answer(
            WARNING,
            f"no device IP of {_some(without)} is known: no rank table, no job over several hosts",
            f"set it with {_hccn_tool(without, '-ip -s address A netmask M')}, or set ERFNET_JOBS_HCCN_TOOL",
        )
    if chips and not down and not without:
        yield Answer(OK, "all links are up" if all(device.link for device in chips) else "all have a device IP")


def _hccn_tool(devices: Sequence[Device], options: str) -> str:
    """The call for the first of them, and the numbers for the others."""
    first, *others = [device.node for device in devices]
    return f"'hccn_tool -i {first} {options}'" + (f" (and -i {', '.join(map(str, others))})" if others else "")


def version_answers(found: HostDevices) -> Iterator[Answer]:
    """Driver and CANN, and where MindSpore is to drive chips whether 2.10 takes them; Lite's releases take others."""
    yield Answer(OK if found.driver else WARNING, f"driver {found.driver or 'of unknown version'}")
    if found.cann is None:
        yield Answer(
            ERROR,
            "CANN was not found",
            "install the toolkit and run its set_env.sh in the shell of the worker, or name it in ASCEND_HOME_PATH",
        )
        return
    if not drives_ascend(found):
        yield Answer(OK, f"CANN {found.cann}; README says which MindSpore Lite goes with which")
        return
    fits = any(re.match(rf"{re.escape(version)}(\D|$)", found.cann) for version in ACCEPTED_CANN)
    yield Answer(
        OK if fits else ERROR,
        f"CANN {found.cann}" + ("" if fits else f": MindSpore 2.10 takes {', '.join(ACCEPTED_CANN)}"),
        None if fits else "install one of them; README has what fits",
    )
    if any(device.generation == FIRST_910 for device in found.devices):
        yield Answer(
            WARNING,
            "the devices are 910A, whose support in MindSpore 2.10 is not confirmed",
            "try 'erfnet-jobs doctor --all-reduce' and 'erfnet-jobs run train' on one device first",
        )


def permission_answers(settings: Settings) -> Iterator[Answer]:
    """The device nodes may be opened by this user."""
    nodes = [settings.dev_dir / f"davinci{number}" for number in ascend_nodes(settings.dev_dir)]
    nodes += [
        node for name in ("davinci_manager", "devmm_svm", "hisi_hdc") if (node := settings.dev_dir / name).exists()
    ]
    closed = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if closed:
        group = _group_of(closed[0])
        yield Answer(
            ERROR,
            f"this user may not open {closed[0]}" + (f" and {len(closed) - 1} more" if closed[1:] else ""),
            f"usermod -aG {group or DRIVER_GROUP} USER, then log in again",
        )
    elif nodes:
        yield Answer(OK, f"this user may open all {len(nodes)} device nodes")


def _group_of(node: Path) -> str | None:
    try:
        return grp.getgrgid(node.stat().st_gid).gr_name
    except (KeyError, OSError):
        return None


def table_answers(chips: Sequence[Device], address: str, warning_runs: bool) -> Iterator[Answer]:
    """Whether a rank table can be made for all chips of this host, and which of them get no jobs all the same."""
    from erfnet_jobs.ascend.rank_table_make import in_order, known_devices, make_table

    known = known_devices(chips)
    if len(known) < 2:
        return
    if all(one.generation and without_table(one.generation) for one in known):
        yield Answer(OK, str(without_table(str(known[0].generation))))
        return
    try:
        make_table([in_order(address, address, known)])
    except UsageError as error:
        yield Answer(WARNING, f"no rank table can be made: {error}", "see 'erfnet-jobs rank-table'")
        return
    ill = [chip for chip in chips if not _gets_jobs(chip, warning_runs)]
    but = f", but jobs cannot use {_some(ill)} as long as health is not OK" if ill else ""
    yield Answer(OK, f"a rank table of version 1.0 can be made for these {len(known)} devices{but}")
