"""A real all-reduce over this host's devices, started as a job's ranks are, whose sums are checked."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from erfnet_jobs.ascend.devices import ASCEND_CHIP, HEALTHY, Device, HostDevices, local_devices, threads_per_rank
from erfnet_jobs.ascend.group_rule import COUNTS, GROUP, WITHOUT_HCCL, group_fault, without_table
from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer
from erfnet_jobs.cli.checks.held import held_devices
from erfnet_jobs.cli.output import file_size
from erfnet_jobs.errors import NoHostFits, UsageError
from erfnet_jobs.launch.foreground import run_here
from erfnet_jobs.launch.gang import RANK_TABLE_NAME
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.launch.ranks import Ranks, ranks_on
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import ReportLine
from erfnet_jobs.plan import Plan
from erfnet_jobs.reports import Metric
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import JobKind, Outcome
from erfnet_jobs.train_spec import TrainSpec

PROGRAM = RankProgram("erfnet_jobs.erfnet.all_reduce")
LEAST = 2
# Ranks load MindSpore, and on Ascend compile the operator.
LIMIT_SECONDS = 300.0
RUNS_IN_WARNING = frozenset({HEALTHY, "warning"})


def check_all_reduce(settings: Settings, found: HostDevices, asked: tuple[int, ...] | None) -> Iterator[Answer]:
    """Run it on the devices asked for, or on all that are free (on the CPU: on two slots)."""
    devices = found.devices
    if devices[0].kind != ASCEND_CHIP:
        # A machine with one core can do it too.
        devices = local_devices(max(LEAST, len(devices)))
    held, unknown = held_devices(settings)
    if unknown:
        yield Answer(WARNING, f"which devices jobs hold is not known ({unknown})")
    chosen = choose(devices, held, asked)
    ranks = ranks_on(chosen, settings)
    if ranks.note is not None:
        well = ranks.table is not None or not _tables_expected(chosen)
        yield Answer(OK if well else WARNING, f"with {ranks.note}" if ranks.table else ranks.note)
    plan = _plan(ranks, settings)
    answers = list(_run(plan, ranks.table, settings))
    yield from answers
    if all(answer.state == OK for answer in answers):
        shutil.rmtree(Path(plan.run_dir).parent)


def choose(devices: Sequence[Device], held: Mapping[int, int], asked: tuple[int, ...] | None) -> tuple[Device, ...]:
    """The devices to run on; raises NoHostFits where jobs or other processes have them, or too few are free."""
    generation = devices[0].generation or ""
    if generation in WITHOUT_HCCL:
        raise NoHostFits(f"{generation} has no HCCL: there is no all-reduce to check")
    taken = {device.id: why for device in devices if (why := _taken(device, held))}
    if asked is None:
        chosen = _together(tuple(device for device in devices if device.id not in taken))
        if len(chosen) < LEAST:
            reasons = "; ".join(f"device {number} {why}" for number, why in taken.items())
            raise NoHostFits(f"an all-reduce needs {LEAST} free devices together: {reasons or 'there are no more'}")
        return chosen if chosen[0].kind == ASCEND_CHIP else chosen[:LEAST]
    return _asked({device.id: device for device in devices}, taken, asked)


def _asked(known: Mapping[int, Device], taken: Mapping[int, str], asked: tuple[int, ...]) -> tuple[Device, ...]:
    if len(set(asked)) != len(asked) or len(asked) < LEAST:
        raise UsageError(f"devices are {asked}: give at least {LEAST} different ones")
    if unknown := sorted(set(asked) - set(known)):
        raise NoHostFits(f"this host has no device {', '.join(map(str, unknown))}: see 'erfnet-jobs devices'")
    if refused := [f"device {number} {taken[number]}" for number in asked if number in taken]:
        raise NoHostFits(f"{'; '.join(refused)}: name others, or wait until it is free")
    chosen = tuple(known[number] for number in sorted(asked))
    if fault := group_fault(chosen[0].generation or "", [device.node for device in chosen]):
        raise NoHostFits(f"{fault}: name others")
    return chosen


def _together(free: tuple[Device, ...]) -> tuple[Device, ...]:
    """As many of the free devices as HCCL takes together."""
    if not free or group_fault(free[0].generation or "", [device.node for device in free]) is None:
        return free
    halves = [tuple(one for one in free if one.node // GROUP == half) for half in (0, 1)]
    most = max(halves, key=len)
    return most[: max(count for count in COUNTS if count <= len(most))]


def _taken(device: Device, held: Mapping[int, int]) -> str | None:
    if device.id in held:
        return f"is held by job {held[device.id]}"
    if device.processes:
        return f"is in use by process {', '.join(str(process.pid) for process in device.processes)}"
    return None if device.health in RUNS_IN_WARNING else f"is in health {device.health}"


def _tables_expected(chosen: Sequence[Device]) -> bool:
    return any(device.generation is None or without_table(device.generation) is None for device in chosen)


def _plan(ranks: Ranks, settings: Settings) -> Plan:
    """As of a job; the spec is no more than its place, for the program reads none."""
    run_dir = settings.runs / f"doctor-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}" / "1"
    return Plan(
        kind=JobKind.TRAIN,
        spec=TrainSpec(str(run_dir), cards=len(ranks.places)),
        run_dir=str(run_dir),
        data_dir=str(settings.data_dir),
        ranks=ranks.places,
        device_target=ranks.target,
        threads=threads_per_rank(len(ranks.places)),
        rank_table=None if ranks.table is None else str(run_dir / RANK_TABLE_NAME),
        time_limit=LIMIT_SECONDS,
    )


def _run(plan: Plan, table: str | None, settings: Settings) -> Iterator[Answer]:
    metrics: dict[int, dict[int, Mapping[str, float]]] = {}

    def take(line: ReportLine) -> None:
        if isinstance(line.report, Metric):
            metrics.setdefault(line.report.step, {})[line.rank] = line.report.values

    result = run_here(plan, settings, take, PROGRAM, table)
    where = ", ".join(str(place.device) for place in plan.ranks)
    name = f"{plan.world_size} ranks on devices {where} ({plan.device_target})"
    if result.outcome is not Outcome.SUCCEEDED:
        yield _failure(name, plan, result)
        return
    yield from size_answers(name, plan.world_size, metrics)


def size_answers(name: str, ranks: int, metrics: Mapping[int, Mapping[int, Mapping[str, float]]]) -> Iterator[Answer]:
    """A line for each size; an error where a rank told of wrong sums, or told nothing.

    Bandwidth is that of nccl-tests' "busbw": bytes / seconds * 2 (n - 1) / n.
    """
    if not metrics:
        yield Answer(ERROR, f"{name}: no rank reported a sum", "see the logs of the ranks")
    for step in sorted(metrics):
        of_rank = metrics[step]
        size = max(values.get("bytes", 0) for values in of_rank.values())
        wrong = [rank for rank, values in sorted(of_rank.items()) if values.get("wrong") != 0]
        missing = sorted(set(range(ranks)) - set(of_rank))
        if wrong or missing:
            what = f"wrong sums on rank {wrong[0]}" if wrong else f"rank {missing[0]} reported no sums"
            yield Answer(
                ERROR, f"{name}: {file_size(int(size))}: {what}", "run it on pairs of devices (--devices) to find which"
            )
            continue
        seconds = max(values["seconds"] for values in of_rank.values())
        bandwidth = size / seconds * 2 * (ranks - 1) / ranks / 1e9 if seconds > 0 else 0.0
        yield Answer(
            OK, f"{name}: {file_size(int(size))} summed exactly in {1000 * seconds:.2f} ms, {bandwidth:.2f} GB/s"
        )


def _failure(name: str, plan: Plan, result: GangResult) -> Answer:
    log = result.log_path or str(Path(plan.run_dir, "logs"))
    lines = "".join(f"\n  | {line}" for line in result.last_lines)
    who = "" if result.failed_rank is None else f"rank {result.failed_rank} failed first: "
    return Answer(ERROR, f"{name}: {who}{result.message or result.outcome}{lines}", f"the log is {log}")
