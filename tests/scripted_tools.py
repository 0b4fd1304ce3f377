"""The scripted Ascend host's npu-smi and hccn_tool: prints what its state file says, as the real tools do.

`python -m tests.scripted_tools npu-smi STATE info -m`. The layouts are those of npu-smi's own printf calls; see
ascend_host.py.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.scripted_tables import Chip, State, cards, info_table, on_card

FAILURES = {
    "dcmi": (1, "dcmi module initialize failed. ret is -8005"),
    "occupied": (1, "dcmi model initialized failed, because the device is used. ret is -8020"),
    "permission": (1, "Permission denied. This command requires root."),
    "silent": (3, ""),
    "garbage": (0, "Segmentation violation in libdcmi\nno table for you"),
    "empty": (0, ""),
}


def mapping(state: State) -> list[str]:
    third = state["generation"] == "910C"
    headings = ["NPU ID", "Chip ID", "Chip Logic ID", *(["Chip Phy-ID"] if third else []), "Chip Name"]
    lines = ["\t" + " ".join(f"{heading:<30}" for heading in headings)]
    for npu in cards(state):
        for chip in on_card(state, npu):
            ids = [npu, chip["chip"], chip["logic"], *([chip["physical"]] if third else [])]
            name = "MiniD" if state["generation"] == "310" else chip["name"] if third else f"Ascend {chip['name']}"
            lines.append("\t" + " ".join(f"{number:<30}" for number in ids) + f" {name}")
        if state["mcu"]:
            last = on_card(state, npu)[-1]["chip"] + 1
            lines.append("\t" + " ".join(f"{cell:<30}" for cell in (npu, last, *"-" * (2 if third else 1), "Mcu")))
    return lines


def _fields(pairs: list[tuple[str, object]]) -> list[str]:
    return [f"\t{name:<30} : {value}" for name, value in pairs]


def listing(state: State) -> list[str]:
    count = "Card Count" if state["generation"] == "310" else "Total Count"
    lines = [*_fields([(count, len(cards(state)))]), ""]
    for npu in cards(state):
        lines += [*_fields([("NPU ID", npu), ("Chip Count", len(on_card(state, npu)))]), ""]
    return lines


def board(state: State, npu: int, chips: list[Chip], one: bool) -> list[str]:
    lines = _fields([("NPU ID", npu)]) + ([] if one else [*_fields([("Chip Count", len(chips))]), ""])
    for chip in chips:
        pairs = [("Chip ID", chip["chip"]), ("Chip Type", "Ascend"), ("Chip Name", state["board_name"] or chip["name"]),
                 ("Board ID", "0x30"), ("PCIe Bus Info", chip["bus"]), ("Firmware Version", "7.5.0.3.220")]  # fmt: skip
        lines += _fields(pairs)
    return lines


def health(_state: State, npu: int, chips: list[Chip], one: bool) -> list[str]:
    if one:
        (chip,) = chips
        return _fields(
            [("Health Status", chip["health"]), ("Error Code", chip["error_code"]), ("Error Information", "NA")]
        )
    lines = _fields([("NPU ID", npu), ("Chip Count", len(chips))])
    for chip in chips:
        lines += _fields([("Health", chip["health"]), ("Chip ID", chip["chip"])])
    return lines


def usages(_state: State, npu: int, chips: list[Chip], _one: bool) -> list[str]:
    lines = [*_fields([("NPU ID", npu), ("Chip Count", len(chips))]), ""]
    for chip in chips:
        pairs = [
            ("DDR Capacity(MB)", chip["ddr"][1]),
            ("DDR Usage Rate(%)", 0),
            ("HBM Capacity(MB)", chip["hbm"][1]),
            ("HBM Usage Rate(%)", 4),
            ("Aicore Usage Rate(%)", chip["ai_core"]),
            ("Chip ID", chip["chip"]),
        ]
        lines += [*_fields(pairs), ""]
    return lines


def common(_state: State, npu: int, chips: list[Chip], _one: bool) -> list[str]:
    lines = [*_fields([("NPU ID", npu), ("Chip Count", len(chips))]), ""]
    for chip in chips:
        pairs = [("Chip ID", chip["chip"]), ("HBM Usage Rate(%)", 4), ("Aicore Usage Rate(%)", chip["ai_core"]),
                 ("Temperature(C)", chip["temperature"]), ("NPU Real-time Power(W)", chip["power"])]  # fmt: skip
        lines += [*_fields(pairs), ""]
    return [*lines, *_fields([("Chip Name", "mcu"), ("Temperature(C)", 40)])]


def topo(state: State) -> list[str]:
    third = state["generation"] == "910C"
    names = [f"Phy-ID{chip['physical']}" if third else f"NPU{chip['logic']}" for chip in state["chips"]]
    lines = ["\t   " + "".join(f"{name:<11}" for name in names) + "CPU Affinity"]
    for name, chip in zip(names, state["chips"], strict=True):
        links = "".join(f"{'X' if other == name else 'HCCS':<11}" for other in names)
        lines.append(f"{name:<11}{links}{chip['cores']}")
    return [*lines, "", "Legend:", "", "  X    = Self", "  HCCS = Connection traversing HCCS."]


BY_CARD = {"board": board, "health": health, "usages": usages, "common": common}


def npu_smi(state: State, arguments: list[str]) -> list[str] | None:
    """The lines of an answer; None for what the tool does not know."""
    if arguments[:1] != ["info"] or (state["only_info"] and arguments != ["info"]):
        return None
    match arguments[1:]:
        case []:
            return info_table(state)
        case ["-m"]:
            return mapping(state)
        case ["-l"]:
            return listing(state)
        case ["-t", "topo"]:
            return topo(state) if state["generation"] not in {"310", "310P"} else None
        case ["-t", kind, "-i", npu, *rest] if kind in BY_CARD and rest[:1] in ([], ["-c"]):
            chips = [chip for chip in on_card(state, int(npu)) if not rest or chip["chip"] == int(rest[1])]
            return BY_CARD[kind](state, int(npu), chips, bool(rest)) if chips else None
    return None


def hccn_tool(state: State, arguments: list[str]) -> list[str] | None:
    """The lines of an answer; None for what the tool does not know."""
    match arguments:
        case ["-i", number, what, "-g"]:
            chip = next((chip for chip in state["chips"] if chip["physical"] == int(number)), None)
            answers = {} if chip is None else {
                "-ip": [f"ipaddr:{chip['ip']}", "netmask:255.255.255.0"] if chip["ip"] else [],
                "-link": [f"link status: {chip['link']}"],
                "-net_health": [f"net health status: {'Success' if chip['link'] == 'UP' else 'Fault'}"],
            }  # fmt: skip
            return answers.get(what)
    return None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _log(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


def main(tool: str, state_path: Path, arguments: list[str]) -> int:
    state: State = json.loads(state_path.read_text())
    calls = state_path.parent / "calls.log"
    _log(calls, f"begin {os.getpid()} {' '.join([tool, *arguments])}")
    try:
        return _answer(tool, state, arguments)
    finally:
        _log(calls, f"end {os.getpid()} {tool}")


def _answer(tool: str, state: State, arguments: list[str]) -> int:
    time.sleep(state["seconds"])
    if tool in state["hang"]:
        subprocess.run(["sleep", "3600"], check=False)  # noqa: S607 - a child, as a tool's helper would be
    if failure := state["fail"].get(tool):
        code, text = FAILURES[failure]
        _say(text)
        return code
    if " ".join([tool, *arguments]) in state["mumbles"]:
        _say("#### not what anybody expects ####")
        return 0
    lines = (npu_smi if tool == "npu-smi" else hccn_tool)(state, arguments)
    if lines is None:
        _say("This device does not support querying this information.")
        return 200
    _say("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
