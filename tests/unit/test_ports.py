import socket

import pytest

from erfnet_jobs.errors import RanksFailed
from erfnet_jobs.launch import ports


def test_ports_are_fresh_and_free() -> None:
    given = [ports.fresh_port("127.0.0.1") for _ in range(20)]
    assert len(set(given)) == 20
    for port in given:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_a_taken_port_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST", port)
        monkeypatch.setattr(ports, "LAST", port)
        with pytest.raises(RanksFailed, match="no free port"):
            ports.fresh_port("127.0.0.1")


def test_an_address_of_another_host() -> None:
    with pytest.raises(RanksFailed, match="no address of this host"):
        ports.fresh_port("192.0.2.1")
