"""A scripted Ascend host: programs that answer as npu-smi and hccn_tool do, hccn.conf, and device nodes.

    host = AscendHost(tmp_path, "910B")           # 8 cards; see GENERATIONS for what each is
    discover(load_settings(environ=host.environ))  # or Site(..., **host.settings), or a process with host.environ
    host.set_health(3, "Alarm", "80C98002")        # while things run; devices go by their logic ids
    host.add_process(1, pid=4711)
    host.lose(5)
    host.fail("dcmi"); host.hang(); host.heal()

The tools read their state at each call, so a change counts from the next call on.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from erfnet_jobs.launch.processes import living
from tests.scripted_tables import Chip, State

ROOT = Path(__file__).resolve().parent.parent
# name, cards, chips of a card, NPU id of card n, version of npu-smi, (DDR, HBM) in MB, MCUs in -m
GENERATIONS: dict[str, tuple[str, int, int, tuple[int, ...], str, tuple[int, int], bool]] = {
    "910A": ("910A", 8, 1, tuple(range(8)), "23.0.rc2", (15137, 32768), False),
    "910B": ("910B3", 8, 1, tuple(range(8)), "24.1.rc3", (0, 65536), True),
    "910C": ("Ascend910", 8, 2, tuple(range(8)), "25.2.0", (0, 65536), True),
    "310": ("310", 1, 4, (208,), "21.0.4", (8192, 0), True),
    "310P": ("310P3", 4, 2, (2, 3, 32, 32800), "24.1.1", (43690, 0), True),
}
# Inference cards have no network port.
PORTLESS = {"310", "310P"}
OTHER_NODES = ("davinci_manager", "devmm_svm", "hisi_hdc")


def _chips(generation: str, cards: int | None) -> list[Chip]:
    name, most, per_card, npus, _tool, (ddr, hbm), _mcu = GENERATIONS[generation]
    chips: list[Chip] = []
    for card in range(most if cards is None else cards):
        for chip in range(per_card):
            number = len(chips)
            chips.append(
                {
                    "npu": npus[card],
                    "chip": chip,
                    "logic": number,
                    "physical": number,
                    "name": name,
                    "health": "OK",
                    "error_code": "NA",
                    "power": 64.5 + number,
                    "temperature": 35 + number,
                    "ai_core": 0,
                    "ddr": [ddr // 10, ddr],
                    "hbm": [2048 + number if hbm else 0, hbm],
                    "bus": f"0000:{0x41 + 8 * card:02X}:00.{chip}",
                    "ip": None if generation in PORTLESS else f"192.168.{100 + number % 4}.{11 + number // 4}",
                    "link": "UP",
                    "cores": f"{24 * (number // 2)}-{24 * (number // 2) + 23}",
                    "processes": [],
                }
            )
    return chips


def made_up_state(generation: str, tool: str | None = None, cards: int | None = None) -> State:
    """What the scripted tools tell: all cards of a generation (or so many), in health; `tool` is npu-smi's version."""
    version = tool or GENERATIONS[generation][4]
    return {
        "generation": generation,
        "tool": version,
        "driver": version,
        "chips": _chips(generation, cards),
        "lost": [],
        "mcu": GENERATIONS[generation][6],
        "board_name": None,
        "only_info": False,
        "seconds": 0,
        "mumbles": [],
        "hang": [],
        "fail": {},
    }


class AscendHost:
    """A host with the chips of one generation. `cards` fewer than it has may be asked for."""

    def __init__(
        self, folder: Path, generation: str = "910B", cards: int | None = None, tool: str | None = None
    ) -> None:
        self.folder = folder / "ascend"
        self.folder.mkdir(parents=True)
        self._state_path = self.folder / "state.json"
        self.state = made_up_state(generation, tool, cards)
        self.npu_smi, self.hccn_tool = self._program("npu-smi"), self._program("hccn_tool")
        self.hccn_conf = self.folder / "hccn.conf"
        self.dev_dir = self.folder / "dev"
        self.dev_dir.mkdir()
        for node in (*OTHER_NODES, *(f"davinci{chip['physical']}" for chip in self.chips)):
            (self.dev_dir / node).touch()
        self._write_conf()
        self._write_cann("8.3.RC1")
        self._write()

    def _program(self, name: str) -> Path:
        path = self.folder / name
        command = [sys.executable, "-ES", "-m", "tests.scripted_tools", name, str(self._state_path)]
        path.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))} && exec {shlex.join(command)} "$@"\n')
        path.chmod(0o755)
        return path

    def _write_conf(self) -> None:
        ported = [chip for chip in self.chips if chip["ip"]]
        lines = [
            f"address_{chip['physical']}={chip['ip']}\nnetmask_{chip['physical']}=255.255.255.0\n" for chip in ported
        ]
        self.hccn_conf.write_text("".join(lines))

    def _write_cann(self, version: str) -> None:
        text = f"package_name=Ascend-cann-toolkit\nversion={version}\narch={os.uname().machine}\n"
        (self.folder / "ascend_toolkit_install.info").write_text(text)

    def _write(self) -> None:
        new = self._state_path.with_suffix(".new")
        new.write_text(json.dumps(self.state))
        new.replace(self._state_path)

    @contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """Change the state as a whole; the tools see it all at once."""
        yield self.state
        self._write()

    @property
    def chips(self) -> list[Chip]:
        return list(self.state["chips"])

    @property
    def settings(self) -> dict[str, object]:
        """The fields of Settings that point here."""
        return {
            "npu_smi": str(self.npu_smi),
            "hccn_tool": str(self.hccn_tool),
            "hccn_conf": self.hccn_conf,
            "dev_dir": self.dev_dir,
        }

    @property
    def environ(self) -> dict[str, str]:
        """The variables for another process, with CANN's version file beside the ERFNET_JOBS_* ones."""
        own = {f"ERFNET_JOBS_{name.upper()}": str(value) for name, value in self.settings.items()}
        return {**own, "ASCEND_TOOLKIT_HOME": str(self.folder)}

    def _chip(self, device: int) -> Chip:
        return next(chip for chip in self.state["chips"] if chip["logic"] == device)

    def set(self, device: int, **values: object) -> None:
        """Set any of a chip's values; see `_chips` for their names."""
        self._chip(device).update(values)
        self._write()

    def set_health(self, device: int, health: str, error_code: str = "NA") -> None:
        """OK, Warning, Alarm, Critical or UNKNOWN."""
        self.set(device, health=health, error_code=error_code)

    def add_process(self, device: int, pid: int, name: str = "python", megabytes: int = 1024) -> None:
        self.set(device, processes=[*self._chip(device)["processes"], [pid, name, megabytes]])

    def remove_processes(self, device: int) -> None:
        self.set(device, processes=[])

    def set_link(self, device: int, link: str) -> None:
        """UP or DOWN."""
        self.set(device, link=link)

    def set_address(self, device: int, address: str | None) -> None:
        """Of the chip; hccn.conf keeps the old one."""
        self.set(device, ip=address)

    def lose(self, device: int) -> None:
        """The card falls off the bus: its rows and its node are gone, the others keep their ids."""
        chip = self._chip(device)
        with self.changed() as state:
            state["chips"].remove(chip)
            state["lost"].append(chip)
        (self.dev_dir / f"davinci{chip['physical']}").unlink()

    def bring_back(self) -> None:
        """All lost cards are there again."""
        with self.changed() as state:
            state["chips"] = sorted([*state["chips"], *state["lost"]], key=lambda chip: chip["logic"])
            state["lost"] = []
        for chip in self.chips:
            (self.dev_dir / f"davinci{chip['physical']}").touch()

    def fail(self, how: str, tool: str = "npu-smi") -> None:
        """From now on the tool fails: 'dcmi', 'occupied', 'permission', 'silent', 'garbage' or 'empty'."""
        with self.changed() as state:
            state["fail"][tool] = how

    def hang(self, tool: str = "npu-smi") -> None:
        """From now on the tool gives no answer, nor does a child of its."""
        with self.changed() as state:
            state["hang"].append(tool)

    def heal(self) -> None:
        """The tools work again."""
        with self.changed() as state:
            state["fail"], state["hang"] = {}, []

    def calls(self) -> list[str]:
        """What was called, as 'npu-smi info -m'."""
        return [line.split(" ", 2)[2] for line in self._log() if line.startswith("begin")]

    def processes(self) -> list[int]:
        """The living processes of tools that were called, and of their children."""
        began = [line.split(" ")[1] for line in self._log() if line.startswith("begin")]
        return [process.pid for process in living() if str(process.group) in began]

    def _log(self) -> list[str]:
        log = self.folder / "calls.log"
        return log.read_text().splitlines() if log.exists() else []

    def overlaps(self) -> list[str]:
        """The calls that began while another one of the same tool ran."""
        found: list[str] = []
        running: dict[str, str] = {}
        for line in self._log():
            what, pid, call = line.split(" ", 2)
            tool = call.split(" ")[0]
            if what == "begin":
                found += [call] if tool in running else []
                running[tool] = pid
            elif running.get(tool) == pid:
                del running[tool]
        return found
