"""Everything about one job, for people: how it is, why it failed, what it left and what to do next."""

import sys

from erfnet_jobs.choices import EXPORT_FORMATS
from erfnet_jobs.cli.measures import hash_text, short_text, where_text
from erfnet_jobs.cli.output import (
    Column,
    Document,
    difference_text,
    duration,
    fields,
    number,
    percent,
    screen_width,
    seconds_since,
    table,
    terminal_width,
    wrapped,
)
from erfnet_jobs.cli.reasons import why
from erfnet_jobs.cli.times import clock, moment, zone

ENDED = ("succeeded", "failed", "cancelled", "skipped")
UNSTARTED = ("waiting", "queued", "assigned")
SHOWN_LINES = 12
SHOWN_ROWS = 8
EVENT_INDENT = " " * 6


def details_lines(job: Document) -> list[str]:
    """What `status JOB` prints, of a document of `Client.details`."""
    parts = [_summary(job), _failure(job), _attempts(job), _results(job), _events(job), _files(job), _next(job)]
    return "\n\n".join("\n".join(part) for part in parts if part).split("\n")


def _summary(job: Document) -> list[str]:
    title = f"Job {job['id']}  {job['kind']}  {job['state']}" + (f"  {job['name']}" if job["name"] else "")
    epoch = f"{job['epoch']} of {job['epochs']}" if job["epoch"] else None
    stage = f"{job['stage']}, epoch {epoch}, step {job['step']} of {job['steps']}"
    # Between two attempts the row still has what the last one reported.
    started = job["state"] not in UNSTARTED
    took = seconds_since(job["started_at"], job["ended_at"])
    goes_on = started and job["state"] not in ENDED
    measured = any(row["images_per_second"] for row in job["evaluations"])  # which says its own speed
    spec = dict(job["spec"])
    if spec.get("model"):  # which says its size itself
        del spec["size"]
    settings = ", ".join(
        f"{name} {_plain(value)}" for name, value in spec.items() if value not in (None, job["kind"], [])
    )
    pairs = [
        ("why", why(job)),
        ("progress", _progress(job) if started else None),
        ("stage", stage if started and job["stage"] else None),
        ("loss", None if job["loss"] is None else number(job["loss"], 4)),
        ("batch", batch_text(job["training"])),
        ("learning rate", learning_rate_text(job["training"])),
        ("mean IoU", None if job["mean_iou"] is None else number(job["mean_iou"], 4)),
        ("speed", _speed(job) if started and not measured else None),
        ("ETA", duration(job["eta_seconds"]) if goes_on and job["eta_seconds"] else None),
        ("cards", f"{job['cards']}" + (f" on {', '.join(job['hosts'])}" if job["hosts"] else "")),
        ("attempt", _attempt(job)),
        ("time limit", f"{duration(job['time_limit'])} an attempt" if job["time_limit"] else None),
        ("submitted", f"{moment(job['created_at'])}, by {job['user']}"),
        ("ended", moment(job["ended_at"])),
        ("took" if job["ended_at"] else "runs for", duration(took) if started and took is not None else None),
        ("next try", moment(job["not_before"]) if not started else None),
        ("after jobs", ", ".join(map(str, job["needs"])) or None),
        ("before jobs", ", ".join(map(str, job["needed_by"])) or None),
        ("settings", settings),
    ]
    return [title, *_indented(fields(pairs, screen_width() - 2))]


def _speed(job: Document) -> str | None:
    return f"{job['images_per_second']:.1f} images/s" if job["images_per_second"] else None


def _progress(job: Document) -> str:
    return percent(job["progress"]) + (f", {job['phase']}" if job["phase"] else "")


def _attempt(job: Document) -> str:
    again = f", tried again until {job['max_attempts']} have failed" if job["max_attempts"] > 1 else ""
    return f"{job['attempt']}{'' if job['state'] in ENDED else again}"


def batch_text(training: Document | None) -> str | None:
    """The global batch, and the steps of an epoch where they are known; None for what is no training."""
    if training is None:
        return None
    cards = f"{training['cards']} card{'s' if training['cards'] > 1 else ''}"
    steps = f", {training['steps_per_epoch']} steps an epoch" if training["steps_per_epoch"] else ""
    return f"{training['global_batch']} images ({cards} of {training['batch_size']}){steps}"


def learning_rate_text(training: Document | None) -> str | None:
    """The learning rate now and at first, and how it follows the cards; None for what is no training."""
    if training is None:
        return None
    now = "" if training["lr"] is None else f"{training['lr']:.4g} now, "
    scaling = (
        "" if training["scale_lr"] == "none" else f" ({training['base_lr']:.4g} by {training['scale_lr']} of cards)"
    )
    return f"{now}{training['first_lr']:.4g} at first{scaling}"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _failure(job: Document) -> list[str]:
    ended_badly = [attempt for attempt in job["attempts"] if attempt["outcome"] not in (None, "succeeded")]
    if not ended_badly or job["state"] == "succeeded":
        return []
    attempt = ended_badly[-1]
    how = f"exit code {attempt['exit_code']}" if attempt["signal"] is None else f"signal {attempt['signal']}"
    rank = attempt["failed_rank"]
    lines = [f"Attempt {attempt['number']} {attempt['outcome']}: {attempt['reason']}"]
    if rank is None:
        return lines
    said = attempt["last_lines"] or (job["first_failure"] or {}).get("text") or ""
    last = said.rstrip().splitlines()[-SHOWN_LINES:]
    head = f"  Rank {rank} failed first ({how}). Its last lines:"
    return (
        [*lines, head, *(f"  | {line}" for line in last)] if last else [*lines, f"  Rank {rank} failed first ({how})."]
    )


def _attempts(job: Document) -> list[str]:
    if not job["attempts"]:
        return []
    columns = (
        Column("number", lambda attempt: str(attempt["number"]), right=True),
        Column("outcome", lambda attempt: attempt["outcome"] or "goes on"),
        Column("on", _devices),
        Column("began", lambda attempt: clock(attempt["started_at"]), keep=4),
        Column("took", lambda attempt: duration(seconds_since(attempt["started_at"], attempt["ended_at"])), right=True),
        Column("why", lambda attempt: " ".join((attempt["reason"] or "").split()), bends=True, least=16),
    )
    return ["Attempts", *_indented(table(job["attempts"], columns, screen_width() - 2))]


def _devices(attempt: Document) -> str:
    return "; ".join(f"{place['host']}: {','.join(map(str, place['devices']))}" for place in attempt["placements"])


def _results(job: Document) -> list[str]:
    lines: list[str] = []
    for title, rows, text in (
        ("Checkpoints", [row for row in job["checkpoints"] if not row["removed_at"]], _checkpoint),
        ("Evaluations", job["evaluations"], _evaluation),
        ("Files", sorted(job["artifacts"], key=lambda row: row["format"] not in EXPORT_FORMATS), _file),
    ):
        if rows:
            lines += ["", title, *_indented([text(row) for row in rows[:SHOWN_ROWS]])]
        if len(rows) > SHOWN_ROWS:
            lines.append(f"  … and {len(rows) - SHOWN_ROWS} more (--json has up to 50)")
    return lines[1:]


def _checkpoint(row: Document) -> str:
    return f"{row['checkpoint']:>5}  stage {row['stage']} epoch {row['epoch']}  {row['path']}"


def _evaluation(row: Document) -> str:
    name = f"checkpoint {row['checkpoint']}" if row["checkpoint"] else row["path"]
    line = f"{short_text(row)}  {name}, {where_text(row)}"
    width = terminal_width(sys.stdout)
    return wrapped(line, width and width - 2, EVENT_INDENT)


def _file(row: Document) -> str:
    model = f"  {hash_text(row['sha256'])}" if row["format"] in EXPORT_FORMATS else ""
    return f"{row['format']:<10}  {row['path']}{model}{difference_text(row['difference'])}"


def _events(job: Document) -> list[str]:
    shown = job["events"][-SHOWN_ROWS:]
    lines = [f"{clock(event['at'])}  {event['kind']}: {' '.join(event['text'].split())}" for event in shown]
    width = terminal_width(sys.stdout)
    return [f"Events ({zone()})", *(wrapped(line, width, EVENT_INDENT) for line in _indented(lines))] if lines else []


def _files(job: Document) -> list[str]:
    if not job["attempts"]:
        return []
    run_dir = job["attempts"][-1]["run_dir"]
    return [f"Run folder  {run_dir}", f"Logs        {run_dir}/logs"]


def _next(job: Document) -> list[str]:
    number_, state = job["id"], job["state"]
    if state == "failed" and not job["attempts"]:
        return ["Next: mend the cause, and submit again."]
    if state not in ENDED and not job["attempts"]:
        return [f"Next: 'erfnet-jobs wait {number_}' shows when it starts, and waits for its end."]
    if state == "failed":
        return [f"Next: read the whole log with 'erfnet-jobs logs {number_}', mend the cause, and submit again."]
    if state == "succeeded" and job["kind"] in ("train", "eval"):
        return ["Next: 'erfnet-jobs best --metric mean_iou' names the best checkpoint."]
    if state == "succeeded" and job["kind"] == "310-infer":
        return [f"Next: {_compared(row)}" for row in job["evaluations"][:1] if row["checkpoint"]]
    if state not in ENDED:
        return [f"Next: 'erfnet-jobs logs {number_} --follow' or 'erfnet-jobs wait {number_}'."]
    return []


def _compared(row: Document) -> str:
    return f"'erfnet-jobs checkpoints show {row['checkpoint']}' compares these figures with those of other engines."
