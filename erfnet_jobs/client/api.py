"""Submit jobs, follow them, and ask for what came of them.

Everything it returns is a JSON-ready document (erfnet_jobs.client.documents); every error is one of erfnet_jobs.errors.
"""

import getpass
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.allowed_paths import allowed_roots, check_allowed, paths_of_spec
from erfnet_jobs.broker import Broker
from erfnet_jobs.client import submission
from erfnet_jobs.client.data_folders import data_fault
from erfnet_jobs.client.documents import (
    Document,
    best_documents,
    checkpoint_document,
    details_document,
    evaluation_document,
    event_document,
    host_document,
    job_document,
    tail_document,
    value_document,
)
from erfnet_jobs.client.rows import HostsSeen, insert_jobs, plan_document, with_needs
from erfnet_jobs.errors import BadCheckpoint, BadData, BrokerUnreachable, NotFound, RegistryNotMigrated
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry import checkpoints, evaluations, hosts, jobs, logs, metrics, status
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.tables import Evaluation
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.states import PLACED, TERMINAL, JobKind, JobState

WAIT_INTERVAL = 0.5
_LOGGER = logging.getLogger(__name__)


def this_user() -> Actor:
    """Who submits: the user as the operating system names them (the number where it has no name), and this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return Actor(user, socket.gethostname())


class Client:
    """Talks to the registry and the queues of `settings`; connects when first needed. Not for several threads.

    `warn` is told what the user should know although the call succeeded.
    """

    def __init__(self, settings: Settings | None = None, warn: Callable[[str], None] = _LOGGER.warning) -> None:
        self.settings = settings or load_settings()
        self.warn = warn
        self.actor = this_user()
        self._broker: Broker | None = None
        self._hosts = HostsSeen()
        self._hosts_missed = False

    @cached_property
    def registry(self) -> Registry:
        """The registry of the settings."""
        return Registry(self.settings.resolved_database_url)

    @property
    def broker(self) -> Broker:
        """The queues, which answered when they were last used; raises BrokerUnreachable."""
        if self._broker is None:
            broker = Broker(self.settings.resolved_broker_url)
            broker.ping()
            self._broker = broker
        return self._broker

    def close(self) -> None:
        """Close all connections."""
        self._forget_broker()
        if "registry" in self.__dict__:
            self.__dict__.pop("registry").close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def submit(self, request: Request, *, then: Sequence[JobKind] = (), evaluate: bool = True) -> list[Document]:
        """Hand in a job and, after a training, those that follow it: all of them or none.

        The first document is the job asked for. `evaluate` adds an evaluation of all its checkpoints, `then` jobs that
        use the best of them. Once the jobs are in the registry they will run: a message that cannot be sent is only
        warned of. Raises BadData and BadCheckpoint for inputs that are not there, NoHostFits, BrokerUnreachable,
        UsageError and NotFound; then nothing has been written.
        """
        request = self._checked(request, then, evaluate)
        _ = self.broker
        with self.registry.write() as session:
            request = with_needs(session, request)
            self._check_hosts(session, request)
            rows = insert_jobs(session, request, self.actor, then=then, evaluate=evaluate)
            documents = [job_document(row) for row in rows]
        self._wake(documents)
        return documents

    def plan(self, request: Request, *, then: Sequence[JobKind] = (), evaluate: bool = True) -> Document:
        """What `submit` would do, as a document; writes and sends nothing, and needs no registry."""
        request = self._checked(request, then, evaluate)
        try:
            with self.registry.read() as session:
                request = with_needs(session, request)
                self._check_hosts(session, request)
                fitting = self._hosts.fitting(session, request)
        except RegistryNotMigrated:
            fitting = []
        requests = [request, *submission.follow_ups(request, "JOB", evaluate, then)]
        return {"jobs": [plan_document(each) for each in requests], "hosts": fitting}

    def cancel(self, job_ids: Sequence[int]) -> list[Document]:
        """Cancel jobs: what waits at once, what runs as a wish that its supervisors read; those that ended stay.

        Raises NotFound, and then nothing is cancelled.
        """
        with self.registry.write() as session:
            for job_id in job_ids:
                jobs.get_job(session, job_id)
            # By id, as all do that lock several jobs.
            for job_id in sorted(set(job_ids)):
                request_cancel(session, job_id, self.actor)
            documents = [job_document(jobs.get_job(session, job_id)) for job_id in job_ids]
        placed = [job for job in documents if job["state"] in PLACED]
        self._send(lambda broker: _wake_cancel(broker, placed), len(placed), "the jobs are told with their next beat")
        return documents

    def _checked(self, request: Request, then: Sequence[JobKind], evaluate: bool) -> Request:
        """The request with absolute paths; what is not there is an error where this machine will run it."""
        request = replace(request, spec=submission.with_absolute_paths(request.spec))
        check_allowed(paths_of_spec(request.spec), allowed_roots(self.settings))
        faults = [fault for path in submission.input_paths(request.spec) if (fault := submission.fault_of(*path))]
        for fault in faults:
            self._refuse(fault)
        submission.check_followers(request, evaluate, then)
        if not faults and (unfit := data_fault(request.spec, evaluate, then)):
            self._refuse(unfit)
        return request

    def _refuse(self, fault: BadData | BadCheckpoint) -> None:
        if self.registry.sqlite:
            raise fault
        self.warn(f"{fault} (on this machine; the host that runs the job checks its own)")

    def _check_hosts(self, session: Session, request: Request) -> None:
        if not self._hosts.check(session, request) and not self._hosts_missed:
            self._hosts_missed = True
            self.warn("no host is registered yet: the job waits until one is; start one with 'erfnet-jobs up'")

    def _wake(self, documents: Sequence[Document]) -> None:
        queued = [job for job in documents if job["state"] == JobState.QUEUED]
        otherwise = "the job is in the registry, and workers look there by themselves"
        self._send(lambda broker: _wake_place(broker, queued), len(queued), otherwise)

    def _send(self, send: Callable[[Broker], None], count: int, otherwise: str) -> None:
        if not count:
            return
        try:
            send(self.broker)
        except BrokerUnreachable as error:
            self._forget_broker()
            self.warn(f"{error}; {otherwise}")

    def _forget_broker(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            broker.close()

    def job(self, job_id: int) -> Document:
        """One job; raises NotFound."""
        with self.registry.read() as session:
            return job_document(jobs.get_job(session, job_id))

    def details(self, job_id: int) -> Document:
        """One job with its attempts, events, checkpoints, evaluations, artifacts and logs; raises NotFound."""
        with self.registry.read() as session:
            return details_document(status.job_details(session, job_id))

    def jobs(self, limit: int = 20, states: Iterable[JobState] | None = None) -> list[Document]:
        """Jobs that go on first, then the newest that have ended."""
        with self.registry.read() as session:
            return [job_document(job) for job in status.list_jobs(session, limit, states)]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state that is not an end."""
        with self.registry.read() as session:
            return {str(state): count for state, count in status.count_by_state(session).items()}

    def wait(
        self,
        job_id: int,
        timeout: float | None = None,
        told: Callable[[Document], None] | None = None,
        interval: float = WAIT_INTERVAL,
    ) -> Document:
        """The job once it has ended, or as it is after `timeout` seconds; `told` sees it at each look.

        Asks the registry only, so it works without Redis. Raises NotFound.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            job = self.job(job_id)
            if told:
                told(job)
            if job["state"] in TERMINAL or (deadline is not None and time.monotonic() >= deadline):
                return job
            time.sleep(interval)

    def best(
        self,
        metric: str = "mean_iou",
        *,
        split: str | None = None,
        size: tuple[int, int] | None = None,
        dataset_hash: str | None = None,
        protocol: str | None = None,
        job: int | None = None,
        top: int = 1,
    ) -> list[Document]:
        """The best checkpoints by a metric, best first, all measured alike; raises UsageError or NotFound."""
        with self.registry.read() as session:
            found = evaluations.best(
                session,
                metric,
                split=split,
                size=size,
                dataset_hash=dataset_hash,
                protocol=protocol,
                job=job,
                top=top,
            )
            return best_documents(found)

    def checkpoints(self, job: int | None = None, limit: int = 50, removed: bool = False) -> list[Document]:
        """The newest checkpoints, of one job or of all; with `removed` also those that have left the disk."""
        with self.registry.read() as session:
            found = checkpoints.list_checkpoints(session, job, with_removed=removed, limit=limit)
            return [checkpoint_document(checkpoint) for checkpoint in found]

    def checkpoint(self, reference: str) -> Document:
        """One checkpoint with its evaluations, named by id, path, JOB:best or JOB:last; raises NotFound."""
        with self.registry.read() as session:
            number = reference if reference.isdecimal() else checkpoints.resolve_checkpoints(session, reference)[0].id
            if number is None:
                raise NotFound(
                    f"{reference} is no checkpoint of this registry: 'erfnet-jobs checkpoints list' lists them"
                )
            row = checkpoints.get_checkpoint(session, int(number))
            measured = session.scalars(
                select(Evaluation).where(Evaluation.checkpoint_id == row.id).order_by(Evaluation.id)
            )
            return {**checkpoint_document(row), "evaluations": [evaluation_document(each) for each in measured]}

    def hosts(self) -> list[Document]:
        """All registered hosts with their devices and the jobs on them."""
        with self.registry.read() as session:
            return [host_document(host) for host in hosts.list_hosts(session)]

    def metrics(self, job_id: int, name: str, limit: int | None = None) -> list[Document]:
        """The values of one metric by stage and step; raises NotFound."""
        with self.registry.read() as session:
            return [value_document(value) for value in metrics.metric_series(session, job_id, name, limit)]

    def newest_metrics(self, job_id: int) -> list[Document]:
        """The newest value of each of a job's metrics; raises NotFound."""
        with self.registry.read() as session:
            return [value_document(value) for value in metrics.newest_values(session, job_id)]

    def events(self, job: int | None = None, host: str | None = None, limit: int = 50) -> list[Document]:
        """What happened, oldest first: to one job, to one host, or at all."""
        with self.registry.read() as session:
            if job is not None:
                found = logs.job_events(session, job, limit)
            elif host is not None:
                found = logs.host_events(session, host, limit)
            else:
                found = logs.newest_events(session, limit)
            return [event_document(event) for event in reversed(found)]

    def log_tails(self, job_id: int, attempt: int | None = None, rank: int | None = None) -> list[Document]:
        """The ends of a job's logs, by rank, and where the files are; raises NotFound."""
        with self.registry.read() as session:
            return [tail_document(tail) for tail in logs.log_tails(session, job_id, attempt, rank)]


def _wake_place(broker: Broker, queued: Iterable[Document]) -> None:
    for job in queued:
        broker.wake_place(job["id"], JobKind(job["kind"]))


def _wake_cancel(broker: Broker, placed: Iterable[Document]) -> None:
    for job in placed:
        for host in job["hosts"]:
            broker.wake_cancel(job["id"], job["attempt"], host)
