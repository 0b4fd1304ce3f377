"""The address of this host, and the ports of its jobs."""

from collections.abc import Iterator
from pathlib import Path

from erfnet_jobs.cli.checks.answer import OK, WARNING, Answer
from erfnet_jobs.cli.checks.services import is_loopback
from erfnet_jobs.settings import Settings

SYSCTL = Path("/proc/sys/net/ipv4")


def check_address(settings: Settings) -> Iterator[Answer]:
    """Other hosts can reach the address, and it is this host's."""
    from erfnet_jobs.launch.ports import fresh_port
    from erfnet_jobs.registry.url import parse_url

    address = settings.host_address
    one_host = parse_url(settings.resolved_database_url).get_backend_name() == "sqlite"
    fresh_port(address)
    if is_loopback(address) and not one_host:
        yield Answer(
            WARNING,
            f"{settings.host_name} is at {address}, which other hosts cannot reach: no job runs over several hosts",
            "set ERFNET_JOBS_HOST_ADDRESS to the address that they reach",
        )
        return
    yield Answer(OK, f"{settings.host_name} at {address}")


def numbers(text: str) -> set[int]:
    """The ports of a list such as '60000-60015,8080' (ip-sysctl.rst)."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def hccl_ports(ports: range, sysctl: Path = SYSCTL) -> Iterator[Answer]:
    """The ports that HCCL listens on are not among those that Linux gives to outgoing connections."""
    try:
        low, high = map(int, (sysctl / "ip_local_port_range").read_text().split())
        reserved = numbers((sysctl / "ip_local_reserved_ports").read_text())
    except (OSError, ValueError) as error:
        yield Answer(WARNING, f"whether HCCL's ports are free is not known ({error})")
        return
    given_away = set(range(low, high + 1)) & set(ports) - reserved
    shown = f"{ports.start}-{ports.stop - 1}"
    if given_away:
        yield Answer(
            WARNING,
            f"HCCL's ports {shown} may be taken by outgoing connections ({low}-{high})",
            f"sysctl -w net.ipv4.ip_local_reserved_ports={shown} (add what it has)",
        )
        return
    yield Answer(OK, f"HCCL's ports {shown} are kept free")
