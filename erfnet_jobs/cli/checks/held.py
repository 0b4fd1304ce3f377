"""Which devices of this host jobs hold."""

from erfnet_jobs.errors import ErfnetJobsError, RegistryNotMigrated
from erfnet_jobs.settings import Settings


def held_devices(settings: Settings) -> tuple[dict[int, int], str | None]:
    """Jobs by the devices of this host that they hold; or why that is not known."""
    from erfnet_jobs.registry.engine import Registry
    from erfnet_jobs.registry.hosts import list_hosts

    try:
        with Registry(settings.resolved_database_url) as registry, registry.read() as session:
            own = [host for host in list_hosts(session) if host.name == settings.host_name]
    except RegistryNotMigrated:  # no worker can have placed anything
        return {}, None
    except ErfnetJobsError as error:
        return {}, str(error)
    return {device.id: device.job for host in own for device in host.devices if device.job is not None}, None
