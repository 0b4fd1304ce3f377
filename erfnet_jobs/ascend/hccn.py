"""What `hccn_tool` prints of a chip's network port, and `/etc/hccn.conf`. Pure and total; stdlib only."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from erfnet_jobs.ascend.lines import Line, Parsed, numbered

ADDRESS = re.compile(r"(?:ip ?addr(?:ess)?|ipv6 ?addr(?:ess)?)\s*:\s*(?P<address>\S+)", re.IGNORECASE)
MASK = re.compile(r"(?:ipv6 )?(?:netmask|prefix ?len(?:gth)?)\s*:\s*\S+", re.IGNORECASE)
LINK = re.compile(r"link status\s*:\s*(?P<state>UP|DOWN)", re.IGNORECASE)
SETTING = re.compile(r"(?P<key>[A-Za-z][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
CONF_ADDRESS = re.compile(r"(?P<kind>address|IPv6address)_(?P<number>0|[1-9][0-9]{0,9})")
COMMENT = re.compile(r"[#;].*|\.{2,}|…")
PROMPT = re.compile(r"[#$]\s.*")


@dataclass(frozen=True)
class HccnConf:
    """The addresses of the file by the chip's number: IPv4 and IPv6."""

    addresses: Mapping[int, str] = field(default_factory=dict)
    ipv6_addresses: Mapping[int, str] = field(default_factory=dict)


def parse_ip(text: str) -> Parsed[str | None]:
    """The port's address from `-ip -g` (IPv4 before IPv6); None where no line has one that is an address.

    A last line without an end may be cut, and a cut address may be one too: it is not read.
    """
    found: list[str] = []
    unread: list[Line] = []
    lines = numbered(text)
    for line in lines:
        match = ADDRESS.fullmatch(line.text) if line != lines[-1] or text.endswith("\n") else None
        if match and (address := _address(match["address"])):
            found.append(address)
        elif not MASK.fullmatch(line.text) and not PROMPT.fullmatch(line.text):
            unread.append(line)
    old = [address for address in found if ":" not in address]
    chosen = old or found
    return Parsed(chosen[0] if len(set(chosen)) == 1 else None, tuple(unread))


def parse_link(text: str) -> Parsed[str | None]:
    """'up' or 'down' from `-link -g`; None where it is not told, or told both ways."""
    states: set[str] = set()
    unread: list[Line] = []
    for line in numbered(text):
        if found := LINK.fullmatch(line.text):
            states.add(found["state"].lower())
        elif not PROMPT.fullmatch(line.text):
            unread.append(line)
    return Parsed(states.pop() if len(states) == 1 else None, tuple(unread))


def parse_hccn_conf(text: str) -> Parsed[HccnConf]:
    """The file's addresses. Other settings are passed over; an address given twice in two ways is not taken."""
    taken: dict[str, dict[int, str]] = {"address": {}, "IPv6address": {}}
    unread: list[Line] = []
    doubled: set[tuple[str, int]] = set()
    for line in numbered(text):
        if COMMENT.fullmatch(line.text):
            continue
        setting = SETTING.fullmatch(line.text)
        key = CONF_ADDRESS.fullmatch(setting["key"]) if setting else None
        address = _address(setting["value"].split("#")[0].strip()) if setting else None
        if setting is None or (key is not None and (address is None or (":" in address) != (key["kind"] != "address"))):
            unread.append(line)
        elif key is not None and address is not None:
            number = int(key["number"])
            if taken[key["kind"]].setdefault(number, address) != address:
                doubled.add((key["kind"], number))
                unread.append(line)
    for kind, number in doubled:
        del taken[kind][number]
    return Parsed(HccnConf(taken["address"], taken["IPv6address"]), tuple(unread))


def _address(text: str) -> str | None:
    """The address as it is commonly written; None for what is none, or cannot be a port's."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if address.is_unspecified else str(address)
