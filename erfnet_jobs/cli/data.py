"""`data`: make scenes, check a dataset, build a MindRecord."""

import click

from erfnet_jobs.choices import RAW, STORES
from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.parameters import SIZE
from erfnet_jobs.cli.session import Session


@click.group()
def data() -> None:
    """Make, check and prepare datasets in Cityscapes' layout."""


@data.command()
@click.argument("out")
@click.option("--train", default=400, show_default=True, help="Scenes to train on.")
@click.option("--val", default=40, show_default=True, help="Scenes to validate on.")
@click.option("--size", type=SIZE, default="128x256", show_default=True, help="Height x width in pixels.")
@click.option("--seed", default=1, show_default=True, help="The same seed and sizes make the same files.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that draw.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def scenes(
    out: str, train: int, val: int, size: tuple[int, int], seed: int, workers: int | None, as_json: bool
) -> None:
    """Make up street scenes in the folder OUT, for trying things without Cityscapes.

    OUT must not exist or be empty; where the same scenes are there already, nothing is done.
    """
    from pathlib import Path

    from erfnet_jobs.cli.progress import progress_line
    from erfnet_jobs.erfnet.scenes import Scenes, make_scenes

    with progress_line("scenes", quiet=as_json) as progress:
        made = make_scenes(Path(out), Scenes(train, val, size, seed), workers, progress)
    if as_json:
        print_json({"path": out, "made": made, "train": train, "val": val, "size": size, "seed": seed})
    elif made:
        click.echo(f"{out}: {train} scenes to train on, {val} to validate on, {size[0]}x{size[1]}")
    else:
        click.echo(f"{out}: these scenes are there already, nothing to do")


@data.command()
@click.argument("dataset")
@click.option("--split", "splits", multiple=True, help="Check this split only; may be given again.")
@click.option("--workers", type=click.IntRange(1, 256), help="Threads that read.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def check(ctx: click.Context, dataset: str, splits: tuple[str, ...], workers: int | None, as_json: bool) -> None:
    """Open every image and label of DATASET; name every fault and exit with 1 if there is one.

    Pairs are found by name. Checked are sizes, label values (labelIds 0 to 33 or trainIds 0 to 18, and 255) and whether
    files are whole.
    """
    import os
    from pathlib import Path

    from erfnet_jobs.cli.data_table import check_table
    from erfnet_jobs.cli.progress import progress_line
    from erfnet_jobs.erfnet.data_check import check_dataset

    with progress_line("images", quiet=as_json) as progress:
        result = check_dataset(Path(dataset), splits, workers or os.cpu_count() or 1, progress)
    if as_json:
        print_json(result.document())
    else:
        click.echo(check_table(result))
    if result.faults:
        ctx.exit(1)


@data.command()
@click.option("--dataset-path", required=True, help="A dataset in Cityscapes' layout.")
@click.option("--subset", default="train", show_default=True, help="The split to build.")
@click.option("--output-name", help="What the MindRecord is called.  [default: SUBSET.mindrecord]")
@click.option("--output-dir", default=".", show_default=True, help="Where it is put.")
@click.option("--shards", default=1, show_default=True, help="Data files to spread the samples over.")
@click.option("--workers", type=click.IntRange(1, 256), help="Threads that read and check.  [default: one a core]")
@click.option(
    "--store",
    type=click.Choice(STORES),
    default=RAW,
    show_default=True,
    help="PNGs without compression, for speed, or each frame as found, about a third as large.",
)
@click.option("--force", is_flag=True, help="Build even where it is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def build(
    session: Session,
    dataset_path: str,
    subset: str,
    output_name: str | None,
    output_dir: str,
    shards: int,
    workers: int | None,
    store: str,
    force: bool,
    as_json: bool,
) -> None:
    """Build the MindRecord of a split, in a folder of its own.

    Training builds what it needs by itself; this is for building ahead, or for another place. A second run with the
    same data does nothing. The folder holds the data files, their indices and meta.json, and may be moved as a whole;
    give it to `submit train --data`.
    """
    import os
    from pathlib import Path

    from erfnet_jobs.cli.progress import progress_line
    from erfnet_jobs.erfnet.mindrecord import Build, build_mindrecord
    from erfnet_jobs.files import make_private_folder

    name = output_name or f"{subset}.mindrecord"
    target = Path(output_dir).absolute() / name
    threads = workers or os.cpu_count() or 1
    wanted = Build(Path(dataset_path), subset, target, Path(name).name, shards, threads, force=force, store=store)
    make_private_folder(session.settings.home)
    with progress_line("images", quiet=as_json) as progress:
        record, built = build_mindrecord(wanted, session.settings.data_dir, progress)
    if as_json:
        what = {"path": str(target), "subset": subset, "shards": shards, "store": store}
        print_json({**what, "built": built, "images": record.count, "dataset_hash": record.dataset_hash})
    elif built:
        click.echo(f"{target}: {record.count} images of {subset}")
    else:
        click.echo(f"{target}: built from the same data already, nothing to do ({record.count} images of {subset})")
