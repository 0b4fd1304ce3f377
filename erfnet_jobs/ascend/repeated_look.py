"""Looks at a host's devices one after another: short ones, and now and then a full one. Stdlib only."""

from erfnet_jobs.ascend.devices import ASCEND_CHIP, HostDevices
from erfnet_jobs.ascend.discover import host_devices, look_again
from erfnet_jobs.settings import Settings

# A short look sees neither links nor addresses; those show by the next full one.
FULL_EVERY = 30


class RepeatedLook:
    """Each call is a look; `first` is the full one that went before, `count` its number of CPU slots where given."""

    def __init__(self, settings: Settings, count: int | None, first: HostDevices) -> None:
        self._settings = settings
        self._count = count
        self._newest = first
        self._looks = 0

    def __call__(self) -> HostDevices:
        """The devices now. Raises UsageError as `host_devices`."""
        self._looks += 1
        chips = any(device.kind == ASCEND_CHIP for device in self._newest.devices)
        if not chips or self._looks % FULL_EVERY == 0:
            self._newest = host_devices(self._settings, self._count)
        else:
            self._newest = look_again(self._settings, self._newest)
        return self._newest
