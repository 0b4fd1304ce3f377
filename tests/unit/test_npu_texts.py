"""The other answers of npu-smi; the numbers are made up."""

import pytest

from erfnet_jobs.ascend.chips import with_cores
from erfnet_jobs.ascend.devices import ASCEND_CHIP, Device
from erfnet_jobs.ascend.npu_fields import ChipHealth, parse_board, parse_common, parse_health, parse_usages
from erfnet_jobs.ascend.npu_map import MappedChip, NpuList, parse_list, parse_map
from erfnet_jobs.ascend.npu_topo import parse_topo

MB = 2**20

MAP_A2 = """\
	NPU ID                         Chip ID                        Chip Logic ID                  Chip Name
	2                              0                              0                              Ascend 910B2C
	2                              1                              -                              Mcu
	5                              0                              1                              Ascend 910B2C
	5                              1                              -                              Mcu
"""
MAP_A3 = """\
	NPU ID                         Chip ID                        Chip Logic ID                  Chip Phy-ID                    Chip Name
	6                              0                              0                              12                             Ascend910
	6                              1                              1                              13                             Ascend910
	6                              2                              -                              -                              Mcu
"""  # noqa: E501 - as wide as the tool prints it
MAP_950 = """\
	NPU ID                         Slot ID                        Chip ID                        Chip Phy-ID                    Chip Name
	0                              3                              0                              0                              Ascend950DT
	1                              -1                             0                              1                              Ascend950DT
"""  # noqa: E501 - as wide as the tool prints it
MAP_DUO = """\
NPU ID             Chip ID            Chip Logic ID       Chip Name
32768               0                  0                   Ascend 310P3
32768               1                  1                   Ascend 310P3
32768               2                  -                   Mcu
32768               3                  -                   3559
"""


def test_logic_ids_with_gaps_in_the_npu_ids_and_mcus() -> None:
    parsed = parse_map(MAP_A2)
    assert parsed.value.chips == (
        MappedChip(2, 0, "Ascend 910B2C", 0, None),
        MappedChip(5, 0, "Ascend 910B2C", 1, None),
    )
    assert not parsed.value.physical_ids
    assert parsed.unread == ()


def test_physical_ids_of_the_third_generation() -> None:
    parsed = parse_map(MAP_A3)
    assert [(chip.logic_id, chip.physical_id) for chip in parsed.value.chips] == [(0, 12), (1, 13)]
    assert parsed.value.physical_ids


def test_slots_and_no_logic_ids() -> None:
    parsed = parse_map(MAP_950)
    assert [(chip.npu_id, chip.logic_id, chip.physical_id) for chip in parsed.value.chips] == [
        (0, None, 0),
        (1, None, 1),
    ]
    assert parsed.unread == ()


def test_five_digits_and_a_cpu_on_the_card() -> None:
    parsed = parse_map(MAP_DUO)
    assert [(chip.npu_id, chip.chip_id, chip.logic_id) for chip in parsed.value.chips] == [(32768, 0, 0), (32768, 1, 1)]
    assert parsed.unread == ()


def test_an_id_that_stands_twice_spoils_the_map() -> None:
    parsed = parse_map(MAP_A2.replace("5                              0                              1", "5  0  0"))
    assert parsed.value.chips == ()
    assert len(parsed.unread) == 4


def test_a_map_row_that_is_cut_is_named() -> None:
    parsed = parse_map(MAP_A2 + "\t6                              0")
    assert [chip.npu_id for chip in parsed.value.chips] == [2, 5]
    assert [line.number for line in parsed.unread] == [6]


@pytest.mark.parametrize("count", ["Total Count", "Card Count"])
@pytest.mark.parametrize("indent", ["\t", "        ", ""])
def test_a_list_of_cards(count: str, indent: str) -> None:
    fields = [(count, 2), ("NPU ID", 3), ("Product Name", ""), ("Chip Count", 2), ("NPU ID", 7), ("Chip Count", 1)]
    text = "\n\n".join(f"{indent}{name:<30} : {value}" for name, value in fields)
    assert parse_list(text).value == NpuList(2, ((3, 2), (7, 1)))
    assert parse_list(text).unread == ()


USAGES = """\
NPU ID                         : 4
Chip Count                     : 2

DDR Capacity(MB)               : 0
HBM Capacity(MB)               : 65536
HBM Usage Rate(%)              : 7
Aicore Usage Rate(%)           : 55
Chip ID                        : 0

DDR Capacity(MB)               : 0
HBM Capacity(MB)               : 32768
HBM Usage Rate(%)              : NA
Aicore Usage Rate(%)           : 3
Chip ID                        : 1
"""
COMMON = """\
	NPU ID                         : 4
	Chip Count                     : 2

	Chip ID                        : 0
	HBM Usage Rate(%)              : 7
	Aicore Usage Rate(%)           : 55
	Temperature(C)                 : 61
	NPU Real-time Power(W)         : 240.3

	Chip ID                        : 1
	Aicore Usage Rate(%)           : 3
	Temperature(C)                 : 58
	NPU Real-time Power(W)         : NA

	Chip Name                      : mcu
	Temperature(C)                 : 33
"""


def test_usages_belong_to_the_chip_named_after_them() -> None:
    parsed = parse_usages(USAGES)
    assert [(chip.chip_id, chip.hbm, chip.hbm_percent, chip.ai_core) for chip in parsed.value] == [
        (0, 65536 * MB, 7, 55),
        (1, 32768 * MB, None, 3),
    ]
    assert parsed.unread == ()


def test_common_values_belong_to_the_chip_named_before_them() -> None:
    parsed = parse_common(COMMON)
    assert [(chip.chip_id, chip.ai_core, chip.temperature, chip.power) for chip in parsed.value] == [
        (0, 55, 61, 240.3),
        (1, 3, 58, None),
    ]
    assert parsed.unread == ()


@pytest.mark.parametrize("blank", ["\n\n", "\n"])
def test_without_blank_lines_the_groups_are_the_same(blank: str) -> None:
    assert parse_usages(USAGES.replace("\n\n", blank)).value == parse_usages(USAGES).value
    assert parse_common(COMMON.replace("\n\n", blank)).value == parse_common(COMMON).value


def test_a_lost_chip_id_gives_no_values_to_the_other_chip() -> None:
    joined = USAGES.replace("Chip ID                        : 0\n\n", "")
    assert parse_usages(joined).value == ()
    assert parse_usages(joined).unread


def test_the_board_names_the_chip() -> None:
    (chip,) = parse_board(
        "NPU ID : 1\nChip ID : 0\nChip Name : 910B3\nPCB ID : NA\nPCIe Bus Info : 0000:C1:00.0\n"
    ).value
    assert (chip.npu_id, chip.chip_id, chip.text("Chip Name"), chip.text("PCB ID")) == (1, 0, "910B3", None)


def test_health_of_one_chip() -> None:
    parsed = parse_health(
        "\tHealth Status                  : Alarm\n\tError Code                     : 80C98002\n"
        "\tError Information              : node type=SoC, sensor type=Voltage: low\n"
    )
    assert parsed.value == (ChipHealth(None, "alarm", "80C98002"),)
    assert parsed.unread == ()


def test_health_of_a_cards_chips() -> None:
    text = "NPU ID : 0\nChip Count : 2\nHealth : OK\nChip ID : 0\nHealth : Warning\nChip ID : 1\n"
    assert parse_health(text).value == (ChipHealth(0, "ok", None), ChipHealth(1, "warning", None))


@pytest.mark.parametrize("word", ["Okay", "0K", "", "Fine"])
def test_a_health_that_is_none_is_named(word: str) -> None:
    parsed = parse_health(f"Health Status : {word}\nError Code : NA\n")
    assert parsed.value == ()
    assert parsed.unread


TOPO = """\
           NPU0       NPU1       NIC0       CPU Affinity
NPU0       X          HCCS       PHB        0-23,96-119
NPU1       HCCS       X          SYS        NA
NIC0       PHB        SYS        X

Legend:

  X    = Self
  HCCS = Connection traversing HCCS.
  NA   = Unknown relationship.
"""


def test_cores_near_a_chip() -> None:
    parsed = parse_topo(TOPO)
    assert parsed.value == {"NPU0": "0-23,96-119"}
    assert parsed.unread == ()


def test_a_topology_without_cores() -> None:
    text = "           NPU0       NPU1\nNPU0       X          UB\nNPU1       UB         X\n"
    assert parse_topo(text).value == {}
    assert parse_topo(text).unread == ()


def test_chips_of_atlas_a3_go_by_physical_ids() -> None:
    head, first, second = (
        "\t   Phy-ID4    Phy-ID5    ",
        "Phy-ID4    X          SIO        ",
        "Phy-ID5    SIO        X  ",
    )
    legend = "\nLegend:\n\n  X    = Self\n  SIO  = Path traversing the SIO bus\n"
    arm = parse_topo(f"{head}\n{first}\n{second}\n{legend}")
    assert (arm.value, arm.unread) == ({}, ())
    other = parse_topo(f"{head}CPU Affinity\n{first}0-31\n{second}        32-63\n{legend}")
    assert (other.value, other.unread) == ({"Phy-ID4": "0-31", "Phy-ID5": "32-63"}, ())

    dies = [Device(number, ASCEND_CHIP, "910", npu_id=2, chip_id=number, physical_id=4 + number) for number in (0, 1)]
    assert [die.cores for die in with_cores(dies, other.value)] == ["0-31", "32-63"]


def test_network_cards_in_a_topology_are_no_chips() -> None:
    parsed = parse_topo(
        "           NPU0       NIC0        CPU Affinity\nNPU0       X          PIX        0-23\n"
        "NIC0       PIX        X\n\nNIC0: enp61s0f0\n\nLegend:\n"
    )
    assert (parsed.value, parsed.unread) == ({"NPU0": "0-23"}, ())


def test_a_row_with_a_link_too_few_is_named() -> None:
    parsed = parse_topo(TOPO.replace("X          HCCS       PHB ", "X          HCCS           "))
    assert parsed.value == {}
    assert [line.number for line in parsed.unread] == [2]
