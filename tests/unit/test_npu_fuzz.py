"""Damaged output of npu-smi and hccn_tool: never an exception, and never a device that no rows hold."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erfnet_jobs.ascend.hccn import parse_hccn_conf, parse_ip, parse_link
from erfnet_jobs.ascend.lines import Parsed
from erfnet_jobs.ascend.npu_fields import parse_board, parse_common, parse_health, parse_usages
from erfnet_jobs.ascend.npu_info import ChipRow, parse_info
from erfnet_jobs.ascend.npu_map import MappedChip, parse_list, parse_map
from erfnet_jobs.ascend.npu_topo import parse_topo
from erfnet_jobs.ascend.versions import parse_version
from tests.ascend_host import made_up_state
from tests.scripted_tables import info_table
from tests.scripted_tools import BY_CARD, listing, mapping, on_card, topo

PARSERS: tuple[Callable[[str], Parsed[Any]], ...] = (
    parse_info, parse_map, parse_list, parse_board, parse_health, parse_usages, parse_common, parse_topo, parse_ip,
    parse_link, parse_hccn_conf, parse_version,
)  # fmt: skip
LAYOUTS = [
    ("910A", "1.8.21"), ("910A", "23.0.rc2"), ("910B", "24.1.rc3"), ("910B", "26.0.rc1"), ("910C", "25.2.0"),
    ("310", "20.2.0"), ("310", "21.0.4"), ("310P", "24.1.1"),
]  # fmt: skip
GARBAGE = st.one_of(
    st.text(max_size=30).map(lambda text: text.replace("\n", " ")),
    st.sampled_from(
        [
            "| 77      0                 | 4711          | python                   | 123                     |",
            "| 9     910A                | OK            | 70.0        40                0    / 0             |",
            "[WARNING]The driver package may not be completely installed",
            "| 0 0 |",
            "ipaddr:300.1.1.1",
            "NPU ID : x",
        ]
    ),
)
CHARACTERS = st.sampled_from("0123456789 |/.-+=:ABKONaxn\t")


def table_of(generation: str, tool: str) -> list[str]:
    """A table in which every chip's numbers are its own, and two chips have processes."""
    state = made_up_state(generation, tool)
    for number, chip in enumerate(state["chips"]):
        chip["ai_core"] = 10 + number
        chip["ddr"] = [chip["ddr"][0] + number, chip["ddr"][1]]
    state["chips"][1]["processes"] = [[4711, "python", 11], [4712, "", 12]]
    return info_table(state)


TABLES = {layout: table_of(*layout) for layout in LAYOUTS}
CHIPS = {layout: parse_info("\n".join(lines)).value.chips for layout, lines in TABLES.items()}


def same(chip: ChipRow) -> tuple[object, ...]:
    """A chip without its place, which lines that are lost before it change."""
    return tuple(value for name, value in vars(chip).items() if name != "position")


# A way to damage lines at one of them: `at` is its index.
MOVES: dict[str, Callable[[list[str], int], list[str]]] = {
    "lose": lambda lines, at: lines[:at] + lines[at + 1 :],
    "double": lambda lines, at: lines[: at + 1] + lines[at:],
    "end": lambda lines, at: lines[: at + 1],
    "behead": lambda lines, at: lines[at:],
    "break": lambda lines, at: [*lines[:at], lines[at][:25], lines[at][25:], *lines[at + 1 :]],
}


# Three lines lost, or two rows exchanged, can join two cards so that nothing shows it: a shuffle is a thorough one.
MOST_MOVES = 2


@st.composite
def moved(draw: st.DrawFn, lines: list[str], also: tuple[str, ...] = ("shuffle", "cut")) -> list[str]:
    """The lines with some lost or doubled, garbage between them; `also` shuffled, and the last one cut."""
    made = list(lines)
    for _ in range(draw(st.integers(1, MOST_MOVES))):
        at = draw(st.integers(0, len(made) - 1))
        how = draw(st.sampled_from([*MOVES, "garbage", *also]))
        if how == "garbage":
            made.insert(at, draw(GARBAGE))
        elif how == "cut":
            made = [*made[:at], made[at][: draw(st.integers(0, len(made[at])))]]
        elif how == "shuffle":
            draw(st.randoms(use_true_random=True)).shuffle(made)
        else:
            made = MOVES[how](made, at) or made
    return made


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
@settings(max_examples=60)
def test_moved_lines_give_no_other_devices(layout: tuple[str, str], data: st.DataObject) -> None:
    lines = data.draw(moved(TABLES[layout]))
    parsed = parse_info("\n".join(lines))
    assert {same(chip) for chip in parsed.value.chips} <= {same(chip) for chip in CHIPS[layout]}
    for key, processes in parsed.value.processes.items():
        assert {process.pid for process in processes} <= {4711, 4712}
        assert not processes or key == (CHIPS[layout][1].npu_id, CHIPS[layout][1].chip_id)


@st.composite
def changed(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """The lines with characters replaced, put in or taken out."""
    made = list(lines)
    for _ in range(draw(st.integers(1, 4))):
        number = draw(st.integers(0, len(made) - 1))
        line = made[number]
        at = draw(st.integers(0, len(line)))
        gone = draw(st.integers(0, 6))
        made[number] = line[:at] + draw(st.text(CHARACTERS, max_size=3)) + line[at + gone :]
    return made


def words_of(line: str) -> list[str]:
    return re.findall(r"[^\s|/]+", line)


def numbers_of(line: str) -> list[float]:
    return [float(word) for word in words_of(line) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", word)]


def holds(first: str, second: str, chip: ChipRow) -> bool:
    """Whether two lines hold the chip's values, read without the parser's patterns."""
    above, below = words_of(first), words_of(second)
    health = next((word for word in above if word in {"OK", "Warning", "Alarm", "Critical", "UNKNOWN", "NA", "-"}), "")
    mine = [chip.power, chip.temperature]
    memory = [size / 2**20 for pair in (chip.memory, chip.hbm) if pair for size in pair]
    return (
        above[:1] == [str(chip.npu_id)]
        and chip.name in re.sub(r"\s+", " ", first)
        and (health.lower() == chip.health or chip.health == "unknown")
        and {value for value in mine if value is not None} <= set(numbers_of(first))
        and below[:1] == [str(chip.chip_id)]
        and all(
            value is None or float(value) in numbers_of(second) for value in (chip.device, chip.physical, chip.ai_core)
        )
        and sorted(memory) == sorted(numbers_of(second)[-len(memory) :] if memory else [])
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
@settings(max_examples=60)
def test_changed_characters_give_devices_only_as_their_rows_hold_them(
    layout: tuple[str, str], data: st.DataObject
) -> None:
    lines = data.draw(changed(TABLES[layout]))
    parsed = parse_info("\n".join(lines))
    pairs = list(pairwise(lines))
    for chip in parsed.value.chips:
        assert any(holds(first.strip(), second.strip(), chip) for first, second in pairs), chip
    assert len(parsed.value.chips) == len(CHIPS[layout]) or parsed.unread, "a device is missing, and no line is named"


def ids_of(chip: MappedChip) -> tuple[int | None, ...]:
    return chip.npu_id, chip.chip_id, chip.logic_id, chip.physical_id


@given(text=st.text() | st.lists(GARBAGE | st.sampled_from(TABLES["910C", "25.2.0"])).map("\n".join))
@settings(max_examples=150)
def test_any_text_is_read(text: str) -> None:
    for parse in PARSERS:
        parsed = parse(text)
        assert all(0 < line.number <= text.count("\n") + 1 and line.text for line in parsed.unread)


@pytest.mark.parametrize("generation", ["910B", "910C", "310", "310P"])
@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_map_gives_no_other_chips(generation: str, data: st.DataObject) -> None:
    lines = mapping(made_up_state(generation))
    whole = parse_map("\n".join(lines))
    assert whole.unread == ()
    # A text that ends within the name of its only chip cannot be told from one that does not.
    found = parse_map("\n".join([*data.draw(moved(lines)), ""])).value.chips
    assert {ids_of(chip) for chip in found} <= {ids_of(chip) for chip in whole.value.chips}
    names = {chip.name for chip in whole.value.chips}
    assert all(any(name.startswith(chip.name) for name in names) for chip in found)


@given(data=st.data())
@settings(max_examples=60)
def test_a_changed_map_gives_chips_only_as_their_rows_hold_them(data: st.DataObject) -> None:
    lines = data.draw(changed(mapping(made_up_state("910C"))))
    for chip in parse_map("\n".join(lines)).value.chips:
        ids = [number for number in (chip.npu_id, chip.chip_id, chip.logic_id, chip.physical_id) if number is not None]
        wanted = [*map(str, ids), *chip.name.split()]
        assert wanted in [line.split() for line in lines]


@pytest.mark.parametrize("kind", BY_CARD)
@given(data=st.data())
@settings(max_examples=40)
def test_damaged_values_of_a_card_are_its_own_or_none(kind: str, data: st.DataObject) -> None:
    state = made_up_state("910B")
    (chip,) = on_card(state, 3)
    lines = BY_CARD[kind](state, 3, [chip], False)
    parse = {"board": parse_board, "health": parse_health, "usages": parse_usages, "common": parse_common}[kind]
    (whole,) = parse("\n".join(lines)).value
    for found in parse("\n".join(data.draw(moved(lines, also=())))).value:
        told = {name: value for name, value in vars(found).items() if value not in (None, {}) and name != "values"}
        assert told.items() <= vars(whole).items()


@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_topology_gives_no_other_cores(data: st.DataObject) -> None:
    lines = topo(made_up_state("910B"))
    whole = parse_topo("\n".join(lines))
    assert whole.unread == ()
    assert parse_topo("\n".join(data.draw(moved(lines)))).value.items() <= whole.value.items()


@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_list_gives_no_other_cards(data: st.DataObject) -> None:
    whole = parse_list("\n".join(listing(made_up_state("310P")))).value
    lines = data.draw(changed(listing(made_up_state("310P"))))
    found = parse_list("\n".join(lines)).value
    assert all(any(str(npu) in line for line in lines) for npu, _ in found.chips)
    assert whole.count == 4


@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_address_file_gives_no_other_addresses(data: st.DataObject) -> None:
    lines = [f"address_{number}=192.168.{number}.7\nnetmask_{number}=255.255.255.0" for number in range(8)]
    lines = "\n".join(lines).split("\n")
    whole = parse_hccn_conf("\n".join(lines)).value.addresses
    assert len(whole) == 8
    made = data.draw(st.permutations(lines).map(lambda some: some[: len(some) // 2]))
    assert parse_hccn_conf("\n".join(made)).value.addresses.items() <= whole.items()
