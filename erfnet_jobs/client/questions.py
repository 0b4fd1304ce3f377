"""What can be asked of the registry without changing it, as JSON-ready documents."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property

from erfnet_jobs.client.curve_documents import curves_document
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.host_documents import host_document
from erfnet_jobs.client.host_states import host_states
from erfnet_jobs.client.job_documents import (
    attempt_document,
    details_document,
    event_document,
    job_document,
    tail_document,
    value_document,
)
from erfnet_jobs.client.lineage_documents import checkpoint_lineage
from erfnet_jobs.client.model_documents import best_documents, checkpoint_document
from erfnet_jobs.client.overview import overview_document
from erfnet_jobs.client.waits import wait_seconds
from erfnet_jobs.errors import NotFound
from erfnet_jobs.placement import none_open
from erfnet_jobs.registry import checkpoints, evaluations, hosts, jobs, logs, metrics, status
from erfnet_jobs.registry.attempts import get_attempt
from erfnet_jobs.registry.curves import panel_of
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.lineage import lineage_of
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import TERMINAL, JobState

WAIT_INTERVAL = 0.5


class Questions:
    """Asks the registry of `settings`, to which it connects when first needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def registry(self) -> Registry:
        """The registry of the settings."""
        return Registry(self.settings.resolved_database_url)

    def job(self, job_id: int) -> Document:
        """One job; raises NotFound."""
        with self.registry.read() as session:
            return job_document(jobs.get_job(session, job_id))

    def details(self, job_id: int) -> Document:
        """One job with its attempts, events, checkpoints, evaluations, artifacts and logs; raises NotFound."""
        with self.registry.read() as session:
            details = status.job_details(session, job_id)
            return details_document(details, wait_seconds(session, [details.job], self.settings).get(job_id))

    def jobs(self, limit: int = 20, states: Iterable[JobState] | None = None) -> list[Document]:
        """Jobs that go on first, then the newest that have ended; with how long they wait, where that is known."""
        with self.registry.read() as session:
            found = status.list_jobs(session, limit, states)
            waits = wait_seconds(session, found, self.settings)
            return [job_document(job, waits.get(job.id)) for job in found]

    def overview(self, also: Collection[int] = ()) -> Document:
        """Hosts, jobs and totals at one moment: what `status --watch` shows. Jobs `also` are in it in any case."""
        with self.registry.read() as session:
            return overview_document(session, self.settings, also)

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
        """One checkpoint with all that came of it, named by id, path, JOB:best or JOB:last; raises NotFound."""
        with self.registry.read() as session:
            number = reference if reference.isdecimal() else checkpoints.resolve_checkpoints(session, reference)[0].id
            if number is None:
                raise NotFound(
                    f"{reference} is no checkpoint of this registry: 'erfnet-jobs checkpoints list' lists them"
                )
            return checkpoint_lineage(lineage_of(session, checkpoints.get_checkpoint(session, int(number))))

    def hosts(self) -> list[Document]:
        """All registered hosts with their devices and the jobs on them."""
        with self.registry.read() as session:
            return [host_document(host, self.settings.lease_timeout) for host in hosts.list_hosts(session)]

    def no_host_open(self) -> str | None:
        """Why no host at all takes jobs now, and what to do; None where one does, or none is registered yet."""
        with self.registry.read() as session:
            return none_open(host_states(session, self.settings.lease_timeout))

    def metrics(self, job_id: int, name: str, limit: int | None = None) -> list[Document]:
        """The values of one metric by stage and step; raises NotFound."""
        with self.registry.read() as session:
            return [value_document(value) for value in metrics.metric_series(session, job_id, name, limit)]

    def curves(self, job_ids: Sequence[int], names: Sequence[str]) -> Document:
        """Curves of several trainings over epochs, a panel for each metric; raises NotFound."""
        with self.registry.read() as session:
            rows = [jobs.get_job(session, job_id) for job_id in job_ids]
            return curves_document([panel_of(session, name, job_ids) for name in names], rows)

    def newest_metrics(self, job_id: int) -> list[Document]:
        """The newest value of each of a job's metrics; raises NotFound."""
        with self.registry.read() as session:
            return [value_document(value) for value in metrics.newest_values(session, job_id)]

    def events(
        self,
        job: int | None = None,
        host: str | None = None,
        limit: int = 50,
        *,
        since: float | None = None,
        user: str | None = None,
        kinds: Sequence[str] = (),
    ) -> list[Document]:
        """What happened, oldest first: to a job, to a host, in the last `since` seconds, by a user (NAME or NAME@HOST).

        Raises NotFound for an unknown job, host or kind of event.
        """
        wanted = logs.EventFilter(job, host, since, user, tuple(kinds))
        with self.registry.read() as session:
            found = logs.newest_events(session, wanted, limit)
            return [event_document(event) for event in reversed(found)]

    def log_tails(self, job_id: int, attempt: int | None = None, rank: int | None = None) -> list[Document]:
        """The ends of a job's logs, by rank, and where the files are; raises NotFound."""
        with self.registry.read() as session:
            return [tail_document(tail) for tail in logs.log_tails(session, job_id, attempt, rank)]

    def log_lengths(self, job_id: int, attempt: int) -> dict[int, int]:
        """How many bytes each rank of an attempt has written, as far as its supervisor has told."""
        with self.registry.read() as session:
            return logs.log_lengths(session, job_id, attempt)

    def log_texts(self, job_id: int, attempt: int, ranks: Collection[int]) -> list[Document]:
        """The ends of some ranks' logs, by rank, and where the files are."""
        with self.registry.read() as session:
            return [tail_document(tail) for tail in logs.log_texts(session, job_id, attempt, ranks)]

    def attempt(self, job_id: int, number: int) -> Document:
        """One attempt of a job, without its placements; raises NotFound."""
        with self.registry.read() as session:
            return attempt_document(get_attempt(session, job_id, number), [])
