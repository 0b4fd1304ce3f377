"""One look at the host's chips: the calls, what they gave, and the troubles on the way. Stdlib only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from erfnet_jobs.ascend.lines import Line, Parsed, told
from erfnet_jobs.ascend.tools import Tool, ToolFailed

Value = TypeVar("Value")


@dataclass
class Look:
    """Asks a tool and reads its answers. After a call that hung the tool is asked no more: each would take as long."""

    tool: Tool
    _failures: dict[str, list[str]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    hung: bool = False

    def ask(self, parse: Callable[[str], Parsed[Value]], *arguments: str, optional: bool = False) -> Value | None:
        """What the tool's answer says; None where there is no answer, which is a trouble, as lines not understood are.

        `optional`: many tools and devices have no such question, which is no trouble.
        """
        parsed = self.ask_lines(parse, *arguments, optional=optional)
        return None if parsed is None else parsed.value

    def ask_lines(
        self, parse: Callable[[str], Parsed[Value]], *arguments: str, optional: bool = False
    ) -> Parsed[Value] | None:
        """As `ask`, with the lines that were not understood."""
        if self.hung:
            return None
        try:
            parsed = parse(self.tool(*arguments))
        except ToolFailed as failure:
            if not (optional and failure.unsupported):
                self._failures.setdefault(failure.reason, []).append(failure.call)
            self.hung = failure.hung
            return None
        self.note_unread(" ".join([self.tool.name, *arguments]), parsed.unread)
        return parsed

    def note(self, trouble: str) -> None:
        """Add a trouble."""
        self._notes.append(trouble)

    def note_unread(self, source: str, unread: tuple[Line, ...]) -> None:
        """Add what was not understood of a source, if anything."""
        if unread:
            self._notes.append(f"{source}: not understood, and passed over: {told(unread)}")

    @property
    def troubles(self) -> tuple[str, ...]:
        """All troubles as sentences; calls that failed for one reason are told once."""
        failed = [
            f"{calls[0]}: {reason}" + (f" (and {len(calls) - 1} more such calls)" if len(calls) > 1 else "")
            for reason, calls in self._failures.items()
        ]
        return tuple(dict.fromkeys([*failed, *self._notes]))
