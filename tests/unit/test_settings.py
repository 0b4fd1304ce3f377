"""Settings: which source wins, what cannot be read, and handing them to another process."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend import environment
from erfnet_jobs.errors import UsageError
from erfnet_jobs.launch import program, scripted_rank
from erfnet_jobs.local import marks
from erfnet_jobs.settings import INTERNAL, PREFIX, Settings, environment_of, load_settings, with_home

PATHS = st.text("abc/ é-_.", min_size=1, max_size=12).map(lambda text: Path("/" + text))
SECONDS = st.floats(1e-3, 1e6)
URLS = st.none() | st.sampled_from(("redis://host:6379/0", "postgresql+psycopg://u:p@host/db"))
NAMES = st.text("abc-1.", min_size=1, max_size=12)
HOST_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)
SETTINGS = st.builds(
    Settings,
    home=PATHS,
    runs=PATHS,
    host_name=HOST_NAMES,
    host_address=NAMES,
    broker_url=URLS,
    database_url=URLS,
    beat_interval=st.floats(1e-3, 30),
    lease_timeout=st.floats(120, 1e6),
    stuck_timeout=SECONDS,
    npu_smi=st.none() | NAMES,
    hccn_conf=PATHS,
    metrics_port=st.none() | st.integers(1, 65535),
)


def _load(tmp_path: Path, config: str = "", flags: dict[str, Any] | None = None, **environ: str) -> Settings:
    if config:
        (tmp_path / "config.toml").write_text(config)
    return load_settings(flags, {PREFIX + "HOME": str(tmp_path), **environ})


@given(SETTINGS)
def test_another_process_loads_the_same(settings: Settings) -> None:
    assert load_settings({}, environment_of(settings)) == settings


@given(SETTINGS)
def test_flags_win_over_everything(settings: Settings) -> None:
    environ = {PREFIX + "RUNS": "/elsewhere", PREFIX + "HOST_NAME": "other", PREFIX + "HOME": "/nowhere"}
    assert load_settings(vars(settings) | {"broker_url": "redis://flag"}, environ).runs == settings.runs


def test_each_source_wins_over_the_next(tmp_path: Path) -> None:
    config = 'host_name = "config"\nhost_address = "config"\nruns = "/config"\nbeat_interval = 3\n'
    environ = {PREFIX + "HOST_ADDRESS": "environ", PREFIX + "RUNS": "/environ"}
    settings = _load(tmp_path, config, {"runs": "/flag", "database_url": None}, **environ)
    assert (settings.host_name, settings.host_address, settings.runs) == ("config", "environ", Path("/flag"))
    assert (settings.beat_interval, settings.lease_timeout) == (3.0, 30.0)


@pytest.mark.parametrize("name", ["lease_timeout", "start_timeout"])
def test_a_time_out_of_a_few_beats_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{PREFIX}{name.upper()} is 7 s .* give {name} 8 s or more"):
        _load(tmp_path, f"{name} = 7")
    assert getattr(_load(tmp_path, f"{name} = 8"), name) == 8


def test_with_nothing_configured() -> None:
    settings = load_settings(None, {"HOME": "/home/alice"})
    home = Path("/home/alice/.erfnet-jobs")
    assert (settings.home, settings.runs, settings.data_dir) == (home, home / "runs", home / "data")
    assert settings.embedded_broker
    assert settings.resolved_broker_url == f"redis+socket://{home}/redis.sock"
    assert settings.resolved_database_url == f"sqlite:///{home}/registry.sqlite"
    assert settings.host_name
    assert settings.host_address


def test_an_empty_variable_counts_as_none(tmp_path: Path) -> None:
    assert _load(tmp_path, ERFNET_JOBS_BROKER_URL="").broker_url is None


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_seconds_that_are_none(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="ERFNET_JOBS_LEASE_TIMEOUT is"):
        _load(tmp_path, ERFNET_JOBS_LEASE_TIMEOUT=value)
    with pytest.raises(UsageError, match=r"lease_timeout in .*config\.toml is"):
        _load(tmp_path, f'lease_timeout = "{value}"')


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("colour = 1", "unknown settings colour"),
        ('home = "/x"', "unknown settings home"),
        ("host_name = ", "cannot be read"),
        ("\udcff", "cannot be read"),
        ("host_name = ['a']", "host_name in"),
        ("[host_name]\na = 1", "host_name in"),
    ],
)
def test_a_config_file_that_is_wrong(tmp_path: Path, config: str, named: str) -> None:
    (tmp_path / "config.toml").write_bytes(config.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=named):
        _load(tmp_path)


def test_what_is_no_number_is_told_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BEAT_INTERVAL is 'fast': give seconds, such as 2"):
        _load(tmp_path, ERFNET_JOBS_BEAT_INTERVAL="fast")


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80.5", "²"])
def test_a_port_that_is_none(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match=f"ERFNET_JOBS_METRICS_PORT is '{value}': give a port, from 1 to 65535"):
        _load(tmp_path, ERFNET_JOBS_METRICS_PORT=value)


def test_a_port_of_the_config_file(tmp_path: Path) -> None:
    settings = _load(tmp_path, 'metrics_port = 9464\nmetrics_address = "::"\n')
    assert (settings.metrics_port, settings.metrics_address) == (9464, "::")


def test_a_config_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        _load(tmp_path)


def test_a_home_of_a_user_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="ERFNET_JOBS_HOME is '~nobody-of-this-name/x'"):
        load_settings(None, {PREFIX + "HOME": "~nobody-of-this-name/x"})


def test_a_home_too_long_for_a_socket(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    with pytest.raises(UsageError, match="too long for a socket"):
        load_settings({"home": long}, {})
    assert load_settings({"home": long, "broker_url": "redis://host"}, {}).home == long


def test_the_same_with_another_home(tmp_path: Path) -> None:
    before = _load(tmp_path, ERFNET_JOBS_BROKER_URL="redis://host", ERFNET_JOBS_BEAT_INTERVAL="5")
    after = with_home(before, Path("/other"))
    assert (after.home, after.runs, after.broker_url, after.beat_interval) == (
        Path("/other"),
        Path("/other/runs"),
        None,
        5.0,
    )


def test_a_url_is_no_part_of_an_error_or_of_a_traceback(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path, "broker_url": "redis://:secret@host"}, {})
    assert "secret" not in repr(settings)
    (tmp_path / "config.toml").write_text('broker_url = ["redis://:secret@host"]')
    with pytest.raises(UsageError, match=r"broker_url in .*: one value is needed") as caught:
        load_settings({"home": tmp_path}, {})
    assert "secret" not in str(caught.value)


def test_a_variable_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ERFNET_JOBS_LEASE_TIMOUT is no setting: ERFNET_JOBS_LEASE_TIMEOUT"):
        _load(tmp_path, ERFNET_JOBS_LEASE_TIMOUT="60")
    with pytest.raises(UsageError, match=r"ERFNET_JOBS_COLOUR is no setting; correct it"):
        _load(tmp_path, ERFNET_JOBS_COLOUR="blue")
    with pytest.raises(UsageError, match="ERFNET_JOBS_BEAT_INTERVAL 60 s"):
        _load(tmp_path, ERFNET_JOBS_BEAT_INTERVAL="60")


def test_what_processes_tell_each_other_is_no_unknown_setting(tmp_path: Path) -> None:
    of_this_program = {
        *(environment.ATTEMPT_MARK, environment.DEVICE_TARGET, environment.LIFELINE_FD, environment.RANK_CORES),
        *(environment.RANK_HOST, marks.MARK, program.RANK_MODULE, scripted_rank.SCRIPT),
    }
    assert {PREFIX + name for name in INTERNAL} == of_this_program
    _load(tmp_path, **dict.fromkeys(of_this_program, "1"))
