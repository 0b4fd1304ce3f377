"""Wake-ups to other hosts, from a thread of its own: a Redis that hangs must not hold the rounds."""

import logging
import queue
import threading

from erfnet_jobs.broker import Broker
from erfnet_jobs.errors import BrokerUnreachable
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.settings import Settings

log = logging.getLogger(__name__)

# More than that nobody waits for; the other workers look by themselves with every beat.
LIMIT = 100


class Sender:
    """Sends what it is given, or drops it."""

    def __init__(self, settings: Settings) -> None:
        self._broker = Broker(settings.resolved_broker_url)
        self._waiting: queue.Queue[PartKey] = queue.Queue(LIMIT)
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def wake_start(self, key: PartKey) -> None:
        """Tell the worker of another host that it has a part to start; returns at once."""
        if not self._thread.is_alive():
            self._thread.start()
        try:
            self._waiting.put_nowait(key)
        except queue.Full:
            log.warning("Redis is too slow: host %s is not told that it has a part to start", key.host)

    def _run(self) -> None:
        while True:
            key = self._waiting.get()
            try:
                self._broker.wake_start(key.job, key.attempt, key.host)
            except BrokerUnreachable as error:
                log.warning("%s; host %s looks by itself", error, key.host)
            except Exception:
                log.exception("unexpected, in the sender; host %s looks by itself", key.host)
