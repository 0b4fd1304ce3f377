"""Parameter types of the commands: text as people type it, made into values, with the mistake named."""

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # ParamType is generic to mypy, but at run time only in newer releases of click 8
    Numbers = click.ParamType[tuple[int, ...]]
    Pair = click.ParamType[tuple[int, int]]
    Names = click.ParamType[tuple[str, ...]]
    Seconds = click.ParamType[float]
    HostDevices = click.ParamType[tuple[str, tuple[int, ...]]]
    Text = click.ParamType[str]
    Counts = click.ParamType[dict[str, int]]
else:
    Numbers = Pair = Names = Seconds = HostDevices = Text = Counts = click.ParamType


class SizeType(Pair):
    """HEIGHTxWIDTH in pixels, such as 512x1024, as (height, width)."""

    name = "HxW"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(height, width); whether they suit the network is the spec's to say."""
        if isinstance(value, tuple):
            return value
        if not (found := re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", str(value))):
            self.fail(f"{value!r} is no size: give HEIGHTxWIDTH, such as 512x1024", param, ctx)
        return int(found[1]), int(found[2])


class RangeType(Numbers):
    """Whole numbers as a list and ranges, such as 0,1 or 0-3 or 0,2-3."""

    def __init__(self, name: str, example: str) -> None:
        self.name = name
        self.example = example

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers in the order given."""
        if isinstance(value, tuple):
            return value
        numbers: list[int] = []
        for part in str(value).split(","):
            found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
            if not found or int(found[2] or found[1]) < int(found[1]):
                self.fail(f"{value!r} cannot be read at {part!r}: give {self.example}", param, ctx)
            numbers.extend(range(int(found[1]), int(found[2] or found[1]) + 1))
        return tuple(numbers)


class HostDevicesType(HostDevices):
    """HOST:ID,... such as node1:0,1 or node1:0-3, as (host, ids)."""

    name = "HOST:ID"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """The host and the ids of its devices, each once; whether there are such is the registry's to say."""
        if isinstance(value, tuple):
            return value
        host, _, ids = str(value).rpartition(":")
        if not host:
            self.fail(f"{value!r} names no device: give HOST:ID, such as node1:3 or node1:0,1", param, ctx)
        numbers = RangeType(self.name, "HOST:ID, such as node1:3 or node1:0,1").convert(ids, param, ctx)
        return host, tuple(sorted(set(numbers)))


class DeviceType(Text):
    """cpu, or ascend:ID with the logical id."""

    name = "cpu|ascend:ID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As it is given; whether the host has it is the host's to say."""
        if not re.fullmatch(r"cpu|ascend:\d{1,4}", str(value)):
            self.fail(f"{value!r} is no device: give cpu or ascend:ID, such as ascend:0", param, ctx)
        return str(value)


class EpochsType(Numbers):
    """Whole numbers with commas between them, one for each stage."""

    name = "a,b,c,d"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """As many numbers as were given; that there must be four is the spec's to say."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d{1,6}(,\d{1,6})*", str(value)):
            self.fail(f"{value!r} is no list of epochs: give four whole numbers, such as 65,85,65,85", param, ctx)
        return tuple(int(part) for part in str(value).split(","))


class NamesType(Names):
    """Names with commas between them, such as mindir,onnx; 'none' for none."""

    name = "a,b"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names in the order given; whether there are such is the spec's to say."""
        if isinstance(value, tuple):
            return value
        if value == "none":
            return ()
        names = tuple(part.strip() for part in str(value).split(","))
        if not all(names):
            self.fail(f"{value!r} is no list of names: put single commas between them, or say none", param, ctx)
        return names


class KeepType(Counts):
    """best:N and newest:N with a comma between them, or one of them, as a mapping."""

    name = "best:N,newest:N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, int]:
        """How many of the best and of the newest stay; what is not named is 0."""
        if isinstance(value, dict):
            return value
        counts: dict[str, int] = {}
        for part in str(value).split(","):
            found = re.fullmatch(r"\s*(best|newest):(\d{1,6})\s*", part)
            if not found or int(found[2]) == 0 or found[1] in counts:
                example = "give best:N,newest:N with numbers from 1, or one of the two, such as best:3,newest:2"
                self.fail(f"{value!r} cannot be read at {part!r}: {example}", param, ctx)
            counts[found[1]] = int(found[2])
        return counts


class DurationType(Seconds):
    """A number with its unit, such as 90s, 45m, 36h or 2d, in seconds."""

    name = "DURATION"
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}  # noqa: RUF012 - click's own attributes are no class variables

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; how long is sensible is the request's to say."""
        if isinstance(value, float):
            return value
        if not (found := re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])", str(value))):
            self.fail(f"{value!r} is no duration: give a number and its unit, such as 90s, 45m, 36h or 2d", param, ctx)
        return float(found[1]) * self.units[found[2]]


SIZE = SizeType()
DURATION = DurationType()
KEEP = KeepType()
DEVICE = DeviceType()
AUGMENT = FORMATS = SAVE = METRIC_NAMES = NamesType()
STAGES = RangeType("stages", "a range within 1-4, such as 1-4 or 3-4")
DEVICES = RangeType("devices", "device ids such as 0,1 or 0-3")
EPOCHS = EpochsType()

metrics_port_option = click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    default=None,
    help="Show the worker's figures to Prometheus at http://127.0.0.1:PORT/metrics.  [default: not at all]",
)
