"""Which checkpoint is best. Only evaluations of one dataset, split, protocol and size are compared, never others.

They are of the checkpoints' networks themselves: what another engine made of a converted model tells of that engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Row, Select, or_, select, union
from sqlalchemy.orm import InstrumentedAttribute, Session

from erfnet_jobs.choices import CLASSES, ENCODER, ERFNET, FULL, HALF
from erfnet_jobs.errors import NotFound
from erfnet_jobs.registry.figures import Figure, figure_of
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.tables import Checkpoint, Evaluation

DEFAULT_SPLIT = "val"
# Which group is compared where no protocol is asked for; the encoder alone (encoder-half, encoder-full) comes last.
PREFERENCE: Mapping[str, int] = {HALF: 2, FULL: 1}


@dataclass(frozen=True)
class Group:
    """What two evaluations must share to be compared; height and width in pixels."""

    dataset_hash: str
    split: str
    protocol: str
    height: int
    width: int

    @property
    def network(self) -> str:
        """Which network was measured; the encoder's protocols are called after it."""
        return ENCODER if self.protocol.startswith(ENCODER) else ERFNET


@dataclass(frozen=True)
class BestRow:
    """A checkpoint's evaluation. `checkpoint` and `job` (which trained it) are None where the registry has none."""

    value: float
    checkpoint: int | None
    path: str
    job: int | None
    attempt: int | None
    stage: int | None
    epoch: int | None
    step: int | None
    evaluation: Evaluation


@dataclass(frozen=True)
class BestResult:
    """The best evaluations of `group`, best first; `other_groups` of the same split were not compared."""

    metric: str
    group: Group
    rows: tuple[BestRow, ...]
    other_groups: int


def best(
    session: Session,
    metric: str,
    *,
    split: str | None = None,
    dataset_hash: str | None = None,
    protocol: str | None = None,
    size: tuple[int, int] | None = None,
    job: int | None = None,
    network: str | None = None,
    top: int = 1,
) -> BestResult:
    """The `top` best evaluations of one group by `metric`, of checkpoints whose files are still there.

    The group is that of the newest evaluation which has the given split (None: 'val'), dataset hash (or the beginning
    of it), protocol and size (height, width); where `protocol` is None 'half' goes first, then 'full', then what
    measured the encoder alone. With `job`, only evaluations of that job's checkpoints, and those that the job made,
    count; with `network`, only those of that network. Equal values are in order of evaluation. Raises UsageError for an
    unknown metric, NotFound where there is nothing to compare.
    """
    figure = figure_of(metric)
    wanted = split or DEFAULT_SPLIT
    rows = None if job is None else _rows_of_job(session, job)
    groups = _groups(session, wanted) if rows is None else _groups_of(rows, wanted)
    of_network = {group: newest for group, newest in groups.items() if network in (None, group.network)}
    group = choose_group(of_network, dataset_hash, protocol, size)
    if group is None:
        raise NotFound(_nothing(wanted, dataset_hash, protocol, size, job))
    found = _best_of(session, figure, group, top) if rows is None else _sorted(rows, figure, group, top)
    if not found:
        raise NotFound(_none_left(group, figure))
    return BestResult(metric, group, tuple(found), other_groups=len(groups) - 1)


def _none_left(group: Group, figure: Figure) -> str:
    where = f"{group.split} of dataset {group.dataset_hash[:12]} ({group.protocol}, {group.height}x{group.width})"
    remedy = "evaluate one that is there with 'erfnet-jobs submit eval'"
    if figure.train_id is None:
        return f"all checkpoints evaluated on {where} have been removed from disk: {remedy}"
    missing = f"no checkpoint on disk has an IoU of {CLASSES[figure.train_id]} on {where}, where it may not occur"
    return f"{missing}: name another class, or {remedy}"


def _nothing(
    split: str, dataset_hash: str | None, protocol: str | None, size: tuple[int, int] | None, job: int | None
) -> str:
    asked = {
        "of job": job,
        "on dataset": dataset_hash,
        "with protocol": protocol,
        "at size": f"{size[0]}x{size[1]}" if size else None,
    }
    narrowed = "".join(f" {words} {value}" for words, value in asked.items() if value is not None)
    return (
        f"there is no evaluation on split {split}{narrowed}: make one with 'erfnet-jobs submit eval', "
        "or ask for another --split or --protocol"
    )


def _columns() -> tuple[InstrumentedAttribute[Any], ...]:
    return (Evaluation.dataset_hash, Evaluation.protocol, Evaluation.height, Evaluation.width)


def _groups(session: Session, split: str) -> dict[Group, int]:
    """The split's groups and the newest evaluation of each, by a few seeks in the index for each, from its end."""
    columns = _columns()
    backwards = (
        select(*columns, Evaluation.id)
        .where(Evaluation.split == split, Evaluation.model_sha256.is_(None))
        .order_by(*(column.desc() for column in (*columns, Evaluation.id)))
        .limit(1)
    )
    groups: dict[Group, int] = {}
    row = session.execute(backwards).one_or_none()
    while row is not None:
        dataset_hash, protocol, height, width, newest = row
        groups[Group(dataset_hash, split, protocol, height, width)] = newest
        row = _row_before(session, backwards, tuple(row))
    return groups


def _row_before(
    session: Session, backwards: Select[tuple[Any, ...]], values: tuple[Any, ...]
) -> Row[tuple[Any, ...]] | None:
    """The first row of another group: width lower, or else height lower, or else protocol, or else dataset.

    SQLite compares (a, b) < (?, ?) by reading every row of an equal pair; columns one by one it seeks.
    """
    columns = _columns()
    for last in reversed(range(len(columns))):
        equal = (column == value for column, value in zip(columns[:last], values, strict=False))
        if row := session.execute(backwards.where(*equal, columns[last] < values[last])).one_or_none():
            return row
    return None


def choose_group(
    groups: Mapping[Group, int],
    dataset_hash: str | None = None,
    protocol: str | None = None,
    size: tuple[int, int] | None = None,
) -> Group | None:
    """Which of the groups, each with its newest evaluation, is compared; None where none fits."""
    fitting = [
        group
        for group in groups
        if group.dataset_hash.startswith(dataset_hash or "")
        and protocol in (None, group.protocol)
        and size in (None, (group.height, group.width))
    ]
    return max(fitting, key=lambda group: (PREFERENCE.get(group.protocol, 0), groups[group]), default=None)


def _evaluated() -> Select[tuple[Evaluation, Checkpoint]]:
    """Evaluations of networks whose checkpoint's file is still there, or is not known to the registry."""
    there = or_(Evaluation.checkpoint_id.is_(None), Checkpoint.removed_at.is_(None))
    rows = select(Evaluation, Checkpoint).outerjoin(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
    return rows.where(there, Evaluation.model_sha256.is_(None))


def _best_of(session: Session, figure: Figure, group: Group, top: int) -> list[BestRow]:
    value = figure.column(session)
    columns = (Evaluation.dataset_hash, Evaluation.split, *_columns()[1:])
    rows = _evaluated().where(*(column == value for column, value in zip(columns, astuple(group), strict=True)))
    rows = rows.where(value.is_not(None))
    if figure.higher_is_better:
        rows = rows.order_by(value.desc(), Evaluation.id.desc())
    else:
        rows = rows.order_by(value, Evaluation.id)
    found = session.execute(rows.limit(top))
    return [row for evaluation, checkpoint in found if (row := _row(figure, evaluation, checkpoint))]


def evaluations_of_job(job: int) -> CompoundSelect[tuple[int]]:
    """The ids of the evaluations that a job made and of those of its checkpoints.

    A union, for PostgreSQL reads the whole table for an OR of the two.
    """
    own = select(Evaluation.id).join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
    return union(select(Evaluation.id).where(Evaluation.job_id == job), own.where(Checkpoint.job_id == job))


def _rows_of_job(session: Session, job: int) -> list[tuple[Evaluation, Checkpoint | None]]:
    get_job(session, job)
    rows = _evaluated().where(Evaluation.id.in_(evaluations_of_job(job)))
    return [(evaluation, checkpoint) for evaluation, checkpoint in session.execute(rows)]


def group_of(evaluation: Evaluation) -> Group:
    """What it may be compared with."""
    return Group(evaluation.dataset_hash, evaluation.split, evaluation.protocol, evaluation.height, evaluation.width)


def _groups_of(rows: Iterable[tuple[Evaluation, Checkpoint | None]], split: str) -> dict[Group, int]:
    ascending = sorted((evaluation.id, group_of(evaluation)) for evaluation, _ in rows if evaluation.split == split)
    return {group: newest for newest, group in ascending}


def _sorted(
    rows: Sequence[tuple[Evaluation, Checkpoint | None]], figure: Figure, group: Group, top: int
) -> list[BestRow]:
    compared = [one for one in rows if group_of(one[0]) == group]
    found = [row for evaluation, checkpoint in compared if (row := _row(figure, evaluation, checkpoint))]
    found.sort(key=lambda row: (row.value, row.evaluation.id), reverse=figure.higher_is_better)
    return found[:top]


def _row(figure: Figure, evaluation: Evaluation, checkpoint: Checkpoint | None) -> BestRow | None:
    """None where the evaluation does not have the figure."""
    value = figure.of(evaluation)
    if value is None:
        return None
    if checkpoint is None:
        path = evaluation.checkpoint_path
        return BestRow(value, evaluation.checkpoint_id, path, None, None, None, None, None, evaluation)
    return BestRow(
        value=value,
        checkpoint=checkpoint.id,
        path=checkpoint.path,
        job=checkpoint.job_id,
        attempt=checkpoint.attempt,
        stage=checkpoint.stage,
        epoch=checkpoint.epoch,
        step=checkpoint.step,
        evaluation=evaluation,
    )
