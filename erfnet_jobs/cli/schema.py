"""`schema`: what `--json` prints, as JSON Schema."""

import click

from erfnet_jobs.cli.output import print_json


def documented(group: click.Group, path: tuple[str, ...] = ()) -> list[str]:
    """The commands below a group that have a `--json`, by their words."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        words = (*path, name)
        if command is not None and any("--json" in parameter.opts for parameter in command.params):
            found.append(" ".join(words))
        if isinstance(command, click.Group):
            found += documented(command, words)
    return found


@click.command()
@click.argument("command", nargs=-1)
@click.pass_context
def schema(context: click.Context, command: tuple[str, ...]) -> None:
    """Print the JSON Schema (2020-12) of what COMMAND prints with --json, or those of all commands.

    COMMAND is one or two words, such as status or hosts drain.
    """
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.schemas import all_schemas, command_schema, has_schema

    root = context.find_root().command
    assert isinstance(root, click.Group)  # noqa: S101 - it has this command
    names = documented(root)
    wanted = " ".join(command)
    if not wanted:
        print_json(all_schemas([name for name in names if has_schema(name)]))
        return
    if wanted not in names or not has_schema(wanted):
        raise UsageError(f"{wanted!r} has no --json: 'erfnet-jobs schema' prints all there are; {', '.join(names)}")
    print_json(command_schema(wanted))
