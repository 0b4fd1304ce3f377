"""Fixtures of the tests with real services."""

from tests.cli_calls import data, narrow_shell, shell
from tests.gang_steps import gangs
from tests.guarded import authorities, guarded_postgres, guarded_redis
from tests.services import _redis_server, new_site, own_redis, redis_server, site, site_folder
from tests.two_hosts import new_hosts

__all__ = [
    "_redis_server",
    "authorities",
    "data",
    "gangs",
    "guarded_postgres",
    "guarded_redis",
    "narrow_shell",
    "new_hosts",
    "new_site",
    "own_redis",
    "redis_server",
    "shell",
    "site",
    "site_folder",
]
