"""`checkpoints bundle`: one archive with all that belongs to a checkpoint."""

import click

from erfnet_jobs.cli.output import file_size, print_json
from erfnet_jobs.cli.session import Session


@click.command()
@click.argument("checkpoint")
@click.option("-o", "--output", required=True, metavar="FILE.tar", help="The archive; one that is there is replaced.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def bundle(session: Session, checkpoint: str, output: str, as_json: bool) -> None:
    """Put CHECKPOINT (id, path, JOB:best or JOB:last), job, metrics, evaluations and a model card into one archive.

    The checkpoint is compared with its recorded SHA-256 first. In the archive's folder 'sha256sum -c SHA256SUMS' checks
    all of it. The same contents give the same bytes.
    """
    from erfnet_jobs.client.bundling import archive_path, write_bundle

    document = write_bundle(session.client, checkpoint, archive_path(output))
    if as_json:
        print_json(document)
        return
    click.echo(f"{document['path']} is written ({file_size(document['size'])}, SHA-256 {document['sha256']}):")
    click.echo("\n".join(f"  {document['folder']}/{name}" for name in document["files"]))
