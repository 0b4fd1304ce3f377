from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend.environment import RankEnvironment, Role, from_environ
from erfnet_jobs.errors import UsageError
from erfnet_jobs.plan import ASCEND, CPU
from erfnet_jobs.secret_variables import SECRETS

FOREIGN = {
    "MS_ROLE": "MS_PSERVER",
    "RANK_ID": "9",
    "RANK_TABLE_FILE": "/x",
    "DEVICE_ID": "7",
    "MS_ENABLE_RECOVERY": "1",
    "HCCL_IF_IP": "10.1.1.1",
    "CM_CHIEF_IP": "10.1.1.2",
    "ERFNET_JOBS_RANK_HOST": "elsewhere",
}
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
words = st.dictionaries(names.filter(lambda name: "=" not in name), names, max_size=5)


@st.composite
def environments(draw: st.DrawFn) -> RankEnvironment:
    world_size = draw(st.integers(1, 64))
    alone = world_size == 1
    target = draw(st.sampled_from([CPU, ASCEND]))
    devices = draw(st.sets(st.integers(0, 15), max_size=8))
    with_hccl = not alone and target == ASCEND and devices
    return RankEnvironment(
        rank=draw(st.integers(0, world_size - 1)),
        world_size=world_size,
        local_rank=draw(st.integers(0, world_size - 1)),
        role=Role.WORKER if alone else draw(st.sampled_from(Role)),
        scheduler_host=None if alone else draw(names),
        scheduler_port=None if alone else draw(st.integers(1, 65535)),
        device_target=target,
        visible_devices=tuple(sorted(devices)),
        threads=draw(st.integers(1, 256)),
        lifeline_fd=draw(st.none() | st.integers(0, 1000)),
        mark=draw(st.none() | names),
        rank_table=None if alone else draw(st.none() | names.map(Path)),
        host=draw(st.none() | names),
        near=draw(st.frozensets(st.integers(0, 200), max_size=40)),
        address=draw(st.none() | names) if with_hccl else None,
    )


@given(environments(), words)
def test_what_is_written_is_read(environment: RankEnvironment, base: dict[str, str]) -> None:
    assert from_environ(environment.to_environ({**base, **FOREIGN})) == environment


@given(environments(), words)
def test_the_rest_of_the_base_stays(environment: RankEnvironment, base: dict[str, str]) -> None:
    plain = {"X_" + name: value for name, value in base.items()}
    environ = environment.to_environ(plain)
    assert {name: environ[name] for name in plain} == plain


def test_one_rank_alone_has_no_cluster() -> None:
    environ = RankEnvironment().to_environ(FOREIGN)
    assert not [name for name in environ if name.startswith(("MS_", "RANK_")) or name == "DEVICE_ID"]


def test_no_variable_of_another_cluster_is_left() -> None:
    environment = RankEnvironment(1, 2, 1, scheduler_host="127.0.0.1", scheduler_port=30000)
    environ = environment.to_environ(FOREIGN)
    assert "MS_ENABLE_RECOVERY" not in environ
    assert "RANK_TABLE_FILE" not in environ
    assert (environ["RANK_ID"], environ["DEVICE_ID"], environ["MS_NODE_ID"]) == ("1", "1", "1")
    # Without it MindSpore gives up after 30 s, and ranks may be further apart than that when they meet.
    assert environ["MS_CPU_COMM_OP_TIMEOUT"] == "1836"


def test_ranks_get_nothing_that_opens_the_registry_or_the_queues() -> None:
    secret = dict.fromkeys(SECRETS, "postgresql+psycopg://me:secret@db/jobs")
    environ = RankEnvironment().to_environ({**secret, "PATH": "/bin"})
    assert environ["PATH"] == "/bin"
    assert not any("secret" in value for value in environ.values())


def test_the_scheduler_is_no_node() -> None:
    environment = RankEnvironment(0, 2, 0, Role.SCHEDULER, "127.0.0.1", 30000)
    assert "MS_NODE_ID" not in environment.to_environ({})


def test_quiet_unless_asked_otherwise() -> None:
    assert RankEnvironment().to_environ({})["GLOG_v"] == "3"
    assert RankEnvironment().to_environ({"GLOG_v": "1"})["GLOG_v"] == "1"


@pytest.mark.parametrize(
    "changes",
    [
        {"rank": 2},
        {"rank": -1},
        {"local_rank": 2},
        {"scheduler_host": None},
        {"scheduler_port": None},
        {"world_size": 1, "rank": 0},
        {"threads": 0},
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    environment = RankEnvironment(1, 2, 0, scheduler_host="127.0.0.1", scheduler_port=30000)
    with pytest.raises(UsageError):
        replace(environment, **changes)


@pytest.mark.parametrize(
    "changes",
    [{"RANK_ID": "x"}, {"RANK_SIZE": ""}, {"MS_SCHED_PORT": "http"}, {"MS_ROLE": "MS_PSERVER"}, {"DEVICE_ID": "-1"}],
)
def test_an_environment_by_hand_is_refused(changes: dict[str, str]) -> None:
    environ = RankEnvironment(1, 2, 0, scheduler_host="127.0.0.1", scheduler_port=30000).to_environ({})
    with pytest.raises(UsageError):
        from_environ({**environ, **changes})


@pytest.mark.parametrize(
    ("local_rank", "threads", "available", "own"),
    [
        (0, 1, {0, 1}, {0}),
        (1, 1, {0, 1}, {1}),
        (1, 2, {3, 4, 5, 6, 9}, {5, 6}),
        (0, 2, {0, 1}, {0, 1}),
        (1, 2, {0, 1, 2}, {0, 1, 2}),
    ],
)
def test_ranks_of_a_host_get_different_cores_as_long_as_these_suffice(local_rank, threads, available, own):
    scheduler = {"scheduler_host": "127.0.0.1", "scheduler_port": 4000}
    rank = RankEnvironment(1, 2, local_rank, threads=threads, **scheduler)

    assert rank.cores(available) == own
    assert replace(rank, device_target=ASCEND).cores(available) == available


def test_one_rank_alone_gets_all_cores():
    assert RankEnvironment(threads=1).cores({0, 1}) == {0, 1}


def test_a_rank_stays_near_its_device():
    rank = RankEnvironment(1, 2, 1, device_target=ASCEND, scheduler_host="h", scheduler_port=1, near=frozenset({4, 5}))

    assert rank.cores({0, 1, 4, 5, 6}) == {4, 5}
    assert rank.cores({0, 5}) == {5}
    assert rank.cores({0, 1}) == {0, 1}


def test_visible_devices_ascend_and_have_no_blanks():
    environ = RankEnvironment(device_target=ASCEND, visible_devices=(10, 4, 6)).to_environ({})
    assert environ["ASCEND_RT_VISIBLE_DEVICES"] == "4,6,10"
    assert not [name for name in environ if name.startswith("HCCL_")]


def test_ranks_on_ascend_get_hccls_variables_and_no_others_do():
    scheduler = {"scheduler_host": "10.0.0.1", "scheduler_port": 4000}
    rank = RankEnvironment(1, 2, 0, device_target=ASCEND, visible_devices=(4, 5), address="10.0.0.2", **scheduler)
    base = {"HCCL_IF_IP": "10.9.9.9", "HCCL_SOCKET_IFNAME": "eth1", "HCCL_HOST_SOCKET_PORT_RANGE": "60000-60050"}

    environ = rank.to_environ(base)

    assert (environ["HCCL_IF_IP"], environ["HCCL_SOCKET_IFNAME"]) == ("10.0.0.2", "eth1")
    assert "HCCL_HOST_SOCKET_PORT_RANGE" not in environ
    assert int(environ["HCCL_IF_BASE_PORT"]) == 61128
    on_cpu = replace(rank, device_target=CPU, visible_devices=(), address=None).to_environ(base)
    assert {name: value for name, value in on_cpu.items() if name.startswith("HCCL_")} == {"HCCL_SOCKET_IFNAME": "eth1"}


def test_cores_by_hand_are_refused() -> None:
    with pytest.raises(UsageError, match="RANK_CORES"):
        from_environ({"ERFNET_JOBS_RANK_CORES": "x-3"})
