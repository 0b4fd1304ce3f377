"""The address that other hosts reach, where the host's name leads to loopback and where it does not."""

import ipaddress
import socket

import pytest

from erfnet_jobs import own_address as module
from erfnet_jobs.own_address import own_address


def named(patch: pytest.MonkeyPatch, address: str | None) -> None:
    def lookup(_name: str) -> str:
        if address is None:
            raise socket.gaierror(-2, "Name or service not known")
        return address

    patch.setattr(socket, "gethostbyname", lookup)


def test_a_name_that_leads_to_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "10.66.0.1")
    assert own_address() == "10.66.0.1"


@pytest.mark.parametrize("address", ["127.0.1.1", None])
def test_a_name_that_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    named(monkeypatch, address)
    # This machine has a network, or it has none.
    found = ipaddress.ip_address(own_address())
    assert not found.is_unspecified
    monkeypatch.setattr(module, "_routed", lambda: "10.66.0.2")
    assert own_address() == "10.66.0.2"
    monkeypatch.setattr(module, "_routed", lambda: None)
    assert own_address() == (address or "127.0.0.1")
