"""`python -m workers [--devices N] [--metrics-port N] [--drain]`: this host's worker in the foreground.

It ends with SIGTERM or SIGINT; jobs that run go on without it. Settings come from the environment and the home's
config.toml.
"""

import argparse
import fcntl
import logging
import os
import signal
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from erfnet_jobs.ascend.repeated_look import RepeatedLook
from erfnet_jobs.broker_url import check_broker_url, shown_url
from erfnet_jobs.errors import AlreadyRunning, ErfnetJobsError
from erfnet_jobs.files import make_private_folder
from erfnet_jobs.local.systemd import Systemd
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import set_drained, stop_host
from erfnet_jobs.settings import Settings, load_settings
from workers.aftermath import take_over
from workers.app import Consumer
from workers.device_watch import DeviceWatch
from workers.logs import set_up_logging
from workers.metrics.page import Page
from workers.news import News
from workers.own_devices import FirstLook, OwnDevices, first_look
from workers.registration import address_note, register
from workers.rounds import Rounds
from workers.tally import Tally

log = logging.getLogger("workers")

LOCK_NAME = "worker.running"
# However the registry or Redis hang, a worker that is told to stop is gone by then.
STOP_SECONDS = 10.0
# What a start may take by systemd's clock: with both tools hanging, each waits for its lock, for its answer and for its
# end, and slow ones answer several questions; then the registry's own time limits.
START_TOOL_CALLS = 10
START_SECONDS = 60.0


@contextmanager
def only_worker(settings: Settings) -> Iterator[None]:
    """Hold the home's lock, gone with this process; raises AlreadyRunning naming who has it."""
    make_private_folder(settings.home)
    path = settings.home / LOCK_NAME
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise AlreadyRunning(
                f"a worker of {settings.home} runs already (process {holder}): stop it first, with "
                "'erfnet-jobs down' or Ctrl-C where it runs in the foreground"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _stop_on_signals(news: News) -> None:
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if news.draining and len(told) == 1:
            name = signal.Signals(number).name
            log.info("%s: this worker ends when no job runs here; a second signal ends it at once", name)
            return
        if not news.stopping:
            timer = threading.Timer(STOP_SECONDS, os._exit, [0])
            timer.daemon = True
            timer.start()
        news.stop()
        log.info("%s: stopping; jobs that run here go on", signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def run_worker(settings: Settings, devices: int | None, *, drain: bool = False, systemd: Systemd | None = None) -> None:
    """Be this host's worker until told to stop; with `drain` for what runs already, until that has ended.

    Raises AlreadyRunning, RegistryUnreachable, RegistryNotMigrated, MissingDependency or UsageError when it cannot
    begin.
    """
    systemd = systemd or Systemd({})
    news = News(draining=drain)
    instance = uuid.uuid4().hex
    with only_worker(settings), Registry(settings.resolved_database_url) as registry:
        check_broker_url(settings.resolved_broker_url)
        page = Page(settings) if settings.metrics_port is not None else None
        systemd.starting("looking at the devices", START_TOOL_CALLS * settings.tool_timeout + START_SECONDS)
        first = first_look(settings, registry, devices)
        # From its first sign in the registry on, a host is also signed off again.
        _stop_on_signals(news)
        before = register(settings, registry, instance, first, drain=drain)
        count = sum(seen.present for seen in first.states.seen.values())
        log.info("host %s with %d devices, registry %s", settings.host_name, count, registry.shown_url)
        log.info("queues at %s, runs in %s", shown_url(settings.resolved_broker_url), settings.runs)
        if note := address_note(settings, registry):
            log.warning("%s", note)
        supervisors = take_over(registry, settings)
        Consumer(settings, news).start()
        watch = _watch_of(settings, devices, first, news) if first.watched else None
        own = OwnDevices(settings, registry, first, watch)
        tally = Tally()
        if page is not None:
            page.show(registry, tally, own)
        systemd.ready()
        Rounds(settings, registry, instance, news, own, supervisors=supervisors, tally=tally, systemd=systemd).run()
        systemd.stopping()
        with registry.write() as session:
            stop_host(session, settings.host_name, instance)
            # The next worker gets jobs again, unless somebody else has drained the host, or this drain did not end.
            if news.draining and not news.stopping and not before:
                set_drained(session, settings.host_name, False)


def _watch_of(settings: Settings, count: int | None, first: FirstLook, news: News) -> DeviceWatch:
    watch = DeviceWatch(RepeatedLook(settings, count, first.found), settings.device_interval, news.tell)
    watch.start()
    return watch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="This host's worker, in the foreground.")
    parser.add_argument("--devices", type=int, default=None, help="CPU slots (default: one for each core)")
    parser.add_argument("--metrics-port", default=None, help="show figures to Prometheus at this port (default: not)")
    parser.add_argument("--drain", action="store_true", help="take no new job, and end when those here have ended")
    options = parser.parse_args(arguments)
    set_up_logging()
    systemd = Systemd(os.environ)
    try:
        settings = load_settings({"metrics_port": options.metrics_port})
        run_worker(settings, options.devices, drain=options.drain, systemd=systemd)
    except ErfnetJobsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message stands on its own
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Celery's threads may hang in a dead Redis; nothing of theirs needs an end.
    os._exit(code)
