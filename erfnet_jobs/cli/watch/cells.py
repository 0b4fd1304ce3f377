"""A cell for each device, and what its sign means: told by letters, so that colours are not needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from erfnet_jobs.cli.output import Document, age

FREE, CLOSED, CORDONED, UNHEALTHY, BUSY, GONE = ".", "-", "#", "!", "*", "x"
HELD = "j"
MEANINGS = {
    FREE: "free",
    CORDONED: "cordoned",
    UNHEALTHY: "unhealthy",
    BUSY: "busy, not ours",
    GONE: "gone",
    CLOSED: "host takes no jobs",
}
STYLES = {FREE: "green", CORDONED: "yellow", UNHEALTHY: "bold red", BUSY: "magenta", GONE: "bold red", CLOSED: "dim"}
HELD_STYLE = "cyan"


@dataclass(frozen=True)
class Cell:
    """A device: the job that holds it (None: none does), and the sign of its state; both where that is not well."""

    job: int | None
    sign: str

    @property
    def text(self) -> str:
        """The job and what is wrong with the device, or the sign."""
        if self.job is None:
            return self.sign
        return f"{self.job}{'' if self.sign == FREE else self.sign}"

    @property
    def short(self) -> str:
        """One character."""
        return HELD if self.job is not None and self.sign == FREE else self.sign

    @property
    def style(self) -> str:
        """Its colour, where there are colours."""
        return HELD_STYLE if self.job is not None and self.sign == FREE else STYLES[self.sign]


def cells_of(host: Document) -> list[Cell]:
    """The devices of a host's document, by id."""
    is_open = host["state"] == "up"
    return [Cell(device["job"], _sign(device, is_open)) for device in host["devices"]]


def _sign(device: Document, is_open: bool) -> str:
    if not device["present"]:
        return GONE
    if device["usable"]:
        return FREE if is_open or device["job"] is not None else CLOSED
    if device["cordoned"]:
        return CORDONED
    return BUSY if device["busy"] else UNHEALTHY


def host_state(host: Document) -> str:
    """Why a host takes no jobs, in two words; empty for one that does."""
    if host["state"] == "silent":
        return f"silent {age(host['seen_at'])}"
    return "" if host["state"] == "up" else str(host["state"])


def legend(cells: Iterable[Cell], compact: bool) -> str:
    """What the signs mean that are seen."""
    seen = list(cells)
    held = next((cell.job for cell in seen if cell.job is not None), None)
    jobs = [] if held is None else [f"{HELD} has a job" if compact else f"{held} job {held}"]
    signs = {cell.sign for cell in seen if cell.job is None or cell.sign != FREE}
    return "  ".join([*jobs, *(f"{sign} {meaning}" for sign, meaning in MEANINGS.items() if sign in signs)])


def totals(hosts: Sequence[Document]) -> str:
    """How many devices there are and what they do."""
    cells = [cell for host in hosts for cell in cells_of(host)]
    held = sum(cell.job is not None for cell in cells)
    free = sum(cell.job is None and cell.sign == FREE for cell in cells)
    closed = len(cells) - held - free
    away = f", {closed} out of use" if closed else ""
    return f"{held} busy, {free} free{away}; {_count(len(cells), 'device')} on {_count(len(hosts), 'host')}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
