"""Where a worker shows its figures, and what it says when it cannot; before its host is registered."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from erfnet_jobs.errors import MissingDependency, UsageError
from erfnet_jobs.settings import Settings, load_settings
from tests.metrics_page import free_port, read_page
from tests.services import NewSite
from workers.metrics.page import Page


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def settings_at(folder: Path, port: int, address: str = "127.0.0.1") -> Settings:
    return load_settings({"home": folder, "metrics_port": port, "metrics_address": address}, {})


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_the_page_is_where_the_settings_say(tmp_path: Path, address: str, family: socket.AddressFamily) -> None:
    settings = settings_at(tmp_path, free_port(family), address)
    Page(settings)
    assert 'erfnet_jobs_build_info{host="' in read_page(settings)


def test_an_address_of_no_host_is_named(tmp_path: Path) -> None:
    for address in ("no such name", "192.0.2.1"):
        with pytest.raises(UsageError, match=f"ERFNET_JOBS_METRICS_ADDRESS is '{address}', which is no address of"):
            Page(settings_at(tmp_path, free_port(), address))


def test_a_port_that_is_taken_is_named_before_the_host_is_registered(
    new_site: NewSite, sqlite_url: str, taken: int
) -> None:
    site = new_site(sqlite_url, metrics_port=taken)
    assert site.spawn_worker().wait(30) == UsageError.exit_code
    assert f"port {taken} of 127.0.0.1 is taken already: see by whom with 'ss -ltnp'" in site.log
    assert site.ask(lambda session: session.connection().exec_driver_sql("SELECT name FROM host").all()) == []


def test_only_root_has_the_first_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(UsageError, match=r"at port 80 of 127.0.0.1 \(Permission denied\): give another one"):
        Page(settings_at(tmp_path, 80))


def test_without_the_package_it_says_which_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingDependency, match=r"needs the package prometheus-client .*erfnet-jobs\[worker\]"):
        Page(settings_at(tmp_path, free_port()))
