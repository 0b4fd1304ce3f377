"""The environment of a rank: one typed value; nothing else in the product reads or writes RANK_* and MS_*. Stdlib only.

The cluster variables are those of MindSpore's dynamic cluster
(https://www.mindspore.cn/tutorials/en/master/parallel/dynamic_cluster.html): one process with the role MS_SCHED, and
one MS_WORKER per rank. A world of one rank has none of them, and needs no scheduler.
"""

import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from erfnet_jobs.ascend.cores import format_cores, parse_cores
from erfnet_jobs.ascend.hccl import OWN, hccl_variables
from erfnet_jobs.errors import UsageError
from erfnet_jobs.plan import ASCEND, CPU
from erfnet_jobs.secret_variables import SECRETS

LIFELINE_FD = "ERFNET_JOBS_LIFELINE_FD"
ATTEMPT_MARK = "ERFNET_JOBS_ATTEMPT_MARK"
DEVICE_TARGET = "ERFNET_JOBS_DEVICE_TARGET"
VISIBLE_DEVICES = "ASCEND_RT_VISIBLE_DEVICES"
RANK_HOST = "ERFNET_JOBS_RANK_HOST"
RANK_CORES = "ERFNET_JOBS_RANK_CORES"
HCCL_ADDRESS = "HCCL_IF_IP"

STRIPPED_PREFIXES = ("MS_", "RANK_")
STRIPPED = (
    OWN | SECRETS | {DEVICE_TARGET, VISIBLE_DEVICES, RANK_HOST, RANK_CORES, LIFELINE_FD, ATTEMPT_MARK, "DEVICE_ID"}
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Seconds until a cluster that does not come together fails, and after which a silent node counts as dead. The launcher
# kills the survivors of a rank at once; these bound what only MindSpore itself can see.
TOPOLOGY_TIMEOUT = 120
NODE_TIMEOUT = 30
# How many seconds a rank waits in a collective on the CPU for the others. MindSpore 2.10's own 30 are too few where
# ranks measure their shares of a split before they meet; this is what HCCL waits by default (HCCL_EXEC_TIMEOUT).
COLLECTIVE_TIMEOUT = 1836


class Role(StrEnum):
    """What a process is in MindSpore's cluster."""

    WORKER = "MS_WORKER"
    SCHEDULER = "MS_SCHED"


@dataclass(frozen=True)
class RankEnvironment:
    """Who a process of a gang is. The scheduler has rank 0 and local rank 0.

    `local_rank` is the index among the host's ranks, and so into `visible_devices`, the gang's logical device ids on
    this host in ascending order (Ascend only). `scheduler_host` and `scheduler_port` are None for one rank alone.
    `lifeline_fd` is the pipe's end from `erfnet_jobs.ascend.lifeline`; `mark` tells an attempt's processes from others.
    `host` is the name of this host in the plan, `near` are the cores for this rank near its device (none: not known).
    `address` is this host's, where HCCL is to reach it from others (Ascend only).
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    role: Role = Role.WORKER
    scheduler_host: str | None = None
    scheduler_port: int | None = None
    device_target: str = CPU
    visible_devices: tuple[int, ...] = ()
    threads: int = 1
    lifeline_fd: int | None = None
    mark: str | None = None
    rank_table: Path | None = None
    host: str | None = None
    near: frozenset[int] = frozenset()
    address: str | None = None

    def __post_init__(self) -> None:
        alone = self.world_size == 1
        if not 0 <= self.rank < self.world_size or not 0 <= self.local_rank < self.world_size:
            raise UsageError(f"rank {self.rank} (local {self.local_rank}) of {self.world_size}: count both from 0")
        if (self.scheduler_host is None) != alone or (self.scheduler_port is None) != alone:
            raise UsageError(
                f"a world of {self.world_size} ranks {'has no' if alone else 'needs a'} scheduler's address"
            )
        if alone and (self.role is Role.SCHEDULER or self.rank_table is not None):
            raise UsageError("one rank alone has neither a scheduler nor a rank table: take them out")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}: give at least 1")

    def cores(self, available: Collection[int]) -> frozenset[int]:
        """The cores for this rank out of those that its process may use; ranks of one host get different ones.

        Those near its device where they are known. Else on the CPU a part of all: a thread of MindSpore's that waits
        for another one spins, where it may on a core that a second rank needs.
        """
        if near := self.near & set(available):
            return near
        first = self.local_rank * self.threads
        own = sorted(available)[first : first + self.threads]
        alone = self.world_size == 1 or self.device_target != CPU
        return frozenset(available if alone or len(own) < self.threads else own)

    def to_environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` without any cluster's variables, and with this process' own."""
        environ = {
            name: value
            for name, value in base.items()
            if name not in STRIPPED and not name.startswith(STRIPPED_PREFIXES)
        }
        environ.update(self._process_variables(environ))
        if self.world_size > 1:
            environ.update(self._cluster_variables())
            if self.device_target == ASCEND and self.visible_devices:
                environ.update(hccl_variables(min(self.visible_devices), self.address, environ))
        return environ

    def _process_variables(self, base: Mapping[str, str]) -> dict[str, str]:
        own: dict[str, object] = {
            **dict.fromkeys(THREAD_VARIABLES, self.threads),
            DEVICE_TARGET: self.device_target,
            "PYTHONUNBUFFERED": 1,
            "PYTHONFAULTHANDLER": 1,
            "GLOG_v": base.get("GLOG_v", 3),
        }
        if self.lifeline_fd is not None:
            own[LIFELINE_FD] = self.lifeline_fd
        named = {ATTEMPT_MARK: self.mark, RANK_HOST: self.host, RANK_CORES: format_cores(self.near) or None}
        own.update({name: value for name, value in named.items() if value is not None})
        if self.visible_devices:
            own[VISIBLE_DEVICES] = ",".join(map(str, sorted(self.visible_devices)))
        if self.device_target == CPU and platform.machine() in {"x86_64", "AMD64"}:
            # oneDNN 3.10 in MindSpore's wheel has reference convolutions only where it finds AVX-512: 40 times slower.
            own["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        return {name: str(value) for name, value in own.items()}

    def _cluster_variables(self) -> dict[str, str]:
        own: dict[str, object] = {
            "MS_ROLE": self.role,
            "MS_WORKER_NUM": self.world_size,
            "MS_SCHED_HOST": self.scheduler_host,
            "MS_SCHED_PORT": self.scheduler_port,
            "MS_TOPO_TIMEOUT": TOPOLOGY_TIMEOUT,
            "MS_NODE_TIMEOUT": NODE_TIMEOUT,
            "MS_CPU_COMM_OP_TIMEOUT": COLLECTIVE_TIMEOUT,
            "RANK_ID": self.rank,
            "RANK_SIZE": self.world_size,
            "DEVICE_ID": self.local_rank,
        }
        if self.role is Role.WORKER:
            own["MS_NODE_ID"] = self.rank
        if self.rank_table is not None:
            own["RANK_TABLE_FILE"] = self.rank_table
        return {name: str(value) for name, value in own.items()}


def _number(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environ.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text or "")
    except ValueError as error:
        raise UsageError(
            f"{name} is {text!r} in the environment, and must be a whole number: "
            "ranks are started by a worker or by `erfnet-jobs run`, not by hand"
        ) from error


def _role(environ: Mapping[str, str]) -> Role:
    try:
        return Role(environ.get("MS_ROLE", Role.WORKER))
    except ValueError as error:
        raise UsageError(f"MS_ROLE is {environ['MS_ROLE']!r}: only {', '.join(Role)} are known") from error


def from_environ(environ: Mapping[str, str]) -> RankEnvironment:
    """What `to_environ` wrote; without cluster variables it is the environment of one rank alone. Raises UsageError."""
    devices = environ.get(VISIBLE_DEVICES, "")
    try:
        visible = tuple(int(part) for part in devices.split(",")) if devices else ()
    except ValueError as error:
        raise UsageError(f"{VISIBLE_DEVICES} is {devices!r}: give device ids with commas between them") from error
    alone = "MS_ROLE" not in environ
    table = environ.get("RANK_TABLE_FILE")
    return RankEnvironment(
        rank=0 if alone else _number(environ, "RANK_ID"),
        world_size=1 if alone else _number(environ, "RANK_SIZE"),
        local_rank=0 if alone else _number(environ, "DEVICE_ID"),
        role=_role(environ),
        scheduler_host=environ.get("MS_SCHED_HOST") if not alone else None,
        scheduler_port=None if alone else _number(environ, "MS_SCHED_PORT"),
        device_target=environ.get(DEVICE_TARGET, CPU),
        visible_devices=visible,
        threads=_number(environ, "OMP_NUM_THREADS", 1),
        lifeline_fd=_number(environ, LIFELINE_FD) if LIFELINE_FD in environ else None,
        mark=environ.get(ATTEMPT_MARK),
        rank_table=Path(table) if table and not alone else None,
        host=environ.get(RANK_HOST),
        near=_cores(environ.get(RANK_CORES)),
        address=environ.get(HCCL_ADDRESS),
    )


def _cores(text: str | None) -> frozenset[int]:
    try:
        return parse_cores(text) if text else frozenset()
    except ValueError as error:
        raise UsageError(f"{RANK_CORES} is {text!r} ({error}): give cores as 0-3,8-11") from error
