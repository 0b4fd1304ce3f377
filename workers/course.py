"""A supervisor's talk with the registry: the lease, the rows, the end. All of it waits while the registry is away."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from erfnet_jobs.errors import ErfnetJobsError
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.plan import Plan
from erfnet_jobs.registry.attempts import (
    End,
    beat,
    end_part,
    lock_attempt,
    publish_scheduler,
    report_running,
)
from erfnet_jobs.registry.devices import cordon
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.tables import Attempt, Host
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import JobKind, Outcome
from workers.leftovers import checkpoints_gone, forget
from workers.reaper import cordon_reason
from workers.records import Records

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Synced:
    """What a round trip learned.

    `is_over`: the lease is gone or the attempt has ended; nothing more is to be written. `wants_cancel`: the user
    does. `more`: there are reports still to be stored.
    """

    is_over: bool = False
    wants_cancel: bool = False
    more: bool = False


class Course:
    """What one part of an attempt tells the registry, and learns there."""

    def __init__(self, plan: Plan, settings: Settings, registry: Registry) -> None:
        self._plan = plan
        self._settings = settings
        self._registry = registry
        self._key = PartKey(plan.job or 0, plan.attempt, settings.host_name)
        self._silent = {place.rank for place in plan.on_host(settings.host_name)}
        self._leads = 0 in self._silent
        self._records: Records | None = None
        self.is_running = False

    def publish(self, scheduler: tuple[str, int]) -> None:
        """Tell the other hosts where MindSpore's scheduler listens."""
        with self._registry.write() as session:
            publish_scheduler(session, self._key.job, self._key.attempt, *scheduler)

    def sync(self) -> Synced:
        """Beat, and store what is new, in one transaction; raises ErfnetJobsError while the registry is away."""
        job, attempt, host = self._key.job, self._key.attempt, self._key.host
        with self._registry.write() as session:
            lock_attempt(session, job, attempt)
            pulse = beat(session, job, attempt, host, os.getpid())
            if not pulse.held or not pulse.going:
                return Synced(is_over=True)
            if self._records is None:
                storage = session.scalars(select(Host.storage_id).where(Host.name == host)).one_or_none()
                self._records = Records(self._plan, host, storage)
            batch = self._records.store(session)
            silent = self._silent - batch.hellos
            if not silent and not self.is_running:
                report_running(session, job, attempt, host)
        # Only now is it so: the transaction has been committed.
        self._silent = silent
        self.is_running = not silent
        return Synced(wants_cancel=pulse.cancel, more=batch.more)

    def peek(self) -> Synced:
        """Whether the attempt has ended elsewhere: a cheap question, for between two beats. Raises as `sync`."""
        ended = select(Attempt.outcome).where(
            Attempt.job_id == self._key.job, Attempt.number == self._key.attempt, Attempt.outcome.is_not(None)
        )
        with self._registry.read() as session:
            return Synced(is_over=session.scalars(ended).first() is not None)

    def end(self, result: GangResult) -> bool:
        """Store the last reports and the outcome; devices stay held where processes could not be ended.

        False where the lease is gone. Raises ErfnetJobsError while the registry is away; then all of it can be tried
        again.
        """
        try:
            while self.sync().more:
                pass
            gone = checkpoints_gone(self._registry, self._key) if self._leads and not result.left else []
            return self._end(result, _end_of(result), gone)
        except ErfnetJobsError:
            raise
        except Exception:
            # An hour's or a month's work: it must not be lost over what can be told of it.
            log.exception("unexpected; the registry is told the bare outcome")
            reason = f"{result.outcome}; its supervisor's log says why no more is known"
            return self._end(result, replace(_end_of(result), reason=reason, last_lines=None), [])

    def _end(self, result: GangResult, end: End, gone: Sequence[int]) -> bool:
        job, attempt, host = self._key.job, self._key.attempt, self._key.host
        with self._registry.write() as session:
            forget(session, gone)
            if result.left:
                devices = [place.device for place in self._plan.on_host(host)]
                cordon(session, host, devices, cordon_reason(self._key))
            held = end_part(session, job, attempt, host, end, self._settings.retry_delay, clear=not result.left)
        if not held:
            log.warning("the lease is gone: the attempt has ended without this part's outcome")
        return held

    def wake_workers(self) -> None:
        """Tell some worker that devices are free, and jobs that waited for this one may go on."""
        from erfnet_jobs.broker import Broker

        broker = Broker(self._settings.resolved_broker_url)
        broker.wake_place(self._key.job, JobKind(self._plan.kind))
        broker.close()


def _end_of(result: GangResult) -> End:
    texts = {
        Outcome.SUCCEEDED: "all its ranks are done",
        Outcome.CANCELLED: "cancelled by the user",
    }
    reason = result.message or texts.get(result.outcome, str(result.outcome))
    return End(
        outcome=result.outcome,
        reason=reason,
        error=result.error,
        permanent=result.permanent,
        rank=result.failed_rank,
        exit_code=result.exit_code,
        signal=result.signal,
        last_lines="\n".join(result.last_lines) or None,
    )
