"""What a shell offers for a parameter, by its name and its metavar: words, of which some may follow commas, or paths.

Only a call that completes looks here, so that options are written as everywhere, and new ones of a known name complete.
"""

from collections.abc import Callable, Mapping, Sequence

import click
from click.shell_completion import CompletionItem

from erfnet_jobs import choices
from erfnet_jobs.states import JobKind, JobState

Offer = Callable[[click.Context, str], list[CompletionItem]]

EVENTS = (
    *("submitted", "cancel requested", "cordoned", "uncordoned", "host drained", "host undrained", "host up"),
    "checkpoints pruned",
)
WORDS: Mapping[str, Sequence[str]] = {
    "split": choices.SPLITS,
    "subset": choices.SPLITS,
    "protocol": choices.PROTOCOLS,
    "precision": choices.PRECISIONS,
    "head": choices.HEADS,
    "amp": choices.AMP_LEVELS,
    "scale_lr": tuple(choices.LR_SCALINGS),
    "class_name": choices.CLASSES,
    "states": tuple(JobState),
    "kinds": EVENTS,
    "best": choices.EVALUATION_METRICS,
    "metric": choices.EVALUATION_METRICS,
}
# Several at once, with commas between them.
LISTS: Mapping[str, Sequence[str]] = {
    "formats": choices.EXPORT_FORMATS,
    "augment": choices.AUGMENTATIONS,
    "save": choices.SAVES,
    "metrics": ("loss", "epoch_loss", "lr", "images_per_second", *choices.EVALUATION_METRICS),
    "then": (JobKind.EXPORT, JobKind.INFER, JobKind.INFER_310),
}
FOLDERS = frozenset({"D", "DIR"})
FILES = frozenset({"C", "FILE", "FILE.png|svg", "FILE.tar", "OUT", "[FILE]...", "[C]..."})
FOLDER_NAMES = frozenset({"dataset", "dataset_path", "output_dir", "out"})
FILE_NAMES = frozenset({"file", "files", "checkpoint", "checkpoints"})


def offer_values(command: click.Command) -> None:
    """Let the parameters of a command, and of those below it, offer what is known of them."""
    for parameter in command.params:
        if offer := _offer(parameter):
            parameter.shell_complete = offer  # type: ignore[method-assign, assignment]  # one instance's own
    if isinstance(command, click.Group):
        for below in command.commands.values():
            offer_values(below)


def _offer(parameter: click.Parameter) -> Offer | None:
    name = parameter.name or ""
    if isinstance(parameter.type, click.Choice | click.Path):
        return None  # click knows
    if name in LISTS:
        return _listed(LISTS[name])
    if parameter.type != click.STRING:
        return None
    if parameter.metavar in FOLDERS or (parameter.metavar is None and name in FOLDER_NAMES):
        return _paths("dir")
    if parameter.metavar in FILES or (parameter.metavar is None and name in FILE_NAMES):
        return _paths("file")
    return _one(WORDS[name]) if name in WORDS else None


def _one(words: Sequence[str]) -> Offer:
    return lambda _context, begun: [CompletionItem(str(word)) for word in words if word.startswith(begun)]


def _listed(words: Sequence[str]) -> Offer:
    def offer(_context: click.Context, begun: str) -> list[CompletionItem]:
        before, comma, last = begun.rpartition(",")
        given = before.split(",")
        fitting = [word for word in words if word.startswith(last) and word not in given]
        return [CompletionItem(f"{before}{comma}{word}") for word in fitting]

    return offer


def _paths(kind: str) -> Offer:
    return lambda _context, begun: [CompletionItem(begun, type=kind)]
