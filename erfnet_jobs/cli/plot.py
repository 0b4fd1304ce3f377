"""`plot`: curves of trainings over one another, in the terminal or as a picture."""

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from erfnet_jobs.cli.output import print_json, warn
from erfnet_jobs.cli.parameters import METRIC_NAMES
from erfnet_jobs.cli.session import Session

SUFFIXES = (".png", ".svg")
# More than that nobody can tell apart, each with what its evaluations measured.
MOST_JOBS = 8


@click.command()
@click.argument("jobs", type=int, nargs=-1, required=True, metavar="JOB...")
@click.option(
    "--metric",
    "metrics",
    type=METRIC_NAMES,
    default="loss",
    show_default=True,
    metavar="NAMES",
    help="What to draw, such as loss,mean_iou; each gets a panel.",
)
@click.option("-o", "--output", default=None, metavar="FILE", help="Write a picture, *.png or *.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print the series as one JSON document.")
@click.pass_obj
def plot(session: Session, jobs: tuple[int, ...], metrics: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Draw the curves of JOBs, which are trainings, over one another.

    The x axis counts epochs over all stages, so that runs with other batches compare. A metric is what `metrics JOB`
    lists, or a figure of evaluations: mean_iou, mean_iou_19, pixel_accuracy, mean_loss, iou_rider, ... Of those, the
    training's own validation (val_mean_iou, ...) is a curve, and evaluations of its checkpoints are points beside it.
    A point of a long series is the mean of what falls into its column.
    """
    path = None if output is None else _picture_path(output)
    document = session.client.curves(_checked(jobs), tuple(dict.fromkeys(metrics)))
    for panel in document["panels"]:
        if panel["without"]:
            warn(f"no {panel['metric']} yet of job {', '.join(map(str, panel['without']))}")
    if path is not None:
        from erfnet_jobs.cli.curves_picture import write_picture

        write_picture(document, path)
    if as_json:
        print_json(document)
    elif path is not None:
        click.echo(f"{path} is written.")
    else:
        from erfnet_jobs.cli.curves_text import curve_lines

        click.echo("\n".join(curve_lines(document, sys.stdout)))


def _picture_path(output: str) -> Path:
    """Where the picture goes; raises UsageError and MissingDependency before anything is read."""
    from erfnet_jobs.client.output_files import output_path
    from erfnet_jobs.errors import MissingDependency

    path = output_path(output, SUFFIXES)
    if find_spec("matplotlib") is None:
        raise MissingDependency("matplotlib draws pictures, and is not here: pip install 'erfnet-jobs[plot]'")
    return path


def _checked(jobs: tuple[int, ...]) -> tuple[int, ...]:
    from erfnet_jobs.errors import UsageError

    once = tuple(dict.fromkeys(jobs))
    if len(once) > MOST_JOBS:
        raise UsageError(f"{len(once)} jobs are more than can be told apart: name at most {MOST_JOBS}")
    return once
