"""Short ways through a job's life, for tests of the registry."""

from sqlalchemy.orm import Session

from erfnet_jobs.ascend.devices import Device
from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.registry.attempts import End, assign, claim, report_running
from erfnet_jobs.registry.events import Actor, now
from erfnet_jobs.registry.jobs import submit_job
from erfnet_jobs.registry.tables import Host
from erfnet_jobs.specs import ExportSpec
from erfnet_jobs.states import Outcome
from erfnet_jobs.train_spec import TrainSpec

ACTOR = Actor("alice", "shell")
HOSTS = ("a", "b")
SCHEDULER = ("127.0.0.1", 4000)
WELL = End(Outcome.SUCCEEDED, "all ranks are done")


def failed(permanent: bool = False) -> End:
    return End(Outcome.FAILED, "rank 0 failed", permanent=permanent, rank=0, exit_code=1)


def seen_device(number: int, kind: str = "cpu", name: str = "slot", generation: str | None = None) -> Seen:
    return Seen(Device(number, kind, name, generation=generation))


def add_hosts(session: Session, *names: str) -> None:
    for name in names or HOSTS:
        at = now(session)
        row = Host(
            name=name, address="127.0.0.1", storage_id="s", version="1", instance="i", registered_at=at, seen_at=at
        )
        session.add(row)
    session.flush()


def submit(session: Session, after: tuple[int, ...] = (), max_attempts: int = 3, priority: int = 0) -> int:
    spec = ExportSpec("1")
    return submit_job(session, Request(spec, after=after, max_attempts=max_attempts, priority=priority), ACTOR).id


def submit_gang(session: Session) -> int:
    return submit_job(session, Request(TrainSpec("/data", cards=2)), ACTOR).id


def gang_on_two_hosts(session: Session, *, started: bool, running: bool = False) -> int:
    """A job with one card on each of two hosts: assigned, or claimed by both, or said to run by both."""
    add_hosts(session)
    job = submit_gang(session)
    assert assign(session, job, 0, [Part("a", (0,), 0), Part("b", (0,), 1)], "/runs/1")
    if started:
        for host in HOSTS:
            assert claim(session, job, 1, host, SCHEDULER if host == "a" else None)
    if running:
        for host in HOSTS:
            report_running(session, job, 1, host)
    return job


def assign_here(session: Session, job: int, host: str, run_dir: str) -> None:
    """The first attempt of a job has a device of a host, which has not begun to start it."""
    assert assign(session, job, 0, [Part(host, (0,), 0)], run_dir)
