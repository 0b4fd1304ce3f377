"""`checkpoints`: the weights that the registry knows."""

import sys

import click

from erfnet_jobs.cli.bundle import bundle
from erfnet_jobs.cli.lineage import engine_lines, tree_lines
from erfnet_jobs.cli.measures import class_lines, engine_text, means_text, where_text
from erfnet_jobs.cli.output import (
    Column,
    Document,
    age,
    fields,
    file_size,
    print_json,
    table,
    terminal_width,
    wrapped,
)
from erfnet_jobs.cli.prune import prune
from erfnet_jobs.cli.session import Session
from erfnet_jobs.cli.times import moment
from erfnet_jobs.cli.verify import verify

COLUMNS = (
    Column("checkpoint", lambda row: str(row["checkpoint"]), right=True),
    Column("job", lambda row: str(row["job"] or "-"), right=True),
    Column("attempt", lambda row: str(row["attempt"] or "-"), right=True, keep=2),
    Column("network", lambda row: row["network"], keep=4),
    Column("origin", lambda row: "" if row["origin"] == "train" else row["origin"], keep=6),
    Column("stage", lambda row: str(row["stage"] or "-"), right=True),
    Column("epoch", lambda row: str(row["epoch"] or "-"), right=True),
    Column("step", lambda row: str(row["step"] or "-"), right=True, keep=1),
    Column("size", lambda row: file_size(row["size"]), right=True, keep=3),
    Column("age", lambda row: age(row["created_at"]), right=True, keep=5),
    Column("removed", lambda row: "removed" if row["removed_at"] else ""),
    Column("path", lambda row: row["path"], bends=True, least=24, ends=True),
)
# What of a checkpoint's document is shown in its own way.
LISTED = ("size", "created_at", "removed_at", "evaluations", "lineage", "differences")


@click.group()
def checkpoints() -> None:
    """List checkpoints, show one, and look after their files."""


for command in (prune, verify, bundle):
    checkpoints.add_command(command)


@checkpoints.command("list")
@click.option("--job", type=int, default=None, help="Only this job's.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many, newest."
)
@click.option("--removed", is_flag=True, help="Also those whose files have left the disk.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def list_(session: Session, job: int | None, limit: int, removed: bool, as_json: bool) -> None:
    """List checkpoints, newest first."""
    rows = session.client.checkpoints(job, limit, removed)
    if as_json:
        print_json(rows)
    elif rows:
        click.echo("\n".join(table(rows, COLUMNS)))
    else:
        click.echo("No checkpoints yet: a training writes one after each epoch, and import-weights makes some.")


@checkpoints.command()
@click.argument("checkpoint")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def show(session: Session, checkpoint: str, as_json: bool) -> None:
    """Show CHECKPOINT, named by its id, JOB:best or JOB:last: what was made of it, its figures by every engine."""
    row = session.client.checkpoint(checkpoint)
    if as_json:
        print_json(row)
        return
    pairs = [(name, value) for name, value in row.items() if name not in LISTED]
    pairs += [
        ("size", file_size(row["size"])),
        ("written", moment(row["created_at"])),
        ("removed", moment(row["removed_at"])),
    ]
    parts = [fields(pairs), tree_lines(row)]
    parts += [_measured(found) for found in row["evaluations"]]
    parts.append(engine_lines(row))
    click.echo("\n\n".join("\n".join(part) for part in parts if part))


def _measured(row: Document) -> list[str]:
    engine = f", with {engine_text(row)}" if row["model_sha256"] else ""
    head = f"Measured on {where_text(row)}, by job {row['job']}{engine}"
    return [*(wrapped(line, terminal_width(sys.stdout)) for line in (head, means_text(row))), *class_lines(row)]
