"""The URL of the queues' Redis: what it may hold, how it is shown, and the TLS that it asks for. Stdlib only.

redis://[USER]:PASSWORD@HOST:PORT/NUMBER
rediss://...                    with TLS: the server's certificate and name are checked, by the system's authorities
rediss://...?ssl_ca_certs=FILE  or by those in FILE; &ssl_certfile=FILE&ssl_keyfile=FILE: with one of our own
redis+socket:///PATH
"""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from erfnet_jobs.errors import UsageError

TLS = "rediss"
SOCKET = "redis+socket"
REQUIRED = "required"
SCHEMES = ("redis", TLS, SOCKET)
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_cert_reqs", "ssl_check_hostname")
OPTIONS = (*TLS_OPTIONS, "virtual_host")
REMEDY = "give redis://HOST:PORT/NUMBER, rediss://... or redis+socket:///PATH in ERFNET_JOBS_BROKER_URL"
ESCAPES = "in a password write % as %25, / as %2F, ? as %3F, # as %23, @ as %40, : as %3A and ; as %3B"


def check_broker_url(url: str) -> None:
    """Raise UsageError for a URL that is no Redis'; the message never holds a part that may be a password."""
    parts = _parts(url)
    if parts.scheme not in SCHEMES:
        raise UsageError(f"the broker's URL begins with {parts.scheme!r}: {REMEDY}")
    # Kombu takes what stands between semicolons for other brokers to go to.
    if parts.fragment or ";" in url or "@" in parts.path + parts.query:
        raise UsageError(f"the broker's URL cannot be read: {REMEDY}; {ESCAPES}")
    if unknown := sorted(dict(parse_qsl(parts.query)).keys() - set(OPTIONS)):
        where = "; the password stands before the host, as in redis://:PASSWORD@HOST" if "password" in unknown else ""
        raise UsageError(
            f"the broker's URL has unknown options {', '.join(unknown)}: known are {', '.join(OPTIONS)}{where}"
        )
    for name, value in (tls_options(url) or {}).items():
        if name in TLS_FILES and not Path(value).is_file():
            raise UsageError(f"{name} in the broker's URL names {value}: there is no such file here")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        # What stands where a port should be may be a piece of the password.
        raise UsageError(f"the broker's URL cannot be read: {REMEDY}; {ESCAPES}") from error
    return parts


def shown_url(url: str) -> str:
    """The URL without what may be a secret: its password, and a user without one."""
    try:
        check_broker_url(url)
    except UsageError:
        return "(a URL that cannot be read)"
    parts = _parts(url)
    user = f"{parts.username or ''}:***@" if parts.password is not None else "***@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2]
    # Not put together by urlunsplit, which drops the two slashes before a socket's path.
    return f"{parts.scheme}://{user}{host}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def has_password(url: str) -> bool:
    """Whether the URL gives a password."""
    return bool(_parts(url).password)


def without_tls_options(url: str) -> str:
    """The URL as Celery gets it beside `tls_options`, which Celery would otherwise make of it in its own way."""
    head, mark, query = url.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in TLS_OPTIONS]
    return f"{head}{mark}{urlencode(kept)}" if kept else head


def tls_options(url: str) -> dict[str, Any] | None:
    """What redis-py's SSLConnection is to be called with; None for a URL without TLS.

    Kombu checks no certificate unless the URL asks for it; here it is checked unless the URL says `ssl_cert_reqs=none`.
    Raises UsageError for values that it cannot have, or options of TLS in a URL without it.
    """
    parts = _parts(url)
    given = {name: value for name, value in parse_qsl(parts.query) if name in TLS_OPTIONS}
    if parts.scheme != TLS:
        if given:
            raise UsageError(f"the broker's URL has {', '.join(sorted(given))} and no TLS: let it begin with {TLS}://")
        return None
    wish = given.pop("ssl_cert_reqs", REQUIRED).lower().removeprefix("cert_")
    if wish not in {REQUIRED, "none"}:
        raise UsageError(f"ssl_cert_reqs in the broker's URL is {wish!r}: give required, or none to check nothing")
    check_name = given.pop("ssl_check_hostname", "true").lower()
    if check_name not in {"true", "false"}:
        raise UsageError(f"ssl_check_hostname in the broker's URL is {check_name!r}: give true or false")
    checks_name = wish == REQUIRED and check_name == "true"
    return {"ssl_cert_reqs": wish, "ssl_check_hostname": checks_name, **given}
