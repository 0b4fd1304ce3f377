"""Registering imported weights: before anything is written, and after. Needs no broker."""

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.documents import Document, checkpoint_document
from erfnet_jobs.errors import RegistryNotMigrated, RegistryUnreachable
from erfnet_jobs.registry.imports import ImportedFile, record_import

WITHOUT = "or write the checkpoint alone with --no-register"


def check_registry(client: Client) -> None:
    """Raise RegistryNotMigrated or RegistryUnreachable where the registry cannot be asked."""
    try:
        with client.registry.read():
            return
    except (RegistryNotMigrated, RegistryUnreachable) as error:
        raise type(error)(f"{error}; {WITHOUT}") from error


def register_import(client: Client, file: ImportedFile) -> Document:
    """The checkpoint's document, new or as it was; raises RegistryNotMigrated and RegistryUnreachable."""
    try:
        with client.registry.write() as session:
            return checkpoint_document(record_import(session, file, client.actor))
    except (RegistryNotMigrated, RegistryUnreachable) as error:
        written = f"{file.path} is written, but not registered: {error}"
        raise type(error)(f"{written}; then run this again with --force") from error
