"""`import-weights`: published PyTorch weights as a checkpoint of this program."""

from typing import TYPE_CHECKING

import click

from erfnet_jobs.cli.output import Document, file_size, print_json, warn
from erfnet_jobs.cli.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from erfnet_jobs.erfnet.weights_import import Imported


@click.command("import-weights")
@click.argument("file")
@click.option(
    "-o", "--output", required=True, metavar="OUT", help="Where to write the checkpoint, such as ERFNet.ckpt."
)
@click.option("--encoder", is_flag=True, help="Take the encoder and, where FILE has it, its head.")
@click.option("--no-register", is_flag=True, help="Write the checkpoint only, without a registry.")
@click.option("--force", is_flag=True, help="Replace OUT where it is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def import_weights(
    session: Session, file: str, output: str, encoder: bool, no_register: bool, force: bool, as_json: bool
) -> None:
    """Make a checkpoint of published PyTorch weights, and register it.

    FILE is what erfnet_pytorch saves or publishes (.pth, .pth.tar): a state dict, alone or with other entries, of the
    whole network, of the encoder, or of the encoder trained on ImageNet. No code in it is run. Names and shapes must be
    exactly those of ERFNet with 20 outputs.
    """
    from erfnet_jobs.choices import ENCODER, ERFNET
    from erfnet_jobs.files import absolute_path, written_path

    source, out = absolute_path(file), written_path(output)
    imported = _import(session, source, ENCODER if encoder else ERFNET, out, no_register=no_register, force=force)
    checkpoint = None if no_register else _register(session, imported)
    for doubt in imported.fitted.doubts:
        warn(doubt)
    document = _document(imported, checkpoint)
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(_lines(document)))


def _import(
    session: Session, source: "Path", network: str, out: "Path", *, no_register: bool, force: bool
) -> "Imported":
    """Write the checkpoint; whatever can be known to fail is looked at before."""
    import os
    from importlib.util import find_spec

    from erfnet_jobs.client.imports import check_registry, check_unknown
    from erfnet_jobs.errors import MissingDependency

    if find_spec("mindspore") is None:
        raise MissingDependency("MindSpore writes the checkpoint, and is not here: pip install 'erfnet-jobs[worker]'")
    # As in ranks: errors only, where MindSpore's own default is warnings.
    os.environ.setdefault("GLOG_v", "3")
    from erfnet_jobs.erfnet.weights_import import check_output, import_weights

    check_output(source, out, force)
    if no_register:
        check_unknown(session.client, str(out))
    else:
        check_registry(session.client)
    return import_weights(source, network, out)


def _register(session: Session, imported: "Imported") -> int:
    from erfnet_jobs.client.imports import register_import
    from erfnet_jobs.registry.imports import ImportedFile

    source = f"{imported.source} sha256:{imported.source_sha256}"
    file = ImportedFile(str(imported.path), imported.network, imported.sha256, imported.size, source)
    checkpoint: int = register_import(session.client, file)["checkpoint"]
    return checkpoint


def _document(imported: "Imported", checkpoint: int | None) -> Document:
    from erfnet_jobs.choices import ENCODER

    return {
        "path": str(imported.path),
        "checkpoint": checkpoint,
        "network": imported.network,
        "has_head": imported.fitted.has_head if imported.network == ENCODER else None,
        "tensors": len(imported.fitted.weights),
        "numbers": imported.numbers,
        "left_out": list(imported.fitted.left_out),
        "warnings": list(imported.fitted.doubts),
        "sha256": imported.sha256,
        "size": imported.size,
        "source": str(imported.source),
        "source_sha256": imported.source_sha256,
    }


def _lines(document: Document) -> list[str]:
    what = {None: "ERFNet", True: "the encoder with its head", False: "the encoder without a head"}[
        document["has_head"]
    ]
    size = f"{document['tensors']} tensors, {document['numbers']:,} numbers, {file_size(document['size'])}"
    lines = [f"{document['path']}: {what}, {size}"]
    if document["left_out"]:
        lines.append(f"Not taken: {', '.join(sorted({_part(name) for name in document['left_out']}))}")
    if document["checkpoint"] is not None:
        lines.append(f"Registered as checkpoint {document['checkpoint']}")
    return [*lines, _next(document)]


def _part(name: str) -> str:
    parts = {"decoder": "the decoder", "encoder": "the encoder's head", "classifier": "ImageNet's classifier"}
    return parts[name.partition(".")[0]]


def _next(document: Document) -> str:
    path = document["path"]
    train = f"erfnet-jobs submit train --stages 3-4 --checkpoint {path} --data DIR"
    if document["has_head"] is None:
        return f"Look at it: erfnet-jobs run infer --checkpoint {path} --images DIR --output DIR"
    if document["has_head"]:
        return f"Go on from it: {train}"
    return f"Without a head it segments nothing; what it is for: {train}"
