"""hccn_tool and hccn.conf; the addresses are made up."""

import pytest

from erfnet_jobs.ascend.hccn import parse_hccn_conf, parse_ip, parse_link


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ipaddr:10.1.2.3\nnetmask:255.255.0.0\n", "10.1.2.3"),
        ("ipaddr: 10.1.2.3\nnetmask: 255.255.0.0\n", "10.1.2.3"),
        ("ipv6addr:fd00::7\nprefixlen:64\n", "fd00::7"),
        ("ipaddr:10.1.2.3\nnetmask:255.255.0.0\nipv6 addr:fd00::7\n", "10.1.2.3"),
        ("ipaddr:0.0.0.0\nnetmask:0.0.0.0\n", None),
        ("ipaddr:10.1.2.300\n", None),
        ("ipaddr:10.1.2.3\nipaddr:10.1.2.4\n", None),
        ("Get ip failed, error: device is not ready\n", None),
        ("ipaddr:10.1.2.3", None),
        ("", None),
    ],
)
def test_an_address(text: str, address: str | None) -> None:
    assert parse_ip(text).value == address


def test_what_is_no_address_is_named() -> None:
    assert [line.number for line in parse_ip("ipaddr:10.1.2.3\nroce:busy\n").unread] == [2]


@pytest.mark.parametrize(
    ("text", "link"),
    [("link status: UP\n", "up"), ("link status:DOWN", "down"), ("link status: MAYBE\n", None), ("", None),
     ("link status: UP\nlink status: DOWN\n", None)],
)  # fmt: skip
def test_a_link(text: str, link: str | None) -> None:
    assert parse_link(text).value == link


CONF = """\
# written by the installer
address_0=10.1.0.11
netmask_0=255.255.255.0
netdetect_0=10.1.0.1
gateway_0=10.1.0.1
send_arp_status_0=1
...
address_7 = 10.1.3.12
IPv6address_7=fd00::1:7
IPv6netmask_7=64
address_8=10.1.3
address_9=10.1.9.9
address_9=10.1.9.8
IPv6address_10=10.1.3.4
"""


def test_the_file_of_addresses() -> None:
    parsed = parse_hccn_conf(CONF)
    assert parsed.value.addresses == {0: "10.1.0.11", 7: "10.1.3.12"}
    assert parsed.value.ipv6_addresses == {7: "fd00::1:7"}
    assert [line.number for line in parsed.unread] == [11, 13, 14]
