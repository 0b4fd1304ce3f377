"""`npu-smi info` in the layouts of several generations and versions; the numbers are made up."""

import pytest

from erfnet_jobs.ascend.devices import DeviceProcess
from erfnet_jobs.ascend.npu_info import MEGABYTE, parse_info

FIRST_910 = """\
+------------------------------------------------------------------------------------+
| npu-smi 1.8.17                   Version: 20.1.0                                   |
+----------------------+---------------+---------------------------------------------+
| NPU   Name           | Health        | Power(W)   Temp(C)                          |
| Chip                 | Bus-Id        | AICore(%)  Memory-Usage(MB)  HBM-Usage(MB)  |
+======================+===============+=============================================+
| 0     910A           | OK            | 66.1       44                               |
| 0                    | 0000:C1:00.0  | 17         612  / 14795      1201 / 32768   |
+======================+===============+=============================================+
| 3     910ProB        | Warning       | 199.4      51                               |
| 0                    | 0000:01:00.0  | 100        4011 / 15177      32001/ 32768   |
+======================+===============+=============================================+
"""

SECOND_910 = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc1                 Version: 24.1.rc1                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 2     910B2C              | OK            | 101.3       48                0    / 0             |
| 0                         | 0000:81:00.0  | 33          0    / 0          58154/ 65536         |
+===========================+===============+====================================================+
| 5     910B2C              | Critical      | 0.0         61                0    / 0             |
| 0                         | NA            | NA          0    / 0          NA   / NA            |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 2       0                 | 70112         | python3.11               | 55012                   |
| 2       0                 | 70113         |                          | 12                      |
+===========================+===============+====================================================+
| No running processes found in NPU 5                                                            |
+===========================+===============+====================================================+
"""

A3 = """\
+------------------------------------------------------------------------------------------------------------------+
| npu-smi 26.0.rc3                            Version: 26.0.rc3                                                    |
+---------------------------+---------------+----------------------------------------------------------------------+
| NPU   Name                | Health        | Power(W)             Temp(C)                 Hugepages-Usage(page)   |
| Chip  Phy-ID              | Bus-Id        | AICore(%)            Memory-Usage(MB)        HBM-Usage(MB)           |
+===========================+===============+======================================================================+
| 4     Ascend910           | OK            | 181.7                41                      0    / 0                |
| 0     8                   | 0000:95:00.0  | 12                   0    / 0                3301 / 65536            |
+------------------------------------------------------------------------------------------------------------------+
| 4     Ascend910           | Alarm         | -                    39                      0    / 0                |
| 1     9                   | 0000:97:00.0  | 0                    0    / 0                2902 / 65536            |
+===========================+===============+======================================================================+
+---------------------------+---------------+----------------------------------------------------------------------+
| NPU     Chip              | Process id    | Process name       | Process memory(MB)    | Process id in container |
+===========================+===============+======================================================================+
| 4       1                 | 812           | train              | 2001                  | 17                      |
| 4       1                 | 813           | train              | 2002                  | NA                      |
+===========================+===============+======================================================================+
"""

DUO = """\
+--------------------------------------------------------------------------------------------------------+
| npu-smi 24.1.0                                   Version: 24.1.0                                       |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 32768   310P3                 | UNKNOWN         | NA           52                7     / 15            |
| 0       4                     | 0000:82:00.0    | 3            1711 / 44280                            |
+-------------------------------+-----------------+------------------------------------------------------+
| 32768   310P3                 | OK              | NA           50                0     / 0             |
| 1       5                     | 0000:82:00.0    | 0            19435/ 43693                            |
+===============================+=================+======================================================+
"""

# Ascend 950: cells of their own for ids, and no chip id.
ONE_CHIP = """\
| npu-smi 26.1.0    Version: 26.1.0 |
| NPU ID | Name        | Health | Power(W) Temp(C) Hugepages-Usage(page)        |
|        |             | Bus-Id | NPU Util(%) Memory-Usage(MB) HBM-Usage(MB)    |
| 1      | Ascend950PR | OK     | 99.5 41 0 / 0                                 |
|        |             | NA     | 21 0 / 0 1025 / 131072                        |
"""


def test_the_first_generation_without_hugepages() -> None:
    parsed = parse_info(FIRST_910)
    first, second = parsed.value.chips
    assert parsed.unread == ()
    assert (first.npu_id, first.chip_id, first.name, first.health, first.power, first.temperature, first.ai_core) == (
        0, 0, "910A", "ok", 66.1, 44, 17,
    )  # fmt: skip
    assert (first.memory, first.hbm, first.bus) == (
        (612 * MEGABYTE, 14795 * MEGABYTE),
        (1201 * MEGABYTE, 32768 * MEGABYTE),
        "0000:C1:00.0",
    )
    assert (second.npu_id, second.position, second.name, second.health) == (3, 1, "910ProB", "warning")
    assert second.hbm == (32001 * MEGABYTE, 32768 * MEGABYTE)
    assert (parsed.value.tool, parsed.value.driver, parsed.value.processes) == ("1.8.17", "20.1.0", {})
    assert parsed.value.complete


def test_what_the_tool_cannot_tell_is_none() -> None:
    parsed = parse_info(SECOND_910)
    first, second = parsed.value.chips
    assert first.hbm == (58154 * MEGABYTE, 65536 * MEGABYTE)
    assert (second.health, second.power, second.ai_core, second.hbm, second.bus) == ("critical", 0.0, None, None, None)
    assert parsed.unread == ()


def test_rows_of_processes_are_no_devices() -> None:
    info = parse_info(SECOND_910).value
    assert info.processes == {
        (2, 0): (
            DeviceProcess(70112, "python3.11", 55012 * MEGABYTE),
            DeviceProcess(70113, "", 12 * MEGABYTE),
        ),
        (5, 0): (),
    }


def test_memory_of_processes_in_bytes() -> None:
    text = SECOND_910.replace("Process memory(MB)", "Process memory(B) ")
    assert [process.memory for process in parse_info(text).value.processes[(2, 0)]] == [55012, 12]


def test_the_third_generation_has_physical_ids_and_one_power_a_card() -> None:
    parsed = parse_info(A3)
    assert [(chip.npu_id, chip.chip_id, chip.physical, chip.power, chip.health) for chip in parsed.value.chips] == [
        (4, 0, 8, 181.7, "ok"),
        (4, 1, 9, None, "alarm"),
    ]
    assert parsed.value.physical_ids
    assert parsed.value.processes == {
        (4, 0): (),
        (4, 1): (
            DeviceProcess(812, "train", 2001 * MEGABYTE, 17),
            DeviceProcess(813, "train", 2002 * MEGABYTE),
        ),
    }


def test_a_physical_id_told_twice_is_none() -> None:
    parsed = parse_info(A3.replace("| 1     9  ", "| 1     8  "))
    assert [(chip.chip_id, chip.physical) for chip in parsed.value.chips] == [(0, None), (1, None)]


def test_inference_cards_have_logic_ids_and_no_hbm() -> None:
    parsed = parse_info(DUO)
    assert [(chip.npu_id, chip.chip_id, chip.device, chip.hbm, chip.health) for chip in parsed.value.chips] == [
        (32768, 0, 4, None, "unknown"),
        (32768, 1, 5, None, "ok"),
    ]
    assert parsed.value.chips[1].memory == (19435 * MEGABYTE, 43693 * MEGABYTE)
    assert parsed.unread == ()


def test_ids_in_cells_of_their_own() -> None:
    (chip,) = parse_info(ONE_CHIP).value.chips
    assert (chip.npu_id, chip.chip_id, chip.name, chip.ai_core, chip.hbm) == (
        1, 0, "Ascend950PR", 21, (1025 * MEGABYTE, 131072 * MEGABYTE),
    )  # fmt: skip


def test_a_chip_without_an_id_is_none_where_the_tool_tells_ids() -> None:
    damaged = FIRST_910.replace("| Chip   ", "|        ").replace(
        "| 0                    | 0000:C1", "|                      | 0000:C1"
    )
    assert damaged != FIRST_910
    assert parse_info(damaged).value.chips == ()


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        ("| 2     910B2C              | OK ", "| 2     910B2C              | 0K "),
        ("| 2     910B2C   ", "| 2_    910B2C   "),
        ("101.3       48", "101.348        "),
        ("101.3       48", "101.3         "),
        ("0000:81:00.0", "0000:81:0.0 "),
        ("58154/ 65536 ", "58154  65536 "),
        ("33          0    / 0  ", "33          0    / -0 "),
        ("58154/ 65536         |", "58154/ 65536          "),
        ("58154/", "058154/"),
        ("0    / 0             |", "|"),
    ],
)
def test_a_damaged_row_is_named_and_gives_no_device(whole: str, damaged: str) -> None:
    assert whole in SECOND_910
    parsed = parse_info(SECOND_910.replace(whole, damaged, 1))
    assert [chip.npu_id for chip in parsed.value.chips] == [5]
    assert {7, 8} & {line.number for line in parsed.unread}
    assert not parsed.value.complete
    assert parsed.value.chips[0].position == 1


@pytest.mark.parametrize("heading", ["Phy-ID", "Health", "HBM-Usage(MB)", "Temp(C)", "Chip ", "Memory-Usage(MB)"])
def test_unknown_headings_give_no_devices(heading: str) -> None:
    parsed = parse_info(A3.replace(heading, "Voltage", 1))
    assert parsed.value.chips == ()
    assert {7, 8, 10, 11} <= {line.number for line in parsed.unread}


def test_rows_that_stand_apart_are_not_put_together() -> None:
    lines = SECOND_910.split("\n")
    without_second, without_first = lines[:7] + lines[8:], lines[:9] + lines[10:]
    assert [chip.npu_id for chip in parse_info("\n".join(without_second)).value.chips] == [5]
    assert [chip.npu_id for chip in parse_info("\n".join(without_first)).value.chips] == [2]


def test_a_card_that_only_the_processes_tell_of_makes_its_neighbour_doubtful() -> None:
    lines = SECOND_910.split("\n")
    hybrid = parse_info("\n".join(lines[:7] + lines[10:]))
    assert hybrid.value.chips == ()
    assert {7, 8} <= {line.number for line in hybrid.unread}


def test_a_strange_line_between_rows_spoils_that_chip_only() -> None:
    lines = SECOND_910.split("\n")
    parsed = parse_info("\n".join([*lines[:7], "dmesg: something", *lines[7:]]))
    assert [(chip.npu_id, chip.position) for chip in parsed.value.chips] == [(5, None)]
    assert [line.number for line in parsed.unread] == [7, 8, 9]


def test_moved_rows_are_not_trusted() -> None:
    lines = SECOND_910.split("\n")
    lines[6], lines[7] = lines[7], lines[6]
    assert parse_info("\n".join(lines)).value.chips == ()


def test_two_tables_in_one_text_are_not_mixed() -> None:
    assert parse_info(FIRST_910 + FIRST_910.replace("OK", "Alarm")).value.chips == ()


def test_an_unread_process_leaves_only_what_is_certain() -> None:
    text = A3.replace("| 4       1                 | 813 ", "| 4       1                 | x13 ")
    parsed = parse_info(text)
    assert parsed.value.processes == {(4, 1): (DeviceProcess(812, "train", 2001 * MEGABYTE, 17),)}
    assert [line.number for line in parsed.unread] == [17]


def test_a_warning_below_the_tables_is_told() -> None:
    parsed = parse_info(SECOND_910 + "[WARNING]The driver package may not be completely installed.\n")
    assert len(parsed.value.chips) == 2
    assert len(parsed.unread) == 1
    assert parsed.value.complete


@pytest.mark.parametrize("text", ["", "\n\n", "dcmi module initialize failed. ret is -8005\n", "|||\n", "+"])
def test_what_is_no_table(text: str) -> None:
    parsed = parse_info(text)
    assert parsed.value.chips == ()
    assert not parsed.value.complete
