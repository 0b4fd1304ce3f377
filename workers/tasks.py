"""The Celery tasks: each only wakes the rounds, which look into the registry. Messages may hold anything."""

from typing import Any

from erfnet_jobs.broker import CANCEL_TASK, PLACE_TASK, START_TASK
from erfnet_jobs.registry.jobs import MAX_ID
from erfnet_jobs.registry.parts import PartKey
from workers.news import News


def register_tasks(app: Any, host: str, news: News) -> None:
    """Give the app its three tasks."""

    @app.task(name=PLACE_TASK, shared=False)  # type: ignore[untyped-decorator]
    def place(*_args: object) -> None:
        news.tell()

    @app.task(name=START_TASK, shared=False)  # type: ignore[untyped-decorator]
    def start(*_args: object) -> None:
        news.tell()

    @app.task(name=CANCEL_TASK, shared=False)  # type: ignore[untyped-decorator]
    def cancel(*args: object) -> None:
        match args:
            case (int(job), int(attempt)) if 0 < job <= MAX_ID and 0 < attempt <= MAX_ID:
                news.cancel(PartKey(job, attempt, host))
            case _:
                news.tell()
