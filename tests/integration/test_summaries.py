"""A host's summary is what its device and placement rows say, whatever changes them and in whatever order."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import (
    End,
    assign,
    claim,
    clear_part,
    declare_lost,
    end_attempt,
    end_part,
)
from erfnet_jobs.registry.devices import cordon, uncordon
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import register_host
from erfnet_jobs.registry.summaries import Summary, refresh_summary, summary_of, wrong_summaries
from erfnet_jobs.registry.tables import Device, Host
from erfnet_jobs.states import Outcome
from tests.conftest import PostgresServer
from tests.registry_steps import HOSTS, SCHEDULER, WELL, failed, seen_device, submit_gang

Step = Callable[[Session], object]


def register(session: Session, host: str, *devices: Seen) -> None:
    register_host(session, name=host, address="", storage_id="s", version="1", instance="i", devices=devices)


def slots(count: int) -> list[Seen]:
    return [seen_device(number) for number in range(count)]


def stored(session: Session, host: str) -> Summary:
    row = session.get_one(Host, host, populate_existing=True)
    return Summary(row.family, row.present, row.usable, row.free, row.second_half)


def write(registry: Registry, step: Step) -> object:
    with registry.write() as session:
        return step(session)


def gang(session: Session) -> int:
    for host in HOSTS:
        register(session, host, *slots(4))
    job = submit_gang(session)
    assert assign(session, job, 0, [Part("a", (0,), 0), Part("b", (3,), 1)], "/runs/1")
    return job


def test_a_summary_follows_devices_and_placements(two_hosts: Registry) -> None:
    job = write(two_hosts, gang)
    assert isinstance(job, int)

    def now(host: str = "a") -> Summary:
        with two_hosts.read() as session:
            assert not wrong_summaries(session)
            assert stored(session, host) == summary_of(session, host)
            return stored(session, host)

    assert (now("a"), now("b")) == (Summary("cpu", "0-3", "0-3", "1-3"), Summary("cpu", "0-3", "0-3", "0-2"))
    write(two_hosts, lambda session: cordon(session, "a", [1, 2], "hot"))
    assert now() == Summary("cpu", "0-3", "0,3", "3")
    write(two_hosts, lambda session: uncordon(session, "a", [1], "hot"))
    assert now() == Summary("cpu", "0-3", "0-1,3", "1,3")
    for host in HOSTS:
        write(two_hosts, lambda session, host=host: claim(session, job, 1, host, SCHEDULER))
    write(two_hosts, lambda session: end_attempt(session, job, 1, failed(), 0))
    assert now("b").free == "0-2"
    write(two_hosts, lambda session: clear_part(session, job, 1, "b"))
    assert now("b").free == "0-3"
    write(two_hosts, lambda session: register(session, "b", *slots(2)))
    assert now("b") == Summary("cpu", "0-1", "0-1", "0-1")


def test_what_is_busy_ill_or_of_another_family_is_not_usable(registry: Registry) -> None:
    with registry.write() as session:
        chips = [seen_device(number, "ascend", "910A", "910A") for number in range(4)]
        register(session, "a", *chips, seen_device(4, "ascend", "310", "310"), seen_device(5, "cpu", "slot"))
    with registry.write() as session:
        session.get_one(Device, ("a", 0)).busy = "python (4711)"
        session.get_one(Device, ("a", 1)).fit = False
        refresh_summary(session, "a")
    with registry.read() as session:
        assert stored(session, "a") == Summary("910A", "0-3", "2-3", "2-3")


def test_groups_of_a_910a_host_go_by_physical_ids(registry: Registry) -> None:
    """The driver counts on where a card is missing, so that logical ids move to the other group."""
    with registry.write() as session:
        register(session, "a", *(seen_device(number, "ascend", "910A", "910A") for number in range(7)))
        for device in session.scalars(select(Device)):
            device.physical_id = device.id + 1
    with registry.write() as session:
        refresh_summary(session, "a")
    with registry.read() as session:
        assert stored(session, "a") == Summary("910A", "0-6", "0-6", "0-6", "3-6")


def test_steps_of_two_gangs_over_the_same_hosts_go_side_by_side(postgres_url: str) -> None:
    """Each of two threads ends, clears and cordons on both hosts; nobody waits in a circle."""

    def rounds(number: int) -> None:
        with Registry(postgres_url) as own:
            for _ in range(15):
                parts = [Part("a", (number,), 0), Part("b", (number,), 1)]
                job = write(own, submit_gang)
                assert isinstance(job, int)
                write(own, lambda session, job=job, parts=parts: assign(session, job, 0, parts[::-1], "/runs"))
                for host in HOSTS:
                    write(own, lambda session, host=host, job=job: claim(session, job, 1, host, SCHEDULER))
                order = HOSTS if number else HOSTS[::-1]
                write(own, lambda session, job=job, order=order: over(session, job, order))

    def over(session: Session, job: int, order: tuple[str, ...]) -> None:
        for host in order:
            cordon(session, host, [job % 4], f"of {job}")
            end_part(session, job, 1, host, WELL, 0)
            uncordon(session, host, [job % 4], f"of {job}")

    with Registry(postgres_url) as registry:
        write(registry, lambda session: [register(session, host, *slots(4)) for host in HOSTS])
        with ThreadPoolExecutor(3) as pool:
            for future in [pool.submit(rounds, 0), pool.submit(rounds, 1)]:
                future.result(60)
        with registry.read() as session:
            assert not wrong_summaries(session)
            assert stored(session, "a") == Summary("cpu", "0-3", "0-3", "0-3")


@pytest.fixture(scope="module")
def two_hosts(postgres_server: PostgresServer) -> Iterator[Registry]:
    """A registry for two hosts, in which one example goes on where the last one ended."""
    with Registry(postgres_server.create("template_registry")) as opened:
        yield opened


def steps(job: int) -> dict[str, Step]:
    return {
        "claim a": lambda session: claim(session, job, 1, "a", SCHEDULER),
        "claim b": lambda session: claim(session, job, 1, "b", None),
        "end a": lambda session: end_part(session, job, 1, "a", WELL, 0),
        "end b": lambda session: end_part(session, job, 1, "b", failed(), 0, clear=False),
        "lost": lambda session: declare_lost(session, job, 1, "a", 0, "no pulse", 0),
        "late": lambda session: end_attempt(session, job, 1, End(Outcome.TIMED_OUT, "late"), 0),
        "clear a": lambda session: clear_part(session, job, 1, "a"),
        "clear b": lambda session: clear_part(session, job, 1, "b"),
        "cordon": lambda session: cordon(session, "a", [0, 2], "hot"),
        "uncordon": lambda session: uncordon(session, "a", [0, 1], "hot"),
        "fewer": lambda session: register(session, "b", *slots(3)),
        "more": lambda session: register(session, "b", *slots(5)),
    }


@given(st.lists(st.sampled_from(sorted(steps(0))), max_size=12))
@settings(max_examples=25)
def test_no_sequence_of_steps_makes_a_summary_wrong(two_hosts: Registry, sequence: list[str]) -> None:
    job = write(two_hosts, gang)
    assert isinstance(job, int)
    for name in [*sequence, "late", "clear a", "clear b"]:
        write(two_hosts, steps(job)[name])
        with two_hosts.read() as session:
            assert not wrong_summaries(session)
