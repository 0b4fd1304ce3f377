"""The command `erfnet-jobs`: its global options, its table of commands, and what becomes of an error.

Commands are imported when they are called; their short help stands in the table, so that `--help` loads click only.
"""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from erfnet_jobs import __version__
from erfnet_jobs.cli.session import Session

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Objects made before the first look for garbage: more than a short command makes, little for a long one.
GARBAGE_THRESHOLD = 1_000_000

# Name: (module below erfnet_jobs.cli, its attribute, short help), by section, in the order of `--help`.
SECTIONS: dict[str, dict[str, tuple[str, str, str]]] = {
    "This machine": {
        "init": ("init", "init", "Write a config.toml with every setting, explained."),
        "up": ("up", "up", "Start the embedded Redis, the registry and the worker."),
        "down": ("down", "down", "Stop the worker and the embedded Redis."),
        "worker": ("worker", "worker", "Run this host's worker in the foreground."),
        "doctor": ("doctor", "doctor", "Check that everything jobs need is there."),
        "devices": ("devices", "devices", "List the devices of this host."),
        "rank-table": ("rank_table", "rank_table", "Make, merge or check HCCL's rank tables."),
        "completion": ("completion", "completion", "Print the script that makes a shell complete this command."),
        "demo": ("demo", "demo", "Show the whole way, small: train, evaluate, export, infer."),
    },
    "Jobs": {
        "submit": ("submit", "submit", "Hand in a job: train, eval, export or infer."),
        "status": ("status", "status", "List jobs, or tell everything about one."),
        "logs": ("logs", "logs", "Print what a job's ranks wrote."),
        "wait": ("wait", "wait", "Wait for jobs to end; the exit code is the job's."),
        "cancel": ("cancel", "cancel", "Cancel jobs."),
        "events": ("events", "events", "List what happened, newest last."),
        "run": ("run", "run", "Do a job here and now, without queue or registry."),
    },
    "Results": {
        "best": ("best", "best", "Find the best checkpoint by a metric."),
        "checkpoints": ("checkpoints", "checkpoints", "List checkpoints, show one, look after their files."),
        "metrics": ("metrics", "metrics", "Print a job's metrics by step."),
        "plot": ("plot", "plot", "Draw trainings' curves, here or as a picture."),
        "compare": ("compare", "compare", "Compare jobs: settings, figures, IoU of each class."),
    },
    "Data and registry": {
        "data": ("data", "data", "Make, build and check datasets."),
        "import-weights": ("import_weights", "import_weights", "Make a checkpoint of published PyTorch weights."),
        "hosts": ("hosts", "hosts", "List the registry's hosts, their devices and what runs there."),
        "schema": ("schema", "schema", "Print the JSON Schema of what --json prints."),
        "db": ("db", "db", "Create, upgrade, back up, restore or move the registry."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """Imports a command's module when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base names it
        """The names in the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None where the table has no such name. For a shell that completes, with its values."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(import_module(f"erfnet_jobs.cli.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - a mistake in the table
        if ctx.resilient_parsing:
            from erfnet_jobs.cli.completing import offer_values

            offer_values(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Names from the table, with nothing imported, and the global options."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=entry[2]) for name, entry in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As the base does, but names the commands that a mistyped one may have meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=3)
            meant = f"did you mean {' or '.join(close)}?" if close else "'erfnet-jobs --help' lists them"
            ctx.fail(f"no command {args[0]!r}: {meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, section by section, with nothing imported."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry[2]) for name, entry in entries.items()], col_max=14)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="erfnet-jobs")
@click.option("--home", metavar="DIR", help="This machine's folder.  [default: ~/.erfnet-jobs]")
@click.option("--database-url", metavar="URL", help="The registry.  [default: SQLite in the home]")
@click.option("--broker-url", metavar="URL", help="The Redis of the queues.  [default: an embedded one in the home]")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.pass_context
def root(ctx: click.Context, home: str | None, database_url: str | None, broker_url: str | None, debug: bool) -> None:
    """Submit ERFNet jobs to Ascend hosts, or to this machine, and get models back.

    A first try: erfnet-jobs demo
    """
    ctx.obj = Session({"home": home, "database_url": database_url, "broker_url": broker_url}, debug)


def _report(kind: str, message: str, code: int, as_json: bool) -> None:
    from erfnet_jobs.cli.output import tell

    if as_json:
        import json

        click.echo(json.dumps({"error": {"type": kind, "message": message, "exit_code": code}}))
    tell(f"error: {message}")


def _show(error: click.ClickException) -> None:
    """As click does, with the usage where it is a wrong one."""
    from io import StringIO

    from erfnet_jobs.cli.output import tell

    text = StringIO()
    error.show(text)
    tell(text.getvalue().rstrip("\n"))


def _told(error: Exception, as_json: bool) -> int:
    from erfnet_jobs.errors import ErfnetJobsError

    kind = type(error).__name__
    if isinstance(error, ErfnetJobsError):
        _report(kind, str(error), error.exit_code, as_json)
        return error.exit_code
    said = " ".join(str(error).split()) or "no message"
    again = "run again with 'erfnet-jobs --debug ...' for the traceback"
    _report(kind, f"unexpected {kind}: {said}; {again}", 1, as_json)
    return 1


def run_command(args: Sequence[str]) -> int:
    """Run the command; its exit code. Only with --debug does an exception come out of it."""
    as_json = "--json" in args
    try:
        code: Any = root.main(list(args), prog_name="erfnet-jobs", standalone_mode=False)
    except click.Abort:
        return 130
    except click.ClickException as error:
        if as_json:
            _report("UsageError", error.format_message(), error.exit_code, as_json)
        else:
            _show(error)
        return error.exit_code
    except Exception as error:
        if "--debug" in args:
            raise
        return _told(error, as_json)
    return code if isinstance(code, int) else 0


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with its exit code."""
    # Importing SQLAlchemy makes so many objects that looking for garbage among them takes a quarter of `status`.
    gc.set_threshold(GARBAGE_THRESHOLD)
    sys.exit(run_command(sys.argv[1:] if args is None else args))
