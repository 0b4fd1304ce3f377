"""A gang's part on this host: starting its processes, and ending all of them. Stdlib only.

    gang = Gang(plan, host)           # the plan is in plan.run_dir/plan.json already
    gang.start()                      # rank 0's host starts MindSpore's scheduler too; `gang.scheduler` is its address
    gang.deaths()                     # who ended, how, first one first
    gang.kill()                       # ends everything; what could not be ended

Who reads reports and judges is `erfnet_jobs.launch.watch.GangWatch`. Start gangs from a process that does not fork
without exec: such a child would hold the lifelines' write ends.
"""

import ipaddress
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from erfnet_jobs.ascend.cores import shared_cores
from erfnet_jobs.ascend.environment import RankEnvironment, Role
from erfnet_jobs.errors import RanksFailed
from erfnet_jobs.launch.children import Child, Death, DeathWatch, new_lifeline, start_child
from erfnet_jobs.launch.ports import fresh_port
from erfnet_jobs.launch.processes import kill_marked, processes_in_groups, signal_group, wait_until_gone
from erfnet_jobs.launch.program import RankProgram, module_command, rank_program, with_this_package
from erfnet_jobs.plan import ASCEND, Plan, RankPlace

PLAN_NAME = "plan.json"
# Between SIGTERM and SIGKILL. Ranks have nothing to tidy up; those of all hosts are to be gone within 2 s of a failure,
# and a cancelled job's devices free within 5 s.
GRACE = 0.5
RANK_TABLE_NAME = "rank_table.json"
LOOPBACK = "127.0.0.1"
KILL_TIMEOUT = 5.0


def attempt_mark(plan: Plan, host: str) -> str:
    """What tells the processes of an attempt's part on this host from all others; the same for every caller."""
    return f"{host}:{plan.run_dir}"


class Gang:
    """The processes of one attempt on one host.

    `scheduler` is the address of MindSpore's scheduler. Without one, the host of rank 0 takes a fresh port on `address`
    (its own address that the other hosts reach; loopback for a gang on one host) at `start`. `rank_table` is given to
    the ranks as it is; by default it is the plan's. `program` is what ranks run; by default what
    ERFNET_JOBS_RANK_MODULE in `base_environ` says.
    """

    def __init__(
        self,
        plan: Plan,
        host: str,
        *,
        scheduler: tuple[str, int] | None = None,
        address: str = LOOPBACK,
        rank_table: Path | None = None,
        program: RankProgram | None = None,
        base_environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.plan = plan
        self.host = host
        self.places = plan.on_host(host)
        if not self.places:
            raise RanksFailed(f"the plan in {plan.run_dir} has no rank on host {host!r}: nothing to start here")
        self.mark = attempt_mark(plan, host)
        self.scheduler = scheduler
        self._address = address
        self._rank_table = rank_table or (Path(plan.rank_table) if plan.rank_table else None)
        self._cores = shared_cores([place.cores for place in self.places], os.sched_getaffinity(0))
        self._program = program or rank_program(base_environ)
        self._base = with_this_package(base_environ)
        self._children: list[Child] = []
        self._watch = DeathWatch()
        self._killed = False

    @property
    def leads(self) -> bool:
        """Whether rank 0, and so the scheduler, is this host's."""
        return any(place.rank == 0 for place in self.places)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks of this host."""
        return tuple(sorted(place.rank for place in self.places))

    @property
    def pids(self) -> dict[int | None, int]:
        """The process ids by rank; the scheduler's under None."""
        return {child.rank: child.process.pid for child in self._children}

    @property
    def scheduler_log(self) -> Path:
        """The output of the scheduler."""
        return Path(self.plan.run_dir, "logs", "scheduler.log")

    def prepare(self) -> None:
        """Choose the scheduler's port if it is to be chosen here; `start` does it where it was not done."""
        if self.plan.world_size > 1 and self.scheduler is None:
            if not self.leads:
                raise RanksFailed("the scheduler's address is not known on a host without rank 0: start rank 0's first")
            self.scheduler = (self._address, fresh_port(self._address))

    def start(self) -> None:
        """Start the scheduler (where it belongs here) and this host's ranks.

        Raises OSError when a process or a log cannot be made; then nothing of the gang is left.
        """
        self.prepare()
        for folder in ("logs", "reports", "checkpoints"):
            Path(self.plan.run_dir, folder).mkdir(parents=True, exist_ok=True)
        self._watch.start()
        try:
            self._start_scheduler()
            for place in self.places:
                self._start_rank(place)
        except OSError:
            self.kill(grace=0)
            raise

    def deaths(self) -> list[Death]:
        """The processes that ended, first one first; the scheduler among them (rank None)."""
        return self._watch.deaths()

    def wait_for_death(self, known: int, timeout: float) -> bool:
        """Wait until more than `known` deaths are noted; False after `timeout` seconds."""
        return self._watch.wait(known, timeout)

    def kill(self, grace: float = GRACE) -> list[int]:
        """End every process of this part: SIGTERM to the groups, after `grace` seconds SIGKILL, strays included.

        Gives the ids of what could not be ended within a few seconds more. Again and again is fine.
        """
        if self._killed:
            return kill_marked(self.mark, KILL_TIMEOUT)
        groups = {child.group for child in self._children}
        if grace > 0 and processes_in_groups(groups):
            for group in groups:
                signal_group(group, signal.SIGTERM)
            wait_until_gone(lambda: processes_in_groups(groups), grace)
        for group in groups:
            signal_group(group, signal.SIGKILL)
        left = kill_marked(self.mark, KILL_TIMEOUT)
        self._release(left)
        return left

    def end_scheduler(self) -> None:
        """End the scheduler once no rank needs it, for it looks only every 5 s itself."""
        for child in self._children:
            if child.rank is None:
                signal_group(child.group, signal.SIGKILL)

    def _release(self, left: list[int]) -> None:
        self._killed = True
        # One that the kernel cannot end yet would hold us for ever; its lifeline stays open as long as we live.
        gone = [child for child in self._children if child.process.pid not in left]
        self._watch.wait(len(gone) - 1, KILL_TIMEOUT)
        self._watch.close()
        for child in gone:
            child.release()

    @property
    def _hccl_address(self) -> str | None:
        """Where HCCL is to listen for other hosts; a name is left to HCCL, which takes numbers only."""
        if len(self.places) == self.plan.world_size:
            return None
        try:
            return str(ipaddress.ip_address(self._address))
        except ValueError:
            return None

    def _start_scheduler(self) -> None:
        if self.plan.world_size > 1 and self.leads and self._program.scheduler_module:
            self._start(None, module_command(self._program.scheduler_module), self.scheduler_log, Role.SCHEDULER, 0)

    def _start_rank(self, place: RankPlace) -> None:
        command = module_command(self._program.module, str(Path(self.plan.run_dir, PLAN_NAME)))
        self._start(place.rank, command, self.plan.log_path(place.rank), Role.WORKER, place.local_rank)

    def _start(self, rank: int | None, command: list[str], log: Path, role: Role, local_rank: int) -> None:
        # MindSpore drops folders such as rank_0/ and kernel_meta/ where it runs.
        scratch = Path(self.plan.run_dir, "scratch", "scheduler" if rank is None else f"rank_{rank}")
        scratch.mkdir(parents=True, exist_ok=True)
        lifeline = new_lifeline()
        environ = self._environment(role, rank or 0, local_rank, lifeline[0]).to_environ(self._base)
        child = start_child(rank, command, environ, log, scratch, lifeline)
        self._children.append(child)
        self._watch.add(child)

    def _environment(self, role: Role, rank: int, local_rank: int, lifeline_fd: int) -> RankEnvironment:
        host, port = self.scheduler if self.scheduler and self.plan.world_size > 1 else (None, None)
        on_ascend = self.plan.device_target == ASCEND
        near = self._cores[local_rank] if role is Role.WORKER else frozenset()
        return RankEnvironment(
            rank=rank,
            world_size=self.plan.world_size,
            local_rank=local_rank,
            role=role,
            scheduler_host=host,
            scheduler_port=port,
            device_target=self.plan.device_target,
            visible_devices=tuple(sorted(place.device for place in self.places)) if on_ascend else (),
            # No more than it has cores for: those near its device may be few.
            threads=min(self.plan.threads, len(near) or self.plan.threads),
            lifeline_fd=lifeline_fd,
            mark=self.mark,
            rank_table=self._rank_table if self.plan.world_size > 1 else None,
            host=self.host,
            near=near,
            address=self._hccl_address if on_ascend else None,
        )
