"""Times as people read them: in the terminal's zone, the day where it is not today's, and back to the same instant."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.cli.times import clock, moment, reason_text, zone
from erfnet_jobs.client.document import time_text

ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati")
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2037, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@pytest.fixture(params=ZONES)
def zone_name(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.fixture
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def read_back(text: str, now: datetime) -> datetime:
    """The instant, to the minute, that a reader takes the text for."""
    today = now.astimezone()
    if len(text) == len("14:03:05"):
        text = f"{today:%Y-%m-%d} {text[:5]}"
    elif len(text) == len("Nov 24 14:03"):
        text = f"{today:%Y} {text}"
        return datetime.strptime(text, "%Y %b %d %H:%M")  # noqa: DTZ007 - compared as local clocks
    return datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007


def test_a_reader_takes_every_time_for_what_it_is(zone_name: str) -> None:
    @given(TIMES, TIMES)
    def holds(at: datetime, now: datetime) -> None:
        local = at.astimezone().replace(tzinfo=None, second=0, microsecond=0)
        assert read_back(clock(time_text(at), now), now) == local

    holds()


@given(TIMES)
def test_json_has_the_very_instant_in_utc(at: datetime) -> None:
    text = time_text(at)
    assert text is not None
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == at


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-24T16:30:00Z", "00:30:00"),
        ("2026-11-24T15:59:59Z", "Nov 24 23:59"),
        ("2025-12-31T15:59:00Z", "2025-12-31 23:59"),
        ("2025-12-31T16:01:00Z", "Jan 01 00:01"),
        (None, "-"),
    ],
)
def test_today_is_the_terminal_s(shanghai: None, at: str | None, shown: str) -> None:
    assert clock(at, datetime(2026, 11, 25, 4, tzinfo=UTC)) == shown


def test_a_moment_has_its_zone_and_its_age(shanghai: None) -> None:
    ago = moment(time_text(datetime.now(UTC) - timedelta(days=400)))
    assert ago is not None
    assert ago.endswith(" CST, 400d ago")
    ahead = moment(time_text(datetime.now(UTC) + timedelta(hours=1)))
    assert ahead is not None
    assert ahead.endswith(" CST")
    assert moment(None) is None
    assert zone() == "CST"


def test_the_next_try_is_told_while_it_is_to_come(shanghai: None) -> None:
    later, before = (datetime.now(UTC) + timedelta(hours=sign) for sign in (1, -1))
    job = {"reason": "attempt 1:\n rank 0 failed", "not_before": time_text(later)}
    assert reason_text(job) == f"attempt 1: rank 0 failed; next try at {clock(job['not_before'])}"
    for passed in (time_text(before), None):
        assert reason_text({**job, "not_before": passed}) == "attempt 1: rank 0 failed"
