"""Redis, the registry and its clock, and this host's worker."""

import ipaddress
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer
from erfnet_jobs.settings import Settings

# Times in `status` and events are the registry's; nothing else depends on a clock of this host.
CLOCK_SECONDS = 5.0


def is_loopback(host: str | None) -> bool:
    """Whether a host's name or address leads to the machine that asks."""
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def check_broker(settings: Settings) -> Iterator[Answer]:
    """Redis answers; how it is protected, and what of its settings may lose messages."""
    from erfnet_jobs.broker import Broker
    from erfnet_jobs.broker_url import shown_url

    url = settings.resolved_broker_url
    if settings.embedded_broker:
        yield _embedded(settings)
        return
    broker = Broker(url)
    broker.ping()
    told = broker.about()
    broker.close()
    version = f", Redis {told['redis_version']}" if "redis_version" in told else ""
    yield Answer(OK, f"answers at {shown_url(url)}{version}")
    yield from broker_protection(url)
    yield from broker_storing(told)


def _embedded(settings: Settings) -> Answer:
    from erfnet_jobs.local import redis_server

    if redis_server.answers(settings):
        return Answer(OK, f"answers at {settings.redis_socket}")
    program = redis_server.find_redis_server()
    return Answer(WARNING, f"is not up; 'up' starts {program}", "run 'erfnet-jobs up'")


def broker_protection(url: str) -> Iterator[Answer]:
    """What the URL lacks where Redis is on another machine: TLS, a password, the check of its certificate."""
    from erfnet_jobs.broker_url import SOCKET, has_password, tls_options

    parts = urlsplit(url)
    tls = tls_options(url)
    if tls is not None and tls["ssl_cert_reqs"] == "none":
        yield Answer(WARNING, "the server's certificate is not checked", "take ssl_cert_reqs=none out of the URL")
    if parts.scheme == SOCKET or is_loopback(parts.hostname):
        return
    if tls is None:
        yield Answer(WARNING, "no TLS: who sees the network reads the password", "give rediss:// (README: Security)")
    if not has_password(url):
        yield Answer(WARNING, "no password: who reaches Redis may delay and flood jobs", "set requirepass in Redis")


def broker_storing(told: Mapping[str, Any]) -> Iterator[Answer]:
    """What of INFO matters here; messages that are lost only delay, for workers look by themselves."""
    policy = told.get("maxmemory_policy", "noeviction")
    if told.get("maxmemory") and policy != "noeviction":
        yield Answer(WARNING, f"maxmemory-policy {policy} may drop messages", "set maxmemory-policy noeviction")
    if told.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Answer(
            WARNING, "its last save to disk failed: it may refuse messages", "see its log; no message needs to be saved"
        )


def check_registry(settings: Settings) -> Iterator[Answer]:
    """The registry answers, has this program's version, and how far its clock is from this host's."""
    from erfnet_jobs.errors import RegistryNotMigrated
    from erfnet_jobs.registry.engine import HEAD, Registry
    from erfnet_jobs.registry.events import now

    with Registry(settings.resolved_database_url) as registry:
        try:
            with registry.read() as session:
                ahead = (datetime.now(UTC) - now(session)).total_seconds()
        except RegistryNotMigrated as error:
            if settings.database_url is None and not (settings.home / "registry.sqlite").exists():
                yield Answer(WARNING, "there is none yet", "run 'erfnet-jobs up', which makes it")
                return
            yield Answer(ERROR, str(error))
            return
        yield Answer(OK, f"{registry.shown_url}, version {HEAD}")
        if not registry.sqlite:
            yield from registry_protection(registry.url.host, str(registry.url.query.get("sslmode", "prefer")))
    if abs(ahead) > CLOCK_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        yield Answer(WARNING, f"this host's clock is {abs(ahead):.0f} s {way} the registry's", "let NTP set both")


def registry_protection(host: str | None, mode: str) -> Iterator[Answer]:
    """What libpq's `sslmode` leaves open where PostgreSQL is on another machine."""
    if mode != "verify-full" and not is_loopback(host):
        what = "may go without TLS" if mode in {"disable", "allow", "prefer"} else "does not check the server's name"
        yield Answer(WARNING, f"the connection {what} (sslmode={mode})", "give sslmode=verify-full (README: Security)")


def check_worker(settings: Settings) -> Iterator[Answer]:
    """The worker of this home runs."""
    from erfnet_jobs.local.worker_process import log_path, running_worker

    running = running_worker(settings)
    if running is None:
        yield Answer(WARNING, "is not up on this machine: jobs wait", "run 'erfnet-jobs up' or 'erfnet-jobs worker'")
        return
    yield Answer(OK, f"process {running.pid}, log {log_path(settings)}")
