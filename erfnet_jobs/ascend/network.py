"""The network port of each chip: its address and link, from hccn_tool and /etc/hccn.conf. Stdlib only.

The file is what was configured, the tool what the chip has. They differ where the file was written for other cards or
not applied: then ranks that trust the file cannot reach each other.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from erfnet_jobs.ascend.devices import Device
from erfnet_jobs.ascend.hccn import HccnConf, parse_hccn_conf, parse_ip, parse_link
from erfnet_jobs.ascend.lines import Parsed
from erfnet_jobs.ascend.look import Look
from erfnet_jobs.ascend.tools import ToolFailed, hccn_tool
from erfnet_jobs.settings import Settings

# Inference cards have no port of their own.
WITHOUT_PORT = frozenset({"310", "310P"})


def with_network(devices: Iterable[Device], settings: Settings) -> tuple[list[Device], tuple[str, ...]]:
    """The devices with `device_ip` and `link`, and the troubles. Two calls of hccn_tool for each chip with a port."""
    devices = list(devices)
    if all(device.generation in WITHOUT_PORT for device in devices):
        return devices, ()
    conf, troubles = _conf(settings.hccn_conf)
    try:
        look = Look(hccn_tool(settings))
    except ToolFailed as failure:
        return [_from_file(device, conf) for device in devices], (*troubles, str(failure))
    found = [device if device.generation in WITHOUT_PORT else _asked(device, look, conf) for device in devices]
    return found, (*troubles, *look.troubles)


def _asked(device: Device, look: Look, conf: HccnConf) -> Device:
    number = str(device.node)
    answer = look.ask_lines(parse_ip, "-i", number, "-ip", "-g")
    link = look.ask(parse_link, "-i", number, "-link", "-g")
    if answer is None:
        return replace(_from_file(device, conf), link=link)
    configured = _configured(device, conf, answer.value)
    if configured is not None and configured != answer.value:
        look.note(
            f"device {device.id}: {answer.value or 'no address'} by hccn_tool, {configured} by hccn.conf; the tool's "
            f"counts, and the file is stale: correct address_{number} in it, or set the chip's address with "
            f"'hccn_tool -i {number} -ip -s address …'"
        )
    return replace(device, device_ip=answer.value, link=link)


def _configured(device: Device, conf: HccnConf, found: str | None) -> str | None:
    number = device.node
    if found is not None and ":" in found:
        return conf.ipv6_addresses.get(number)
    return conf.addresses.get(number)


def _from_file(device: Device, conf: HccnConf) -> Device:
    number = device.node
    return replace(device, device_ip=conf.addresses.get(number) or conf.ipv6_addresses.get(number))


def _conf(path: Path) -> tuple[HccnConf, tuple[str, ...]]:
    """The file's addresses. That it is not there is no trouble: hosts without a card network have none."""
    try:
        parsed: Parsed[HccnConf] = parse_hccn_conf(path.read_text(errors="replace"))
    except FileNotFoundError:
        return HccnConf(), ()
    except OSError as error:
        return HccnConf(), (f"{path} cannot be read ({error.strerror}): device addresses were not compared with it",)
    if not parsed.unread:
        return parsed.value, ()
    lines = ", ".join(str(line) for line in parsed.unread[:3])
    return parsed.value, (f"{path}: not understood, and passed over: {lines}",)
