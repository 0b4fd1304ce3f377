"""Real Redis and workers, for acceptance tests of the queue."""

from tests.services import _redis_server, new_site, redis_server, site_folder

__all__ = ["_redis_server", "new_site", "redis_server", "site_folder"]
