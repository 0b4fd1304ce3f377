"""The table of `npu-smi info` in each of its layouts, for the scripted Ascend host."""

from dataclasses import dataclass
from typing import Any

Chip = dict[str, Any]
State = dict[str, Any]


def cards(state: State) -> list[int]:
    """The NPU ids in the state's order."""
    return list(dict.fromkeys(chip["npu"] for chip in state["chips"]))


def on_card(state: State, npu: int) -> list[Chip]:
    """The chips of a card."""
    return [chip for chip in state["chips"] if chip["npu"] == npu]


@dataclass(frozen=True)
class Layout:
    """Widths of the three cells, of what stands in the third, and of the processes' last two; what is there at all."""

    ids: int
    health: int
    values: int
    readings: tuple[int, int]
    memory: tuple[int, int]
    number: int
    process: tuple[int, int]
    title: int = 24
    pages: bool = True
    processes: bool = True
    container: bool = False

    @property
    def rule(self) -> str:
        return "+" + "+".join("=" * width for width in (self.ids, self.health, self.values)) + "+"

    @property
    def thin(self) -> str:
        return self.rule.replace("=", "-")

    @property
    def plain(self) -> str:
        return "+" + "-" * (len(self.rule) - 2) + "+"

    def row(self, *cells: str) -> str:
        widths = (self.ids, self.health, self.values)
        return "".join(f"| {cell:<{width - 1}}" for cell, width in zip(cells, widths, strict=True)) + "|"

    def first(self, power: str, temperature: str, pages: str) -> str:
        start = f"{power:<{self.readings[0]}}{temperature:<{self.readings[1]}}"
        return start + pages if self.pages else start.rstrip()

    def process_row(self, chip: str, pid: str, name: str, memory: str, container: str) -> str:
        texts = [(chip, self.ids - 1), (pid, self.health - 1), (name, self.process[0]), (memory, self.process[1])]
        row = "".join(f"| {text:<{width}}" for text, width in texts) + "|"
        return row + (f" {container:<24}|" if self.container else "")


HBM = Layout(27, 15, 52, (12, 18), (12, 18), 6, (25, 24))
LAYOUTS = {
    "910A": Layout(22, 15, 52, (12, 18), (12, 18), 6, (25, 24)),
    "910A old": Layout(22, 15, 45, (11, 28), (11, 18), 6, (25, 24), pages=False, processes=False),
    "hbm": HBM,
    "hbm wide": Layout(27, 15, 70, (21, 24), (21, 24), 6, (19, 22), container=True),
    "device": Layout(31, 17, 54, (13, 18), (13, 0), 8, (25, 26), title=40),
    "device old": Layout(19, 17, 40, (18, 18), (18, 0), 8, (25, 26), title=28, pages=False, processes=False),
}


def layout_of(state: State) -> Layout:
    """The layout of the state's generation and version of npu-smi."""
    tool, generation = state["tool"], state["generation"]
    if generation in {"310", "310P"}:
        return LAYOUTS["device old" if tool.startswith("20.") else "device"]
    if generation == "910A":
        return LAYOUTS["910A old" if tool.startswith("1.8") else "910A"]
    return LAYOUTS["hbm wide" if tool.startswith("26") else "hbm"]


def info_table(state: State) -> list[str]:
    """The lines of `npu-smi info`."""
    layout = layout_of(state)
    width = len(layout.rule) - 4
    title = f"npu-smi {state['tool']:<{layout.title}} Version: {state['driver']}"
    lines = [layout.plain, f"| {title:<{width}} |", layout.thin, *_headings(state, layout), layout.rule]
    for npu in cards(state):
        chips = on_card(state, npu)
        for place, chip in enumerate(chips):
            lines += _chip_rows(state, layout, chip, place)
            last = place == len(chips) - 1
            lines.append(layout.rule if last else layout.thin if _has_devices(state) else layout.plain)
    return lines + (_process_table(state, layout) if layout.processes else [])


def _has_devices(state: State) -> bool:
    return state["generation"] in {"310", "310P"}


def _headings(state: State, layout: Layout) -> list[str]:
    number = "Device" if _has_devices(state) else "Phy-ID" if state["generation"] == "910C" else ""
    hbm = "" if _has_devices(state) else "HBM-Usage(MB)"
    readings = layout.first("Power(W)", "Temp(C)", "Hugepages-Usage(page)")[: layout.values - 1]
    use = f"{'AICore(%)':<{layout.memory[0]}}{'Memory-Usage(MB)':<{layout.memory[1]}}{hbm}"
    return [
        layout.row(f"{'NPU':<{layout.number}}Name", "Health", readings),
        layout.row(f"{'Chip':<{layout.number}}{number}", "Bus-Id", use),
    ]


def _pair(pair: list[int]) -> str:
    return f"{pair[0]:<5}/ {pair[1]}"


def _chip_rows(state: State, layout: Layout, chip: Chip, place: int) -> list[str]:
    power = {"310P": "NA", "910C": "-" if place else None}.get(state["generation"]) or f"{chip['power']:.1f}"
    number = chip["logic"] if _has_devices(state) else chip["physical"] if state["generation"] == "910C" else ""
    hbm = "" if _has_devices(state) else _pair(chip["hbm"])
    use = f"{chip['ai_core']:<{layout.memory[0]}}{_pair(chip['ddr']):<{layout.memory[1]}}{hbm}"
    return [
        layout.row(
            f"{chip['npu']:<{layout.number}}{chip['name']}",
            chip["health"],
            layout.first(power, str(chip["temperature"]), "0    / 0"),
        ),
        layout.row(f"{chip['chip']:<{layout.number}}{number}", chip["bus"], use),
    ]


def _process_table(state: State, layout: Layout) -> list[str]:
    words = ("NPU     Chip", "Process id", "Process name", "Process memory(MB)", "Process id in container")
    lines = [layout.thin, layout.process_row(*words), layout.rule]
    for npu in cards(state):
        rows = [(chip, entry) for chip in on_card(state, npu) for entry in chip["processes"]]
        for chip, (pid, name, megabytes) in rows:
            lines.append(layout.process_row(f"{npu:<8}{chip['chip']}", str(pid), name, str(megabytes), "NA"))
        if not rows:
            lines.append(f"| {f'No running processes found in NPU {npu}':<{len(layout.rule) - 4}} |")
        lines.append(layout.rule)
    return lines
