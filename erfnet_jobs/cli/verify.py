"""`checkpoints verify`: reads files again, and tells those that are not as they were recorded."""

from collections import Counter
from collections.abc import Sequence

import click

from erfnet_jobs.cli.output import Column, Document, file_size, print_json, table
from erfnet_jobs.cli.progress import progress_line
from erfnet_jobs.cli.session import Session

COLUMNS = (
    Column("checkpoint", lambda row: str(row["checkpoint"]), right=True),
    Column("job", lambda row: str(row["job"] or "-"), right=True, keep=5),
    Column("fault", lambda row: row["state"]),
    Column("what", lambda row: row["said"] or "", keep=4),
    Column("path", lambda row: row["path"], bends=True, least=24, ends=True),
)


@click.command()
@click.argument("checkpoints", nargs=-1, metavar="[C]...")
@click.option("--job", type=int, default=None, help="All of this job's on disk.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def verify(ctx: click.Context, checkpoints: tuple[str, ...], job: int | None, as_json: bool) -> None:
    """Read checkpoints again and compare sizes and SHA-256; the exit code is 1 where one is not as recorded.

    C is an id, a path, JOB:best, JOB:last or JOB:all; without any, all on disk are read. Files on other hosts are named
    and not counted as faults.
    """
    from erfnet_jobs.client.verifying import FAULTS
    from erfnet_jobs.client.verifying import verify as verify_files
    from erfnet_jobs.errors import UsageError

    if checkpoints and job is not None:
        raise UsageError("--job takes all of a job's checkpoints: name some, or the job, and leave the other out")
    session: Session = ctx.obj
    with progress_line("checkpoints read", quiet=as_json) as progress:
        rows = verify_files(session.client, checkpoints, job, progress)
    faults = [row for row in rows if row["state"] in FAULTS]
    if as_json:
        print_json(rows)
    else:
        click.echo("\n".join(_lines(rows, faults)))
    ctx.exit(1 if faults else 0)


def _lines(rows: Sequence[Document], faults: Sequence[Document]) -> list[str]:
    lines = [*table(faults, COLUMNS), ""] if faults else []
    whole = [row for row in rows if row["state"] == "ok"]
    size = file_size(sum(row["size"] for row in whole))
    if not rows:
        return ["There are no checkpoints on disk."]
    lines.append(f"{len(whole)} of {len(rows)} are as recorded ({size}); {len(faults) or 'no'} faults.")
    for where, count in sorted(Counter(row["said"] for row in rows if row["state"] == "elsewhere").items()):
        lines.append(f"{count} lie {where}, not here: run this there.")
    if faults:
        lines.append("Jobs refuse such files: put them back from a copy, or name other checkpoints.")
    return lines
