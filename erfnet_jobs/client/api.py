"""Submit jobs, follow them, and ask for what came of them.

Everything it returns is a JSON-ready document (erfnet_jobs.client.document); every error is one of erfnet_jobs.errors.
"""

import getpass
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from sqlalchemy.orm import Session

from erfnet_jobs.allowed_paths import allowed_roots, check_allowed, paths_of_spec
from erfnet_jobs.broker import Broker
from erfnet_jobs.client import submission
from erfnet_jobs.client.data_folders import data_fault
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.host_care import cordon_devices, uncordon_devices
from erfnet_jobs.client.host_documents import host_document
from erfnet_jobs.client.job_documents import job_document
from erfnet_jobs.client.pinning import check_rank_table, with_pinned
from erfnet_jobs.client.questions import Questions
from erfnet_jobs.client.rows import HostsSeen, insert_jobs, plan_document, with_needs
from erfnet_jobs.errors import BadCheckpoint, BadData, BrokerUnreachable, RegistryNotMigrated, UsageError
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry import hosts, jobs
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.states import PLACED, JobKind, JobState

# A user who waits longer than that for the registry is told why.
PATIENCE_SECONDS = 2.0
_LOGGER = logging.getLogger(__name__)


def this_user() -> Actor:
    """Who submits: the user as the operating system names them (the number where it has no name), and this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return Actor(user, socket.gethostname())


class Client(Questions):
    """Talks to the registry and the queues of `settings`; connects when first needed. Not for several threads.

    `warn` is told what the user should know although the call succeeded.
    """

    def __init__(self, settings: Settings | None = None, warn: Callable[[str], None] = _LOGGER.warning) -> None:
        super().__init__(settings or load_settings())
        self.warn = warn
        self.actor = this_user()
        self._broker: Broker | None = None
        self._hosts = HostsSeen(self.settings.lease_timeout)
        self._hosts_missed = False

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

    def submit(
        self, request: Request, *, then: Sequence[JobKind] = (), evaluate: bool = True, allow_cpu: bool = False
    ) -> list[Document]:
        """Hand in a job and, after a training, those that follow it: all of them or none.

        The first document is the job asked for. `evaluate` adds an evaluation of all its checkpoints, `then` jobs that
        use the best of them; `allow_cpu` lets a 310-infer job among those have CPU slots. Once the jobs are in the
        registry they will run: a message that cannot be sent is only warned of. Raises BadData and BadCheckpoint for
        inputs that are not there, NoHostFits, BrokerUnreachable, UsageError and NotFound; then nothing is written.
        """
        following = submission.Following(evaluate, tuple(then), allow_cpu)
        request = self._checked(request, following)
        _ = self.broker
        with self._write() as session:
            request = with_pinned(session, with_needs(session, request))
            self._check_hosts(session, request, following)
            rows = insert_jobs(session, request, self.actor, following)
            documents = [job_document(row) for row in rows]
        self._wake(documents)
        return documents

    def plan(
        self, request: Request, *, then: Sequence[JobKind] = (), evaluate: bool = True, allow_cpu: bool = False
    ) -> Document:
        """What `submit` would do, as a document; writes and sends nothing, and needs no registry."""
        following = submission.Following(evaluate, tuple(then), allow_cpu)
        request = self._checked(request, following)
        try:
            with self.registry.read() as session:
                request = with_pinned(session, with_needs(session, request))
                self._check_hosts(session, request, following)
                fitting, now = self._hosts.fitting(session, request), self._hosts.now(session, request)
        except RegistryNotMigrated:
            fitting, now = [], None
        requests = [request, *submission.follow_ups(request, "JOB", following)]
        return {"jobs": [plan_document(each) for each in requests], "hosts": fitting, "now": now}

    def cancel(self, job_ids: Sequence[int]) -> list[Document]:
        """Cancel jobs: what waits at once, what runs as a wish that its supervisors read; those that ended stay.

        Raises NotFound, and then nothing is cancelled.
        """
        with self._write() as session:
            for job_id in job_ids:
                jobs.get_job(session, job_id)
            # By id, as all do that lock several jobs.
            for job_id in sorted(set(job_ids)):
                request_cancel(session, job_id, self.actor)
            documents = [job_document(jobs.get_job(session, job_id)) for job_id in job_ids]
        placed = [job for job in documents if job["state"] in PLACED]
        self._send(lambda broker: _wake_cancel(broker, placed), len(placed), "the jobs are told with their next beat")
        return documents

    @contextmanager
    def _write(self) -> Iterator[Session]:
        """A transaction that writes; who waits long for it is told what for."""
        busy = f"{self.registry.shown_url} is busy: another process writes to it; waiting"
        slow = threading.Timer(PATIENCE_SECONDS, self.warn, [busy])
        slow.daemon = True
        slow.start()
        try:
            with self.registry.write() as session:
                yield session
        finally:
            slow.cancel()

    def _checked(self, request: Request, following: submission.Following) -> Request:
        """The request with absolute paths; what is not there is an error where this machine will run it."""
        request = replace(request, spec=submission.with_absolute_paths(request.spec))
        check_allowed(paths_of_spec(request.spec), allowed_roots(self.settings))
        faults = [fault for path in submission.input_paths(request.spec) if (fault := submission.fault_of(*path))]
        for fault in faults:
            self._refuse(fault)
        submission.check_followers(request, following)
        check_rank_table(request)
        if not faults and (unfit := data_fault(request.spec, following.evaluate, following.then)):
            self._refuse(unfit)
        return request

    def _refuse(self, fault: BadData | BadCheckpoint) -> None:
        if self.registry.sqlite:
            raise fault
        self.warn(f"{fault} (on this machine; the host that runs the job checks its own)")

    def _check_hosts(self, session: Session, request: Request, following: submission.Following) -> None:
        followers = submission.follow_ups(request, "JOB", following)
        if (why := self._hosts.check(session, request, followers)) and not self._hosts_missed:
            self._hosts_missed = True
            self.warn(why)

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

    def drain(self, host: str) -> Document:
        """Keep new jobs from a host; what runs there goes on. The host; raises NotFound."""
        return self._change_host(host, lambda session: hosts.set_drained(session, host, True, self.actor))

    def resume(self, host: str) -> Document:
        """Let a drained host have jobs again. The host; raises NotFound."""
        return self._change_host(host, lambda session: hosts.set_drained(session, host, False, self.actor))

    def cordon(self, host: str, devices: Sequence[int], reason: str) -> Document:
        """Keep new jobs from devices of a host; what runs there goes on. The host; raises NotFound or UsageError."""
        reason = reason.strip()
        if not reason:
            raise UsageError("a cordon needs a reason, so that others know when to lift it: give --reason TEXT")
        return self._change_host(host, lambda session: cordon_devices(session, host, devices, reason, self.actor))

    def uncordon(self, host: str, devices: Sequence[int]) -> Document:
        """Lift any cordon of devices of a host; warns of processes that are left on them. Raises NotFound."""
        return self._change_host(host, lambda session: uncordon_devices(session, host, devices, self.actor, self.warn))

    def _change_host(self, host: str, change: Callable[[Session], None]) -> Document:
        with self.registry.write() as session:
            change(session)
        with self.registry.read() as session:
            return host_document(hosts.get_host(session, host), self.settings.lease_timeout)


def _wake_place(broker: Broker, queued: Iterable[Document]) -> None:
    for job in queued:
        broker.wake_place(job["id"], JobKind(job["kind"]))


def _wake_cancel(broker: Broker, placed: Iterable[Document]) -> None:
    for job in placed:
        for host in job["hosts"]:
            broker.wake_cancel(job["id"], job["attempt"], host)
