"""The Celery tasks: each only wakes the rounds, which look into the registry. Messages may hold anything."""

from typing import Any

from erfnet_jobs.broker import CANCEL_TASK, MESSAGE_VERSION, PLACE_TASK, START_TASK
from erfnet_jobs.registry.jobs import MAX_ID
from erfnet_jobs.registry.parts import PartKey
from workers.news import News


def register_tasks(app: Any, host: str, news: News) -> None:
    """Give the app its three tasks."""

    @app.task(name=PLACE_TASK, shared=False)  # type: ignore[untyped-decorator]
    def place(*_args: object, **_kwargs: object) -> None:
        news.tell()

    @app.task(name=START_TASK, shared=False)  # type: ignore[untyped-decorator]
    def start(*_args: object, **_kwargs: object) -> None:
        news.tell(room=False)

    @app.task(name=CANCEL_TASK, shared=False)  # type: ignore[untyped-decorator]
    def cancel(*args: object, version: object = None, **_kwargs: object) -> None:
        match args:
            case (int(job), int(attempt)) if version == MESSAGE_VERSION and _is_key(job, attempt):
                news.cancel(PartKey(job, attempt, host))
            case _:
                news.tell()


def _is_key(job: int, attempt: int) -> bool:
    return 0 < job <= MAX_ID and 0 < attempt <= MAX_ID
