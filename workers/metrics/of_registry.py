"""What the registry says, as Prometheus reads it: the same on all workers, but for this host's part of it."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from erfnet_jobs.registry.status import ACTIVE
from erfnet_jobs.states import JobKind, JobState, Outcome
from workers.histogram import Histogram
from workers.metrics.fresh import Fresh
from workers.metrics.registry_reader import WAIT_BOUNDS, Snapshot

SAME = "The same on all workers: take max by."
OWN = "This host's."


class OfRegistry(Collector):
    """Nothing but `erfnet_jobs_registry_up` where the registry does not answer: old figures would mislead."""

    def __init__(self, newest: Fresh[Snapshot]) -> None:
        self._newest = newest

    def collect(self) -> Iterator[Metric]:
        """All families; label values are kinds, states and outcomes of jobs, and ids of this host's devices."""
        found = self._newest.get()
        told = f"Whether the registry has answered this worker's last question. {OWN}"
        yield GaugeMetricFamily("erfnet_jobs_registry_up", told, float(found is not None))
        if found is not None:
            yield from _of_all(found)
            yield from _of_host(found)


def _of_all(found: Snapshot) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("erfnet_jobs_registry_jobs", f"Active jobs. {SAME}", labels=["kind", "state"])
    counts = {(one.kind, one.state): one.jobs for one in found.queues}
    for kind in JobKind:
        for state in ACTIVE:
            jobs.add_metric([kind, state], counts.get((kind, state), 0))
    yield jobs
    text = f"For how long the oldest queued job has waited since it was submitted, or since its pause ended. {SAME}"
    oldest = GaugeMetricFamily("erfnet_jobs_registry_oldest_queued_seconds", text, labels=["kind"])
    ages = {one.kind: one.oldest for one in found.queues if one.state == JobState.QUEUED}
    for kind in JobKind:
        oldest.add_metric([kind], ages.get(kind, 0.0))
    yield oldest
    yield from (_attempts(found), _waits(found), *_hosts(found))


def _attempts(found: Snapshot) -> Metric:
    text = f"Attempts that have ended, of all that the registry has. {SAME}"
    attempts = CounterMetricFamily("erfnet_jobs_registry_attempts", text, labels=["kind", "outcome"])
    for kind in JobKind:
        for outcome in Outcome:
            attempts.add_metric([kind, outcome], found.attempts.get((kind, outcome), 0))
    return attempts


def _waits(found: Snapshot) -> Metric:
    text = (
        "From a job's submission to its first start. Each worker counts all, from its own start: take max by of rates."
    )
    waits = HistogramMetricFamily("erfnet_jobs_registry_job_wait_seconds", text, labels=["kind"])
    nothing = (Histogram(WAIT_BOUNDS).buckets(), 0.0)
    for kind in JobKind:
        buckets, total = found.waits.get(kind, nothing)
        waits.add_metric([kind], buckets, total)
    return waits


def _hosts(found: Snapshot) -> Iterator[Metric]:
    hosts = GaugeMetricFamily(
        "erfnet_jobs_registry_hosts",
        f"Registered hosts: heard of (up), not heard of (away), or with their worker stopped in order. {SAME}",
        labels=["state"],
    )
    for state in ("up", "away", "stopped"):
        hosts.add_metric([state], getattr(found.hosts, state))
    yield hosts
    drained = f"Hosts that are drained, whether up or not. {SAME}"
    yield GaugeMetricFamily("erfnet_jobs_registry_hosts_drained", drained, found.hosts.drained)
    away = f"Hosts that are not heard of and have jobs. {SAME}"
    yield GaugeMetricFamily("erfnet_jobs_registry_hosts_away_with_jobs", away, found.hosts.away_with_jobs)


def _of_host(found: Snapshot) -> Iterator[Metric]:
    usable = GaugeMetricFamily(
        "erfnet_jobs_device_usable",
        f"Whether a job may have the device: it is there, in health, not cordoned, without processes of others. {OWN}",
        labels=["device"],
    )
    held = GaugeMetricFamily("erfnet_jobs_device_held", f"Whether an attempt has the device. {OWN}", labels=["device"])
    for device, is_usable in sorted(found.own.usable.items()):
        usable.add_metric([str(device)], float(is_usable))
        held.add_metric([str(device)], float(device in found.own.held))
    yield from (usable, held)
    free = f"Devices that a job could have now; none while the host is drained. {OWN}"
    yield GaugeMetricFamily("erfnet_jobs_worker_free_devices", free, found.own.free)
    text = f"Images per second of the running jobs whose rank 0 is here, so that the sum over all hosts is right. {OWN}"
    images = GaugeMetricFamily("erfnet_jobs_worker_images_per_second", text, labels=["kind"])
    for kind in JobKind:
        images.add_metric([kind], found.own.images_per_second.get(kind, 0.0))
    yield images
    text = f"Supervisors with a lease. {OWN}"
    yield GaugeMetricFamily("erfnet_jobs_worker_supervisors", text, len(found.own.leases))
    text = f"For how long the lease that has stood still longest has done so, between scrapes; 0 without any. {OWN}"
    yield GaugeMetricFamily("erfnet_jobs_worker_lease_age_seconds", text, found.lease_age)
