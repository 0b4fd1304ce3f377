"""Hosts and their devices as JSON documents; their keys are stable."""

from erfnet_jobs.client.document import Document, time_text
from erfnet_jobs.registry.hosts import HostSummary


def _host_state(host: HostSummary, lease_timeout: float) -> str:
    if host.stopped_at:
        return "stopped"
    if host.silence > lease_timeout:
        return "silent"
    return "drained" if host.drained else "up"


def host_document(host: HostSummary, lease_timeout: float) -> Document:
    """A machine with a worker, its devices and the jobs on them. `seen_at` is its worker's newest beat.

    `state` is 'up', 'drained', 'stopped', or 'silent' where that beat is older than `lease_timeout` seconds; a host
    that is stopped or silent may be drained as well.
    """
    return {
        "name": host.name,
        "address": host.address,
        "state": _host_state(host, lease_timeout),
        "drained": host.drained,
        "version": host.version,
        "storage": host.storage_id,
        "family": host.family,
        "infers_310": host.infers_310,
        "driver": host.driver,
        "cann": host.cann,
        "trouble": host.trouble,
        "seen_at": time_text(host.seen_at),
        "registered_at": time_text(host.registered_at),
        "usable": len(host.usable),
        "free": len(host.free),
        "jobs": sorted({device.job for device in host.devices if device.job is not None}),
        "devices": [
            {
                "id": device.id,
                "kind": device.kind,
                "name": device.name,
                "generation": device.generation,
                "health": device.health,
                "error_code": device.error_code,
                "present": device.present,
                "usable": device.usable,
                "busy": device.busy,
                "cordoned": device.cordoned,
                "npu_id": device.npu_id,
                "chip_id": device.chip_id,
                "physical_id": device.physical_id,
                "memory": device.memory,
                "device_ip": device.device_ip,
                "link": device.link,
                "job": device.job,
            }
            for device in host.devices
        ],
    }
