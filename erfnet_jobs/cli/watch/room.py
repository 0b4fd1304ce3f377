"""Sharing the lines of a screen among the parts of the view. Pure."""

from collections.abc import Sequence

# A title, an entry, and how many more there are: with less a part tells nothing.
LEAST = 3


def share(wanted: Sequence[int], room: int) -> list[int]:
    """How many lines each part gets of `room`: what it wants where there is enough.

    Else the first ones get the few lines that they need, and the rest is given evenly. Nobody gets more than wanted;
    all lines are given while somebody wants some.
    """
    given: list[int] = []
    left = max(0, room)
    for lines in wanted:
        given.append(min(lines, LEAST, left))
        left -= given[-1]
    while left:
        hungry = [part for part, lines in enumerate(wanted) if given[part] < lines]
        if not hungry:
            break
        for part in hungry[:left]:
            given[part] += 1
        left -= min(left, len(hungry))
    return given


def cut(entries: Sequence[Sequence[str]], room: int, hidden: int = 0) -> list[str]:
    """The lines of as many whole entries as there is room for; the last line says how many more there are.

    `hidden` are those that were left out before.
    """
    if not hidden and sum(map(len, entries)) <= room:
        return [line for entry in entries for line in entry]
    lines: list[str] = []
    shown = 0
    for entry in entries:
        if len(lines) + len(entry) > room - 1:
            break
        lines += entry
        shown += 1
    return [*lines, f"… {len(entries) - shown + hidden} more"] if room > 0 else []
