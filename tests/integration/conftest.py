"""Fixtures of the tests with real services."""

from tests.services import _redis_server, new_site, own_redis, redis_server, site, site_folder

__all__ = ["_redis_server", "new_site", "own_redis", "redis_server", "site", "site_folder"]
