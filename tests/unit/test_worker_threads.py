"""The threads of a worker outlive what nobody expected."""

import threading
from pathlib import Path

import pytest

from erfnet_jobs.ascend.devices import HostDevices
from erfnet_jobs.broker import Broker
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.settings import Settings, load_settings
from workers import app as app_module
from workers.app import Consumer
from workers.device_watch import DeviceWatch
from workers.news import News
from workers.sender import Sender

KEY = PartKey(1, 1, "elsewhere")
DEADLINE = 10.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path, "broker_url": "redis://127.0.0.1:1/0"}, environ={})


class Twice:
    """Breaks the first time; the second time is what the test waits for."""

    def __init__(self) -> None:
        self.calls = 0
        self.again = threading.Event()

    def __call__(self, *_arguments: object) -> None:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("nobody expected this")
        self.again.set()
        threading.Event().wait()


def test_the_sender_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = Twice()
    monkeypatch.setattr(Broker, "wake_start", send)
    sender = Sender(settings)

    sender.wake_start(KEY)
    sender.wake_start(KEY)

    assert send.again.wait(DEADLINE)
    assert "nobody expected this" in caplog.text


def test_a_look_that_hangs_holds_nobody_and_one_that_breaks_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    look = Twice()
    watch = DeviceWatch(look, 0.01, News().tell)  # type: ignore[arg-type] - what it gives is not looked at

    watch.start()

    assert look.again.wait(DEADLINE)
    assert watch.looks() == []
    assert "nobody expected this" in caplog.text


def test_the_last_two_looks_are_kept_for_who_asks_late() -> None:
    told, found = News(), [HostDevices((), driver=str(number)) for number in range(9)]
    remaining, ended = iter(found), threading.Event()

    def look() -> HostDevices:
        one = next(remaining, None)
        if one is None:
            ended.set()
            threading.Event().wait()
        assert one is not None
        return one

    watch = DeviceWatch(look, 0.001, told.tell)
    watch.start()

    assert ended.wait(DEADLINE)
    assert watch.looks() == found[-2:]
    assert watch.looks() == []


def test_the_consumer_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    consume = Twice()
    monkeypatch.setattr(Consumer, "_consume", consume)
    monkeypatch.setattr(app_module, "RESTART_SECONDS", 0.0)

    Consumer(settings, News()).start()

    assert consume.again.wait(DEADLINE)
    assert "nobody expected this" in caplog.text
