"""The Celery app of a worker, and the thread that consumes with it.

The thread may lose Redis, hang or die: rounds go on without it, and nothing but speed depends on it. So it is a daemon
and ends with the process, without Celery's own ways of stopping.
"""

import logging
import threading
import time
from typing import Any

from erfnet_jobs.broker import PREFIX, celery_settings, host_queue, kind_queue
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import JobKind
from workers.news import News
from workers.tasks import register_tasks

log = logging.getLogger(__name__)

RESTART_SECONDS = 2.0
HEALTH_SECONDS = 5


def queues_of(host: str) -> list[str]:
    """What the worker of a host consumes: all kinds, and its own queue."""
    return [*(kind_queue(kind) for kind in JobKind), host_queue(host)]


def _refuse(_body: bytes) -> bytes:
    raise ValueError("compressed messages are none of ours")


def refuse_compressed() -> None:
    """Have Kombu, in this process, unpack no message: a few bytes could become all the memory there is."""
    from kombu import compression

    for content_type in compression.encoders():
        compression.register(_refuse, _refuse, content_type)


def make_app(settings: Settings, news: News) -> Any:
    """The app with its tasks: JSON only, nothing fetched ahead, no results, reconnects for ever."""
    from celery import Celery

    app = Celery(PREFIX, set_as_current=False)
    app.conf.update(
        celery_settings(settings.resolved_broker_url),
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=settings.remote_control,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    # Kombu looks so often whether Redis still answers, and leaves a link that died without a word for a new one.
    app.conf.broker_transport_options["health_check_interval"] = HEALTH_SECONDS
    refuse_compressed()
    register_tasks(app, settings.host_name, news)
    return app


class Consumer:
    """Consumes the host's queues in a thread of its own, again and again."""

    def __init__(self, settings: Settings, news: News) -> None:
        self._host = settings.host_name
        self._app = make_app(settings, news)
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)

    def start(self) -> None:
        """Start consuming."""
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                self._consume()
            except (Exception, SystemExit):
                log.exception("unexpected, in the consumer of the queues")
            # Something in a queue was no message at all: Celery ends over that, with the message gone.
            log.error("the consumer of the queues ended; starting another in %.0f s", RESTART_SECONDS)
            time.sleep(RESTART_SECONDS)

    def _consume(self) -> None:
        # Celery looks tasks up in the thread's own current app, and not in that of the worker that runs them.
        self._app.set_current()
        worker = self._app.WorkController(
            pool="solo",
            concurrency=1,
            queues=queues_of(self._host),
            hostname=f"{PREFIX}@{self._host}",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
