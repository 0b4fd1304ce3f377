"""The click commands: arguments, calls and printing, nothing else."""

from erfnet_jobs.cli.root import main

__all__ = ["main"]
