"""The public Python API behind the commands: submit, follow, cancel, wait, best."""

from erfnet_jobs.client.api import Client

__all__ = ["Client"]
