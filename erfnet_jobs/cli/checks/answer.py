"""What a question of `doctor` is, and its answers: one or several lines, each with what to do."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from erfnet_jobs.errors import ErfnetJobsError
from erfnet_jobs.settings import Settings

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Answer:
    """'ok', 'warning' or 'error', what was found, and what to do about it."""

    state: str
    text: str
    remedy: str | None = None


Question = Callable[[Settings], Iterator[Answer]]


def ask(name: str, question: Question, settings: Settings) -> Iterator[dict[str, Any]]:
    """The answers as documents; one of our errors is an answer too."""
    try:
        for answer in question(settings):
            yield {"name": name, **asdict(answer)}
    except (ErfnetJobsError, OSError) as error:
        yield {"name": name, **asdict(Answer(ERROR, str(error)))}
