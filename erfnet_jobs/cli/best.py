"""`best`: the best checkpoint by a metric, among evaluations that may be compared."""

import click

from erfnet_jobs.cli.measures import class_lines, means_text
from erfnet_jobs.cli.output import Column, Document, number, print_json, table
from erfnet_jobs.cli.parameters import SIZE
from erfnet_jobs.cli.session import Session

COLUMNS = (
    Column("value", lambda row: number(row["value"], 4), right=True),
    Column("checkpoint", lambda row: str(row["checkpoint"] or "-"), right=True),
    Column("job", lambda row: str(row["job"] or "-"), right=True),
    Column("stage", lambda row: str(row["stage"] or "-"), right=True, keep=4),
    Column("epoch", lambda row: str(row["epoch"] or "-"), right=True, keep=5),
    Column("path", lambda row: row["path"], keep=2),
)


@click.command()
@click.option(
    "--metric", default="mean_iou", show_default=True, help="mean_iou, mean_iou_19, pixel_accuracy, mean_loss."
)
@click.option(
    "--per-class",
    "class_name",
    default=None,
    metavar="CLASS",
    help="The IoU of this class instead: rider, traffic light, ...",
)
@click.option("--split", default=None, help="Split that was evaluated.  [default: val]")
@click.option(
    "--protocol",
    default=None,
    help="Only this protocol: half, full, encoder-half, encoder-full.  [default: half first]",
)
@click.option("--size", type=SIZE, default=None, help="Only evaluations at this size, HxW.")
@click.option("--dataset", default=None, metavar="HASH", help="Only this dataset, by the beginning of its hash.")
@click.option("--job", type=int, default=None, help="Only this job's checkpoints.")
@click.option("--top", type=click.IntRange(1, 1000), default=None, help="List so many, best first.")
@click.option("--path", "only_path", is_flag=True, help="Print the path only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document (with --top a list).")
@click.pass_obj
def best(
    session: Session,
    metric: str,
    class_name: str | None,
    split: str | None,
    protocol: str | None,
    size: tuple[int, int] | None,
    dataset: str | None,
    job: int | None,
    top: int | None,
    only_path: bool,
    as_json: bool,
) -> None:
    """Find the best checkpoint by a metric.

    Compared are evaluations of one dataset, split, protocol and size only: those of the newest evaluation by protocol
    half, else by full, else of the encoder alone, unless said otherwise. Figures of converted models, as of 310-infer,
    do not count: `checkpoints show` compares engines.
    """
    if class_name is not None:
        metric = _figure_of(class_name)
    rows = session.client.best(
        metric, split=split, protocol=protocol, size=size, dataset_hash=dataset, job=job, top=top or 1
    )
    if as_json:
        print_json(rows if top else rows[0])
    elif only_path:
        click.echo("\n".join(row["path"] for row in rows))
    elif top:
        click.echo("\n".join([*table(rows, COLUMNS), "", _compared(rows[0])]))
    else:
        click.echo("\n".join(best_lines(rows[0])))


def _figure_of(class_name: str) -> str:
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.registry.figures import figure_of_class

    source = click.get_current_context().get_parameter_source("metric")
    if source is not None and source.name == "COMMANDLINE":
        raise UsageError("--per-class asks for the IoU of a class, --metric for a mean: leave one of the two out")
    return figure_of_class(class_name)


def _compared(row: Document) -> str:
    return (
        f"Measured on {row['split']} ({row['images']} images) of dataset {row['dataset_hash'][:12]} at "
        f"{row['height']}x{row['width']}, protocol {row['protocol']}."
    )


def best_lines(row: Document) -> list[str]:
    """What `best` prints of one checkpoint: the value, the path, the means, and the IoU of each class."""
    whose = [f"checkpoint {row['checkpoint']}"] if row["checkpoint"] else []
    whose += [f"job {row['job']}, stage {row['stage']}, epoch {row['epoch']}"] if row["job"] else []
    head = f"{row['metric']} {row['value']:.4f}  {', '.join(whose)}".rstrip()
    return [head, row["path"], _compared(row), means_text(row), *class_lines(row)]
