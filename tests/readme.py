"""What tests read in the READMEs: their shell blocks, headings and links."""

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
README_CN = CHECKOUT / "README_CN.md"
SHELLS = frozenset({"sh", "bash", "shell", "console"})
RUN = "run"
NOT_RUN = re.compile(r"not run: \S.*")
FENCE = re.compile(r"( *)```(.*)")
MARK = re.compile(r" *<!-- (.*) -->")
HEADING = re.compile(r"#{1,6} (.+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without the fence's indent, and what the comment above it says."""

    line: int
    language: str
    text: str
    mark: str | None

    @property
    def is_shell(self) -> bool:
        return self.language in SHELLS

    @property
    def commands(self) -> str:
        """Its lines without comments, which every README has in its own language."""
        lines = (re.sub(r"(^|\s)#\s.*", "", line).rstrip() for line in self.text.splitlines())
        return "\n".join(line for line in lines if line)


def blocks_of(path: Path) -> list[Block]:
    """All fenced blocks of a page, in order; fails where one has no end."""
    lines = path.read_text().splitlines()
    found: list[Block] = []
    number = 0
    while number < len(lines):
        if (opened := FENCE.fullmatch(lines[number])) is not None:
            indent = opened[1]
            end = lines.index(f"{indent}```", number + 1)
            text = "".join(f"{line.removeprefix(indent)}\n" for line in lines[number + 1 : end])
            mark = MARK.fullmatch(lines[number - 1])
            found.append(Block(number + 1, opened[2].strip(), text, mark[1] if mark else None))
            number = end
        number += 1
    return found


def prose_of(path: Path) -> list[str]:
    """The lines of a page outside its fenced blocks."""
    inside, lines = False, []
    for line in path.read_text().splitlines():
        if FENCE.fullmatch(line):
            inside = not inside
        elif not inside:
            lines.append(line)
    return lines


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub and Gitee give to a page's headings: lower case, dashes, no punctuation."""
    found: set[str] = set()
    for line in prose_of(path):
        if (heading := HEADING.fullmatch(line)) is not None:
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            again = sum(
                known == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", known) is not None for known in found
            )
            found.add(f"{anchor}-{again}" if again else anchor)
    return found


def links_of(path: Path) -> list[str]:
    """What a page's links and pictures lead to."""
    return [target for line in prose_of(path) for target in LINK.findall(line)]
