"""What the ranks of one attempt do and where: `plan.json`, written before anything starts. Stdlib only.

The worker (or `run`) makes the plan, the launcher starts its ranks, and each rank reads it. Everything in it is
resolved: checkpoints are files with hashes, the rank order is fixed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from erfnet_jobs.errors import UsageError
from erfnet_jobs.files import write_atomically
from erfnet_jobs.specs import Spec, spec_from_dict, spec_to_dict
from erfnet_jobs.states import JobKind

VERSION = 2
# Version 1 lacks fields that may be left out: cores, the rank table, the time limit.
READABLE = (1, VERSION)
CPU = "CPU"
ASCEND = "Ascend"
# Below an attempt's folder, where an inference is given no other.
PICTURES_FOLDER = "pictures"


@dataclass(frozen=True)
class RankPlace:
    """Where one rank runs. `device` is the logical id on its host, `local_rank` its index among that host's ranks.

    `cores` are the host's cores near the device ('0-23,48-71'), None where that is not known.
    """

    rank: int
    host: str
    device: int
    local_rank: int
    cores: str | None = None


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint on disk. `sha256` is None for a file that the user named by path; `id` is the registry's.

    `optional` ones came with JOB:all: an evaluation leaves them out where they are damaged or have left the disk.
    """

    path: str
    network: str | None = None
    sha256: str | None = None
    id: int | None = None
    stage: int | None = None
    epoch: int | None = None
    step: int | None = None
    optional: bool = False


@dataclass(frozen=True)
class Plan:
    """One attempt. `job` is None for work in the foreground.

    `run_dir` is the attempt's folder, `data_dir` where MindRecords are built and kept, `inputs` the checkpoints to
    evaluate, export, infer with or start from, `resume` the checkpoint from which a training goes on (None: from its
    beginning). `threads` is how many CPU threads each rank may use. `rank_table` is the file of HCCL's rank table,
    where there is one. `time_limit` is how many seconds the attempt may take. `allowed` are the folders
    below which all its paths must lie (none: anywhere).
    """

    kind: JobKind
    spec: Spec
    run_dir: str
    data_dir: str
    ranks: tuple[RankPlace, ...]
    device_target: str = CPU
    job: int | None = None
    attempt: int = 1
    inputs: tuple[CheckpointFile, ...] = ()
    resume: CheckpointFile | None = None
    threads: int = 1
    rank_table: str | None = None
    time_limit: float | None = None
    allowed: tuple[str, ...] = ()

    @property
    def world_size(self) -> int:
        """How many ranks there are on all hosts together."""
        return len(self.ranks)

    def on_host(self, host: str) -> tuple[RankPlace, ...]:
        """The ranks of one host, by local rank."""
        own = (place for place in self.ranks if place.host == host)
        return tuple(sorted(own, key=lambda place: place.local_rank))

    def device_at(self, host: str, index: int) -> int:
        """The logical id of the device with this index among the host's, counted as its ranks see them.

        -1 where the host has no such device.
        """
        devices = sorted(place.device for place in self.on_host(host))
        return devices[index] if 0 <= index < len(devices) else -1

    def report_path(self, rank: int) -> Path:
        """The file to which `rank` appends its reports."""
        return Path(self.run_dir, "reports", f"rank_{rank}.jsonl")

    def log_path(self, rank: int) -> Path:
        """The file that has the standard output and error of `rank`."""
        return Path(self.run_dir, "logs", f"rank_{rank}.log")

    @property
    def checkpoint_dir(self) -> Path:
        """Where the attempt's checkpoints and their manifest lie."""
        return Path(self.run_dir, "checkpoints")


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """A JSON-ready mapping of the plan."""
    return {"version": VERSION, **asdict(plan), "spec": spec_to_dict(plan.spec)}


def plan_from_dict(document: Mapping[str, Any]) -> Plan:
    """The plan of such a mapping; raises UsageError for another version and for what is not valid."""
    try:
        return _plan(dict(document))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the plan cannot be read ({type(error).__name__}: {error}): let the program that reads it write it"
        ) from error


def _plan(values: dict[str, Any]) -> Plan:
    if (version := values.pop("version", None)) not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise UsageError(f"the plan's version is {version!r}: this program reads {known}; use one version of it")
    values["kind"] = JobKind(values["kind"])
    values["spec"] = spec_from_dict(values["spec"])
    values["ranks"] = tuple(RankPlace(**place) for place in values["ranks"])
    values["inputs"] = tuple(CheckpointFile(**checkpoint) for checkpoint in values["inputs"])
    values["allowed"] = tuple(values.get("allowed", ()))
    values["resume"] = CheckpointFile(**values["resume"]) if values["resume"] else None
    return Plan(**values)


def write_plan(plan: Plan, path: Path) -> None:
    """Write atomically: temp file, fsync, rename."""
    write_atomically(path, json.dumps(plan_to_dict(plan), indent=2, allow_nan=False).encode() + b"\n")


def read_plan(path: Path) -> Plan:
    """The plan in a file; raises OSError or UsageError."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"the plan {path} is not JSON ({error}): it was cut or written by something else") from error
    return plan_from_dict(document)
