"""Where everything is: flags > ERFNET_JOBS_* > config.toml in the home > defaults, one frozen Settings. Stdlib only."""

import os
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from erfnet_jobs.errors import UsageError
from erfnet_jobs.own_address import own_address

PREFIX = "ERFNET_JOBS_"
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
# What this program's processes, and its tests, tell each other; no settings.
INTERNAL = frozenset(
    {"ATTEMPT_MARK", "DEVICE_TARGET", "LIFELINE_FD", "RANK_CORES", "RANK_HOST", "RANK_MODULE", "SCRIPT", "SERVED_FROM"}
)
# May hold passwords: never shown, not in a traceback either.
SECRET = frozenset({"broker_url", "database_url"})
CONFIG_NAME = "config.toml"
# sun_path of a Unix socket holds 108 bytes with its end (unix(7)).
MAX_SOCKET_PATH = 107
LAST_PORT = 65535
# A time-out is at least so many beats long: who judges it looks with a beat, and needs several looks.
LEAST_BEATS = 4


def _setting(meaning: str, default: Any = MISSING, *, unset: str = "", example: str = "", secret: bool = False) -> Any:
    """A field with its meaning; what counts where it is not set, if no value says it; and a value to show then."""
    metadata = {"meaning": meaning, "unset": unset, "example": example}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """All settings, each with its meaning, which the file that `erfnet-jobs init` writes is made of. Times are seconds.

    `broker_url` and `database_url` of None mean the embedded ones: a Redis on a Unix socket in the home, a SQLite file
    in the home.
    """

    home: Path = _setting("This machine's folder.", unset="~/.erfnet-jobs")
    runs: Path = _setting(
        "Where runs (checkpoints, logs) are written; may be a shared file system.",
        unset="runs in the home",
        example="/shared/erfnet-runs",
    )
    host_name: str = _setting("This host's name in the registry.", unset="the machine's name", example="node1")
    host_address: str = _setting(
        "Where other hosts reach this one.",
        unset="what the machine's name leads to, or where its packets leave from",
        example="192.0.2.1",
    )
    broker_url: str | None = _setting(
        "The Redis of the queues; several hosts share one.",
        None,
        unset="an embedded one in the home",
        example="redis://:PASSWORD@redis.example:6379/0",
        secret=True,
    )
    database_url: str | None = _setting(
        "The registry; several hosts share one in PostgreSQL.",
        None,
        unset="SQLite in the home",
        example="postgresql+psycopg://erfnet:PASSWORD@db.example/erfnet",
        secret=True,
    )
    beat_interval: float = _setting("Seconds between two beats of a lease.", 2.0)
    lease_timeout: float = _setting("Seconds after which a lease that stands still is lost, four beats at least.", 30.0)
    start_timeout: float = _setting("Seconds that the parts of a gang have to start, four beats at least.", 120.0)
    stuck_timeout: float = _setting("Seconds that an attempt may report nothing after its first step.", 1800.0)
    compile_timeout: float = _setting("The same before its first step, and while it compiles.", 3600.0)
    reserve_after: float = _setting("Seconds that a job waits for devices before it keeps what becomes free.", 300.0)
    device_interval: float = _setting("Seconds between two looks at the host's devices.", 10.0)
    tool_timeout: float = _setting("Seconds that one call of npu-smi or hccn_tool may take.", 30.0)
    retry_delay: float = _setting("Seconds before a second attempt; doubles with each more.", 10.0)
    warning_runs: bool = _setting("Whether devices in health Warning get jobs.", True)
    allowed_paths: tuple[Path, ...] = _setting(
        "Folders, with ':' between them, below which all paths of jobs must lie.",
        (),
        unset="anywhere",
        example="/data:/shared",
    )
    remote_control: bool = _setting("Whether Celery's commands through Redis reach the worker.", False)
    metrics_port: int | None = _setting(
        "The port at which the worker shows its figures to Prometheus.", None, unset="not shown", example="9464"
    )
    metrics_address: str = _setting("The address of that port; 0.0.0.0 or :: for all.", "127.0.0.1")
    npu_smi: str | None = _setting(
        "The driver's tool npu-smi.",
        None,
        unset="on PATH, or where the driver puts it",
        example="/usr/local/sbin/npu-smi",
    )
    hccn_tool: str | None = _setting(
        "The driver's tool hccn_tool.",
        None,
        unset="on PATH, or where the driver puts it",
        example="/usr/local/Ascend/driver/tools/hccn_tool",
    )
    hccn_conf: Path = _setting("The configured addresses of the cards.", Path("/etc/hccn.conf"))
    dev_dir: Path = _setting("Where device nodes are.", Path("/dev"))
    infer_310: Path | None = _setting(
        "The C++ program for Ascend 310.",
        None,
        unset="beside this Python, or on PATH",
        example="/opt/erfnet/bin/erfnet_infer",
    )

    @property
    def data_dir(self) -> Path:
        """Where MindRecords are built and kept."""
        return self.home / "data"

    @property
    def embedded_broker(self) -> bool:
        """Whether `up` starts this machine's own Redis."""
        return self.broker_url is None

    @property
    def redis_socket(self) -> Path:
        """The embedded Redis' Unix socket."""
        return self.home / "redis.sock"

    @property
    def resolved_broker_url(self) -> str:
        """The broker's URL as Celery takes it."""
        return self.broker_url or f"redis+socket://{self.redis_socket}"

    @property
    def resolved_database_url(self) -> str:
        """The registry's URL as SQLAlchemy takes it."""
        return self.database_url or f"sqlite:///{self.home / 'registry.sqlite'}"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("give seconds, such as 2") from None
    if not 0 < value < 1e7:
        raise ValueError("not a positive number of seconds")
    return value


def _host_name(text: str) -> str:
    """It becomes part of file names and of queue names."""
    if not HOST_NAME.fullmatch(text):
        raise ValueError("not a name of letters, digits, dots, dashes and underscores")
    return text


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(_path(part) for part in text.split(os.pathsep) if part)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= LAST_PORT):
        raise ValueError(f"give a port, from 1 to {LAST_PORT}")
    return int(text)


def _switch(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if text.lower() not in words:
        raise ValueError("neither true nor false")
    return words[text.lower()]


_READERS: Mapping[str, Callable[[str], Any]] = {
    "host_name": _host_name,
    "home": _path,
    "runs": _path,
    "hccn_conf": _path,
    "dev_dir": _path,
    "infer_310": _path,
    "beat_interval": _seconds,
    "lease_timeout": _seconds,
    "start_timeout": _seconds,
    "stuck_timeout": _seconds,
    "compile_timeout": _seconds,
    "reserve_after": _seconds,
    "device_interval": _seconds,
    "tool_timeout": _seconds,
    "retry_delay": _seconds,
    "warning_runs": _switch,
    "allowed_paths": _paths,
    "remote_control": _switch,
    "metrics_port": _port,
}


def _read(name: str, value: object, source: str) -> Any:
    try:
        if isinstance(value, dict | list):
            raise ValueError("one value is needed")  # noqa: TRY004, TRY301 - told as other values that cannot be read
        return _READERS.get(name, str)(str(value))
    except (ValueError, RuntimeError) as error:  # RuntimeError: '~name' of a user that is not there
        shown = "not readable" if name in SECRET else repr(value)
        raise UsageError(f"{source} is {shown}: {error}; correct it or take it out") from error


def _config(home: Path, names: frozenset[str]) -> dict[str, Any]:
    path = home / CONFIG_NAME
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # not TOML, or not even UTF-8
        raise UsageError(f"{path} cannot be read: {error}; correct it or move it away") from error
    if unknown := sorted(set(document) - names):
        raise UsageError(f"{path} has unknown settings {', '.join(unknown)}: known are {', '.join(sorted(names))}")
    return {name: _read(name, value, f"{name} in {path}") for name, value in document.items()}


def load_settings(flags: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags (None values do not count), environment, config file and defaults, in that order.

    Raises UsageError naming the source of a value that cannot be read, and variables that are no settings.
    """
    names = frozenset(entry.name for entry in fields(Settings))
    _refuse_unknown(names, environ)
    given = {name: _read(name, value, f"--{name}") for name, value in (flags or {}).items() if value is not None}
    for name in names:
        if (text := environ.get(PREFIX + name.upper())) and name not in given:
            given[name] = _read(name, text, PREFIX + name.upper())
    home = given.get("home") or _default_home(environ)
    values = {**_config(home, names - {"home"}), **given, "home": home}
    values.setdefault("runs", home / "runs")
    if "host_name" not in values:
        values["host_name"] = _read("host_name", socket.gethostname(), "this machine's name")
    if "host_address" not in values:
        values["host_address"] = own_address()
    settings = Settings(**values)
    if settings.embedded_broker and len(os.fsencode(settings.redis_socket)) > MAX_SOCKET_PATH:
        raise UsageError(
            f"{settings.redis_socket} is too long for a socket ({MAX_SOCKET_PATH} bytes): "
            f"set {PREFIX}HOME to a shorter path or {PREFIX}BROKER_URL to a Redis"
        )
    _check_times(settings)
    return settings


def home_of(flags: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Path:
    """The home by flags, environment and default; what is in it is not looked at, so that it may be mended."""
    given = flags.get("home") or environ.get(f"{PREFIX}HOME")
    return _read("home", given, "the home") if given else _default_home(environ)


def _default_home(environ: Mapping[str, str]) -> Path:
    return _path(environ.get("HOME", "~") + "/.erfnet-jobs")


def _refuse_unknown(names: frozenset[str], environ: Mapping[str, str]) -> None:
    """A misspelt variable would be as if it were not set, and nobody would know."""
    known = {PREFIX + name.upper() for name in names}
    internal = {PREFIX + name for name in INTERNAL}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known | internal)
    if not unknown:
        return
    from difflib import get_close_matches

    name = unknown[0]
    close = get_close_matches(name, known, cutoff=0.8)
    meant = f": {' or '.join(close)} may be meant" if close else ""
    raise UsageError(f"{name} is no setting{meant}; correct it, or take it out of the environment ('unset {name}')")


def _check_times(settings: Settings) -> None:
    """Workers look with their beats, and what is not looked at often enough would never be found late or lost."""
    least = LEAST_BEATS * settings.beat_interval
    for name in ("lease_timeout", "start_timeout"):
        if (seconds := getattr(settings, name)) < least:
            raise UsageError(
                f"{PREFIX}{name.upper()} is {seconds:g} s and {PREFIX}BEAT_INTERVAL {settings.beat_interval:g} s: "
                f"give {name} {least:g} s or more, or let hosts beat more often"
            )


def environment_of(settings: Settings) -> dict[str, str]:
    """The ERFNET_JOBS_* variables that make another process load the same settings."""
    values = {entry.name: getattr(settings, entry.name) for entry in fields(Settings)}
    return {PREFIX + name.upper(): _written(value) for name, value in values.items() if value not in (None, ())}


def _written(value: object) -> str:
    """As `_read` takes it."""
    return os.pathsep.join(map(str, value)) if isinstance(value, tuple) else str(value)


def with_home(settings: Settings, home: Path) -> Settings:
    """The same settings with another home, its runs, and the embedded broker and registry."""
    return replace(settings, home=home, runs=home / "runs", broker_url=None, database_url=None)
