"""`npu-smi info -t board|health|usages|common`: lines of names and values, for each chip. Pure and total; stdlib only.

With `-c` the tool tells of one chip and may not name it. Without, each chip's Chip ID stands before its values in
board, common and health, and after them in usages; a group that begins with a Chip Name instead (the MCU's) is no chip.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from erfnet_jobs.ascend.lines import Line, Parsed, decimal, numbered, whole
from erfnet_jobs.ascend.npu_info import MEGABYTE, health_of

FIELD = re.compile(r"(?P<name>[A-Za-z][^:]*?)\s*:\s*(?P<value>\S.*|)")
NOTHING = {"", "NA", "N/A", "-", "--", "NULL"}
HEALTH_WORDS = {"OK", "Warning", "Alarm", "Critical", "UNKNOWN"}
ERROR_CODE = re.compile(r"(?:0x)?[0-9A-Fa-f]{1,16}(?:[,;\s]+(?:0x)?[0-9A-Fa-f]{1,16})*")
CARD_FIELDS = {"NPU ID", "Chip Count"}


@dataclass(frozen=True)
class ChipFields:
    """A chip's values by the tool's names for them. `chip_id` is None where the tool was asked for one chip."""

    npu_id: int | None
    chip_id: int | None
    values: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """A value, None where the tool cannot tell it."""
        value = self.values.get(name, "")
        return None if value in NOTHING else value


@dataclass(frozen=True)
class ChipHealth:
    """`health` is one of ours; `error_code` the tool's, None where there is none."""

    chip_id: int | None
    health: str
    error_code: str | None


@dataclass(frozen=True)
class ChipUse:
    """What `-t usages` and `-t common` tell, in bytes, percent, degrees Celsius and watts."""

    chip_id: int | None
    memory: int | None
    hbm: int | None
    hbm_percent: float | None
    ai_core: float | None
    temperature: float | None
    power: float | None


@dataclass(frozen=True)
class _Field:
    """A line's name and value; `apart`: a blank line stands before it, which ends a chip's group."""

    line: Line
    name: str
    value: str
    apart: bool


def parse_fields(text: str, id_last: bool = False, nameless: bool = False) -> Parsed[tuple[ChipFields, ...]]:
    """The chips of the text. A value told twice for a chip says that lines are lost: then that chip is not reported.

    `id_last`: a chip's Chip ID ends its group (`-t usages`), instead of beginning it. `nameless`: the only chip may
    have none.
    """
    fields, unread = _fields(text)
    cards = [field for field in fields if field.name == "NPU ID"]
    unread += [field.line for field in cards if len(cards) > 1 or whole(field.value) is None]
    groups = _groups([field for field in fields if field.name not in CARD_FIELDS], id_last)
    chips, broken = _chips(whole(cards[0].value) if len(cards) == 1 else None, groups, nameless and not id_last)
    return Parsed(chips, tuple(sorted([*unread, *broken], key=lambda line: line.number)))


def _fields(text: str) -> tuple[list[_Field], list[Line]]:
    fields: list[_Field] = []
    unread: list[Line] = []
    before = 0
    for line in numbered(text):
        if found := FIELD.fullmatch(line.text):
            fields.append(_Field(line, found["name"], found["value"], apart=line.number > before + 1))
        else:
            unread.append(line)
        before = line.number
    return fields, unread


def _groups(fields: list[_Field], id_last: bool) -> list[list[_Field]]:
    """The fields by chip, where each group begins with what can only begin one."""
    groups: list[list[_Field]] = []
    for field in fields:
        told = [earlier.name for earlier in groups[-1]] if groups else []
        mcu = field.name == "Chip Name" and "Temperature(C)" in told and "Chip Name" not in told
        ended = told[-1] == "Chip ID" if id_last and told else field.name == "Chip ID" or mcu
        if not told or field.apart or ended:
            groups.append([])
        groups[-1].append(field)
    return groups


def _chips(
    npu_id: int | None, groups: list[list[_Field]], may_be_nameless: bool
) -> tuple[tuple[ChipFields, ...], list[Line]]:
    chips: list[ChipFields] = []
    broken: list[Line] = []
    for group in groups:
        values = {field.name: field.value for field in group}
        if values.get("Chip Name", "").lower() == "mcu":
            continue
        number = whole(values.get("Chip ID"))
        nameless = may_be_nameless and "Chip ID" not in values and len(groups) == 1
        sound = len(values) == len(group) and (number is not None or nameless)
        if sound and number not in {chip.chip_id for chip in chips}:
            chips.append(ChipFields(npu_id, number, values))
        else:
            broken += [field.line for field in group]
    return tuple(chips), broken


def parse_board(text: str) -> Parsed[tuple[ChipFields, ...]]:
    """`-t board`; 'Chip Name' is what we ask it for."""
    return parse_fields(text)


def parse_health(text: str) -> Parsed[tuple[ChipHealth, ...]]:
    """`-t health`: 'Health Status' (with -c) or 'Health' (without). A word that is none of theirs is no health."""
    lines = numbered(text)
    last = next((line.text.split(":")[0].strip() for line in reversed(lines) if ":" in line.text), "")
    parsed = parse_fields(text, id_last=last == "Chip ID", nameless=True)
    found: list[ChipHealth] = []
    unread = list(parsed.unread)
    for chip in parsed.value:
        word = chip.text("Health Status") or chip.text("Health")
        code = chip.text("Error Code")
        if word not in HEALTH_WORDS or (code is not None and not ERROR_CODE.fullmatch(code)):
            unread += [line for line in lines if line not in unread]
            continue
        found.append(ChipHealth(chip.chip_id, health_of(word), code))
    return Parsed(tuple(found), tuple(sorted(unread, key=lambda line: line.number)))


def parse_usages(text: str) -> Parsed[tuple[ChipUse, ...]]:
    """`-t usages`, where each chip's id follows its values."""
    parsed = parse_fields(text, id_last=True)
    return Parsed(tuple(map(_use, parsed.value)), parsed.unread)


def parse_common(text: str) -> Parsed[tuple[ChipUse, ...]]:
    """`-t common`, where each chip's id comes before its values."""
    parsed = parse_fields(text)
    return Parsed(tuple(map(_use, parsed.value)), parsed.unread)


def _use(chip: ChipFields) -> ChipUse:
    return ChipUse(
        chip_id=chip.chip_id,
        memory=_bytes(chip, "DDR Capacity(MB)") or _bytes(chip, "Memory Capacity(MB)"),
        hbm=_bytes(chip, "HBM Capacity(MB)"),
        hbm_percent=decimal(chip.text("HBM Usage Rate(%)")),
        ai_core=decimal(chip.text("Aicore Usage Rate(%)")),
        temperature=decimal(chip.text("Temperature(C)")),
        power=decimal(chip.text("NPU Real-time Power(W)")),
    )


def _bytes(chip: ChipFields, name: str) -> int | None:
    megabytes = whole(chip.text(name))
    return None if megabytes is None else megabytes * MEGABYTE
