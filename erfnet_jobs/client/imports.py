"""Registering imported weights: before anything is written, and after. Needs no broker."""

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.model_documents import checkpoint_document
from erfnet_jobs.errors import DiskFull, ErfnetJobsError, RegistryNotMigrated, RegistryUnreachable, UsageError
from erfnet_jobs.registry import given
from erfnet_jobs.registry.imports import ImportedFile, known_at, record_import

WITHOUT = "or write the checkpoint alone with --no-register"


def check_registry(client: Client) -> None:
    """Raise RegistryNotMigrated or RegistryUnreachable where the registry cannot be asked."""
    try:
        with client.registry.read():
            return
    except (RegistryNotMigrated, RegistryUnreachable) as error:
        raise type(error)(f"{error}; {WITHOUT}") from error


def check_unknown(client: Client, path: str) -> None:
    """Raise UsageError where a registry that can be read knows a checkpoint at `path`: its row would be false."""
    try:
        with client.registry.read() as session:
            known = [row.id for row in known_at(session, path) if row.origin != given.ORIGIN]
    except ErfnetJobsError:
        # --no-register is for where there is none.
        return
    if known:
        raise UsageError(
            f"-o {path} is checkpoint {known[-1]} of the registry, which would be another one then: leave out "
            "--no-register, or give another path"
        )


def register_import(client: Client, file: ImportedFile) -> Document:
    """The checkpoint's document, new or as it was; raises RegistryNotMigrated, RegistryUnreachable and DiskFull."""
    try:
        with client.registry.write() as session:
            return checkpoint_document(record_import(session, file, client.actor))
    except (RegistryNotMigrated, RegistryUnreachable, DiskFull) as error:
        written = f"{file.path} is written, but not registered: {error}"
        raise type(error)(f"{written}; then run this again with --force") from error
