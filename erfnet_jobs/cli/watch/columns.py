"""The tables of jobs in the live view; the title of each one's first column says what it lists."""

import re

from erfnet_jobs.cli.output import Column, Document, age, duration, number, percent

_COUNT = re.compile(r" (\d+) of (\d+)$")


def doing(job: Document) -> str:
    """What a job does that has devices, where stage and epoch do not say it."""
    if job["cancel_requested"]:
        return "is cancelled"
    if job["state"] != "running":
        return str(job["state"])
    return "" if job["stage"] and job["phase"] in (None, "train") else _COUNT.sub(r" \1/\2", job["phase"] or "")


def _of(part: int | None, whole: int | None) -> str:
    return "" if part is None else f"{part}/{whole}"


RUNNING = (
    Column("running", lambda job: str(job["id"]), right=True),
    Column("kind", lambda job: job["kind"]),
    Column("name", lambda job: job["name"] or "", keep=3, bends=True, least=6),
    Column("host", lambda job: ",".join(job["hosts"]), keep=4, bends=True, least=6),
    Column("by", lambda job: job["user"].partition("@")[0], keep=1),
    Column("doing", doing, keep=8, bends=True, least=16),
    Column("stage", lambda job: str(job["stage"] or ""), keep=7, right=True),
    Column("epoch", lambda job: _of(job["epoch"], job["epochs"]), keep=8, right=True),
    Column("step", lambda job: _of(job["step"], job["steps"]), keep=6, right=True),
    Column("done", lambda job: percent(job["progress"]), keep=2, right=True),
    Column("img/s", lambda job: number(job["images_per_second"], 1), keep=7, right=True),
    Column("loss", lambda job: number(job["loss"], 3), keep=8, right=True),
    Column("eta", lambda job: duration(job["eta_seconds"]), right=True),
)
WAITING = (
    Column("waiting", lambda job: str(job["id"]), right=True),
    Column("kind", lambda job: job["kind"]),
    Column("name", lambda job: job["name"] or "", keep=3, bends=True, least=6),
    Column("by", lambda job: job["user"].partition("@")[0], keep=1),
    Column("cards", lambda job: str(job["cards"]), keep=8, right=True),
    Column("prio", lambda job: str(job["priority"] or ""), keep=2, right=True),
    Column("age", lambda job: age(job["created_at"]), keep=5, right=True),
)
ENDED = (
    Column("ended", lambda job: str(job["id"]), right=True),
    Column("kind", lambda job: job["kind"]),
    Column("name", lambda job: job["name"] or "", keep=3, bends=True, least=6),
    Column("state", lambda job: job["state"]),
    Column("ago", lambda job: age(job["ended_at"]), right=True),
)
