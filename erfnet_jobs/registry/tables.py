"""The registry's tables. Times are UTC; ids are per registry and only ever grow."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    desc,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from erfnet_jobs.choices import EVALUATION_METRICS

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
# SQLite gives 64-bit rowids to INTEGER PRIMARY KEY only; AUTOINCREMENT keeps a deleted row's id from coming back.
Id = BigInteger().with_variant(Integer(), "sqlite")
AUTOINCREMENT = {"sqlite_autoincrement": True}
# What two evaluations must share to be compared, which converted models never are.
EVALUATION_GROUP = ("split", "dataset_hash", "protocol", "height", "width")
OF_NETWORKS = text("model_sha256 IS NULL")


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database; SQLite keeps them without their zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; without zone for SQLite."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base names it
        """To aware UTC."""
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of them."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {datetime: UtcTime, str: Text, int: BigInteger}  # noqa: RUF012 - SQLAlchemy's own attribute


class RegistryIdentity(Base):
    """One row: which registry this is. Run folders carry it, so that two registries never share one."""

    __tablename__ = "identity"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    uuid: Mapped[str]
    created_at: Mapped[datetime]


class JobGroup(Base):
    """Jobs that were submitted together."""

    __tablename__ = "job_group"
    __table_args__ = AUTOINCREMENT
    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    created_at: Mapped[datetime]


class Job(Base):
    """What a user asked for, its state, and how far its newest attempt is.

    `attempt` is the number of the newest attempt (0: none yet) and fences every write. `host_name` and `devices` (JSON
    list) are what the user demanded; `placed_on` names the hosts it got. `cancel_requested` is a wish that
    supervisors read with every beat. `time_limit` is in seconds for each attempt. `rank_table` is a user's own rank
    table (JSON text), and `pinned` what it means here: a JSON list of [host, [logical device ids]], by server.
    `allow_cpu` lets a 310-infer job run on CPU slots.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_queue", "state", desc("priority"), "id"),
        Index(None, "state", "id"),
        Index(None, "group_id"),
        AUTOINCREMENT,
    )
    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("job_group.id"))
    kind: Mapped[str]
    name: Mapped[str | None]
    state: Mapped[str]
    reason: Mapped[str | None]
    priority: Mapped[int] = mapped_column(default=0)
    cards: Mapped[int]
    max_attempts: Mapped[int]
    host_name: Mapped[str | None]
    devices: Mapped[str | None]
    storage_id: Mapped[str | None]
    spec: Mapped[str]
    user_name: Mapped[str]
    user_host: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    placed_on: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    not_before: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    phase: Mapped[str | None]
    fraction: Mapped[float | None]
    stage: Mapped[int | None]
    epoch: Mapped[int | None]
    epochs: Mapped[int | None]
    step: Mapped[int | None]
    steps: Mapped[int | None]
    loss: Mapped[float | None]
    lr: Mapped[float | None]
    images_per_second: Mapped[float | None]
    eta_seconds: Mapped[float | None]
    mean_iou: Mapped[float | None]
    time_limit: Mapped[float | None]
    rank_table: Mapped[str | None]
    pinned: Mapped[str | None]
    allow_cpu: Mapped[bool] = mapped_column(default=False, server_default=false())


class JobDependency(Base):
    """`job_id` waits until `needs_job_id` has succeeded, and is skipped when that does not."""

    __tablename__ = "job_dependency"
    __table_args__ = (Index(None, "needs_job_id"),)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    needs_job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)


class Attempt(Base):
    """One execution of a job. `outcome` is None while it goes on; it is set once.

    `failed_rank` ended first, with `exit_code` or `signal`; `last_lines` are the end of its log. `permanent` says that
    trying again cannot help. The scheduler's address is published by the host of rank 0.
    """

    __tablename__ = "attempt"
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    run_dir: Mapped[str]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    error: Mapped[str | None]
    permanent: Mapped[bool] = mapped_column(default=False)
    failed_rank: Mapped[int | None]
    exit_code: Mapped[int | None]
    signal: Mapped[int | None]
    last_lines: Mapped[str | None]
    scheduler_host: Mapped[str | None]
    scheduler_port: Mapped[int | None]
    resumed_from: Mapped[int | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Placement(Base):
    """An attempt's part on one host: its devices (JSON list of logical ids) and the rank of the first of them.

    It holds its devices until its state is `ended`, which its host says when no process of it is left.
    """

    __tablename__ = "placement"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "attempt"], ["attempt.job_id", "attempt.number"]),
        Index(None, "state", "host_name"),
    )
    job_id: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    host_name: Mapped[str] = mapped_column(ForeignKey("host.name"), primary_key=True)
    devices: Mapped[str]
    first_rank: Mapped[int]
    state: Mapped[str]


class Lease(Base):
    """The pulse of a supervisor: a counter that it increments. The row goes when its part ends or is lost.

    `beaten_at` only tells which counters are worth watching.
    """

    __tablename__ = "lease"
    __table_args__ = (ForeignKeyConstraint(["job_id", "attempt"], ["attempt.job_id", "attempt.number"]),)
    job_id: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    host_name: Mapped[str] = mapped_column(primary_key=True)
    counter: Mapped[int] = mapped_column(default=0)
    pid: Mapped[int | None]
    beaten_at: Mapped[datetime | None]


class Host(Base):
    """A machine with a worker. `beat` is its worker's pulse; `instance` tells one run of the worker from the next.

    `family` is what its devices are ('cpu', '910A', '310P', ...): a gang has one family. `present`, `usable` and
    `free` are its devices, those in health, and those of them that no attempt holds, as ranges of ids ('0-3,6');
    `second_half` those of a 910A host with physical ids from 4 on: what a placement pass reads. `infers_310`: its
    worker found the C++ program of 310-infer jobs when it started, or is of a version that does not look for it.
    """

    __tablename__ = "host"
    name: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str]
    storage_id: Mapped[str]
    version: Mapped[str]
    instance: Mapped[str]
    drained: Mapped[bool] = mapped_column(default=False)
    beat: Mapped[int] = mapped_column(default=0)
    registered_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    family: Mapped[str] = mapped_column(default="cpu", server_default="cpu")
    present: Mapped[str] = mapped_column(default="", server_default="")
    usable: Mapped[str] = mapped_column(default="", server_default="")
    free: Mapped[str] = mapped_column(default="", server_default="")
    second_half: Mapped[str] = mapped_column(default="", server_default="")
    infers_310: Mapped[bool] = mapped_column(default=True, server_default=true())
    driver: Mapped[str | None]
    cann: Mapped[str | None]
    trouble: Mapped[str | None]


class Device(Base):
    """A device of a host by its logical id. `cordoned` holds the reason why no job may have it.

    `fit`: its health lets jobs have it, by its host's settings. `busy` says which processes that are none of ours are
    on it. `cores` are the host's cores near it ('0-23').
    """

    __tablename__ = "device"
    host_name: Mapped[str] = mapped_column(ForeignKey("host.name"), primary_key=True)
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    name: Mapped[str]
    generation: Mapped[str | None]
    health: Mapped[str]
    present: Mapped[bool] = mapped_column(default=True)
    fit: Mapped[bool] = mapped_column(default=True, server_default=true())
    cordoned: Mapped[str | None]
    busy: Mapped[str | None]
    error_code: Mapped[str | None]
    npu_id: Mapped[int | None] = mapped_column(Integer)
    chip_id: Mapped[int | None] = mapped_column(Integer)
    physical_id: Mapped[int | None] = mapped_column(Integer)
    device_ip: Mapped[str | None]
    link: Mapped[str | None]
    cores: Mapped[str | None]
    memory: Mapped[int | None]


class Checkpoint(Base):
    """Weights on disk. `origin` is 'train', 'import' or 'path'; `removed_at` says when the file left the disk.

    `source` says from which file imported weights came, with its SHA-256.
    """

    __tablename__ = "checkpoint"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "path"),
        Index(None, "path"),
        AUTOINCREMENT,
    )
    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int | None]
    network: Mapped[str]
    stage: Mapped[int | None]
    epoch: Mapped[int | None]
    step: Mapped[int | None]
    path: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    origin: Mapped[str]
    source: Mapped[str | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class Artifact(Base):
    """A file that a job made for its user: an exported model, a picture, a table.

    `difference` is how far an exported model's logits are from the network's, as a share of the largest logit;
    `made_from` is the SHA-256 of the file that it was converted from, None where it came from the network itself.
    """

    __tablename__ = "artifact"
    __table_args__ = (Index(None, "job_id"), Index(None, "checkpoint_id"), Index(None, "sha256"), AUTOINCREMENT)
    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int]
    checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoint.id"))
    format: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    difference: Mapped[float | None]
    made_from: Mapped[str | None]
    created_at: Mapped[datetime]


def _of_networks(name: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=OF_NETWORKS, postgresql_where=OF_NETWORKS)


class Evaluation(Base):
    """Metrics of one model on one dataset, split, protocol, size and engine.

    `iou_class` is JSON, 19 numbers or nulls, `iou_category` likewise for Cityscapes' 7 categories. `model_sha256` is
    the converted model that another engine ran, None where the checkpoint's network itself was measured.
    """

    __tablename__ = "evaluation"
    __table_args__ = (
        *(_of_networks(f"ix_evaluation_by_{last}", *EVALUATION_GROUP, last, "id") for last in EVALUATION_METRICS),
        _of_networks("ix_evaluation_newest", *EVALUATION_GROUP, "id"),
        Index(None, "checkpoint_id"),
        Index(None, "job_id"),
        AUTOINCREMENT,
    )
    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int]
    checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoint.id"))
    checkpoint_path: Mapped[str]
    dataset_hash: Mapped[str]
    split: Mapped[str]
    protocol: Mapped[str]
    height: Mapped[int]
    width: Mapped[int]
    engine: Mapped[str]
    images: Mapped[int]
    mean_iou: Mapped[float]
    mean_iou_19: Mapped[float]
    pixel_accuracy: Mapped[float]
    mean_loss: Mapped[float | None]
    iou_class: Mapped[str]
    mean_iou_category: Mapped[float | None]
    iou_category: Mapped[str | None]
    model_sha256: Mapped[str | None]
    images_per_second: Mapped[float | None]
    created_at: Mapped[datetime]


class Metric(Base):
    """A value at a step. The key is in the order in which `metrics JOB --name` reads, and the table is that order."""

    __tablename__ = "metric"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own attribute
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    stage: Mapped[int] = mapped_column(Integer, primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    value: Mapped[float]


class LogTail(Base):
    """The newest part of a rank's log (capped), and how far its report and log files have been read (bytes)."""

    __tablename__ = "log_tail"
    __table_args__ = (ForeignKeyConstraint(["job_id", "attempt"], ["attempt.job_id", "attempt.number"]),)
    job_id: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    host_name: Mapped[str]
    path: Mapped[str]
    text: Mapped[str] = mapped_column(default="")
    log_bytes: Mapped[int] = mapped_column(default=0)
    report_bytes: Mapped[int] = mapped_column(default=0)


class Event(Base):
    """The audit log: what happened to a job or a host, and who asked for it."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "job_id", "id"), Index(None, "host_name", "id"), AUTOINCREMENT)
    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    text: Mapped[str]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int | None]
    host_name: Mapped[str | None]
    user_name: Mapped[str | None]
    user_host: Mapped[str | None]
