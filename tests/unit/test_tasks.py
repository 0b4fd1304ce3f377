"""What the tasks of a worker make of messages: of another version, or of anything."""

from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.broker import CANCEL_TASK, MESSAGE_VERSION, PLACE_TASK, START_TASK
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.settings import load_settings
from workers.app import make_app
from workers.news import News


class HeardNews(News):
    """Counts what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    def tell(self, *, room: bool = True) -> None:
        super().tell(room=room)
        self.told += 1


@pytest.fixture
def news() -> HeardNews:
    return HeardNews()


@pytest.fixture
def tasks(tmp_path: Path, news: News) -> Any:
    settings = load_settings({"home": tmp_path, "host_name": "here", "broker_url": "redis://127.0.0.1:1/0"}, {})
    return make_app(settings, news).tasks


@pytest.mark.parametrize("task", [PLACE_TASK, START_TASK, CANCEL_TASK])
@pytest.mark.parametrize("named", [{}, {"version": MESSAGE_VERSION + 1}, {"version": "x", "colour": 1}])
def test_a_message_of_another_version_only_wakes(tasks: Any, news: HeardNews, task: str, named: Any) -> None:
    tasks[task].run(1, 1, **named)

    assert news.told == 1
    assert news.cancelled() == []


def test_a_cancel_of_this_version_says_which(tasks: Any, news: HeardNews) -> None:
    tasks[CANCEL_TASK].run(3, 2, version=MESSAGE_VERSION)

    assert news.cancelled() == [PartKey(3, 2, "here")]


def test_only_what_is_to_be_placed_asks_for_a_pass(tasks: Any, news: HeardNews) -> None:
    tasks[START_TASK].run(3, 2, version=MESSAGE_VERSION)
    tasks[CANCEL_TASK].run(3, 2, version=MESSAGE_VERSION)
    assert (news.wait(0), news.room()) == (True, False)
    tasks[PLACE_TASK].run(3, version=MESSAGE_VERSION)
    assert (news.wait(0), news.room()) == (True, True)
    assert (news.wait(0), news.room()) == (False, False)
