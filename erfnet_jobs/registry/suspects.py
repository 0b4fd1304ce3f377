"""What a worker's look-out has to watch: what has not been heard of lately, and parts that have not started yet."""

from dataclasses import dataclass, field

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from erfnet_jobs.registry.events import clock
from erfnet_jobs.registry.parts import UNSTARTED, PartKey
from erfnet_jobs.registry.tables import Attempt, Host, Lease, Placement
from erfnet_jobs.states import PartState

Question = Select[tuple[str, int, int, str, int, str]]
OLD = "old"


@dataclass
class Suspects:
    """Leases and hosts whose pulse is older than it should be, with their counters, and parts that are to start.

    Nobody is lost for being here: that takes a counter that stands still by an observer's own clock. `old` are the
    hosts whose pulse is so old that nothing should be given to them meanwhile. `live` is how many workers have been
    heard of lately.
    """

    leases: dict[PartKey, int] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)
    old: set[str] = field(default_factory=set)
    late: dict[PartKey, PartState] = field(default_factory=dict)
    live: int = 0


def find_suspects(session: Session, fresh: float, old: float) -> Suspects:
    """One question to the registry; a pulse is fresh for `fresh` seconds of the registry's clock, old after `old`.

    A pulse from the future is not fresh: the clock has been set back since.
    """
    found = Suspects()
    questions = _leases(session, fresh), _hosts(session, fresh, old), _late(), _live(session, fresh)
    for what, job, attempt, host, number, state in session.execute(union_all(*questions)):
        if what == "lease":
            found.leases[PartKey(job, attempt, host)] = number
        elif what == "host":
            found.hosts[host] = number
            if state == OLD:
                found.old.add(host)
        elif what == "late":
            found.late[PartKey(job, attempt, host)] = PartState(state)
        else:
            found.live = number
    return found


def silent_hosts(session: Session, old: float) -> frozenset[str]:
    """The hosts whose worker was not stopped, and has not been heard of for `old` seconds of the registry's clock."""
    return frozenset(
        session.scalars(select(Host.name).where(Host.stopped_at.is_(None), not_(_fresh(session, Host.seen_at, old))))
    )


def _fresh(session: Session, column: InstrumentedAttribute[object], seconds: float) -> ColumnElement[bool]:
    return and_(column >= clock(session, ahead=-seconds), column <= clock(session))


def _leases(session: Session, fresh: float) -> Question:
    rows = select(
        literal("lease"), Lease.job_id, Lease.attempt, Lease.host_name, Lease.counter, cast(literal(""), Text)
    )
    return rows.where(or_(Lease.beaten_at.is_(None), not_(_fresh(session, Lease.beaten_at, fresh))))


def _hosts(session: Session, fresh: float, old: float) -> Question:
    """Not those whose worker was stopped in order, unless a part is to start there."""
    awaited = exists().where(Placement.host_name == Host.name, Placement.state == PartState.ASSIGNED)
    age = case((_fresh(session, Host.seen_at, old), literal("")), else_=literal(OLD))
    rows = select(literal("host"), literal(0), literal(0), Host.name, Host.beat, age)
    return rows.where(not_(_fresh(session, Host.seen_at, fresh)), or_(Host.stopped_at.is_(None), awaited))


def _late() -> Question:
    """Parts of attempts in course that are assigned or starting: nobody should find them so for long."""
    rows = select(
        literal("late"), Placement.job_id, Placement.attempt, Placement.host_name, literal(0), Placement.state
    )
    of_attempt = and_(Attempt.job_id == Placement.job_id, Attempt.number == Placement.attempt)
    return rows.join(Attempt, of_attempt).where(Placement.state.in_(UNSTARTED), Attempt.outcome.is_(None))


def _live(session: Session, fresh: float) -> Question:
    rows = select(literal("live"), literal(0), literal(0), literal(""), func.count(), literal(""))
    return rows.select_from(Host).where(Host.stopped_at.is_(None), _fresh(session, Host.seen_at, fresh))
