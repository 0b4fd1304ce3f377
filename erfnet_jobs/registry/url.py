"""The registry's URL: what it may be, and how it is shown. No message ever holds a part that may be a password."""

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from erfnet_jobs.errors import UsageError

DIALECTS = ("sqlite", "postgresql+psycopg")
REMEDY = "give sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE in ERFNET_JOBS_DATABASE_URL"
ESCAPES = "in a password write % as %25, / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A"
# Parameters of libpq that hold a secret themselves ("Parameter Key Words").
SECRET = frozenset({"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
HOST = re.compile(r"[\w.:%*-]*")


def parse_url(database_url: str) -> URL:
    """The URL of a registry; raises UsageError for one that is no `sqlite:///` or `postgresql+psycopg://` URL."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"the registry's URL cannot be read: {REMEDY}; {ESCAPES}") from error
    if url.drivername not in DIALECTS:
        raise UsageError(f"the registry's URL begins with {url.drivername!r}: {REMEDY}")
    if url.get_backend_name() != "sqlite":
        _check_server(url)
    return url


def _check_server(url: URL) -> None:
    # Where an @ or a / stands in a password as it is, its end is taken for the host or the database.
    if not HOST.fullmatch(url.host or "") or any(sign in (url.database or "") for sign in "@:#"):
        raise UsageError(f"the registry's URL cannot be read: {REMEDY}; {ESCAPES}")
    if "password" in url.query:
        raise UsageError(f"the registry's URL has its password among its options: {REMEDY}")


def shown_url(url: URL) -> str:
    """The URL without its secrets."""
    secret = SECRET & url.query.keys()
    return url.update_query_dict(dict.fromkeys(secret, "***")).render_as_string(hide_password=True)
