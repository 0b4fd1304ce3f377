"""`completion`: the script that makes a shell complete commands, options, their values, and paths."""

import click
from click.shell_completion import ShellComplete, get_completion_class

PROGRAM = "erfnet-jobs"
# Where click itself looks for what a shell asks: _PROGRAM_COMPLETE, in capitals.
VARIABLE = "_ERFNET_JOBS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which SHELL (bash from 4.4 on, zsh or fish) completes erfnet-jobs.

    In every new shell it does after one of these:

    \b
    bash  echo 'eval "$(erfnet-jobs completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(erfnet-jobs completion zsh)"' >> ~/.zshrc     (after compinit)
    fish  erfnet-jobs completion fish > ~/.config/fish/completions/erfnet-jobs.fish
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has these three
    # Not the class's own, which starts a bash to see how old it is.
    click.echo(ShellComplete.source(found(context.find_root().command, {}, PROGRAM, VARIABLE)))
