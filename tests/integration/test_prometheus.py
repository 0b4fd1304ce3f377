"""A real Prometheus reads a real worker by the shipped configuration, and promtool checks rules, tests and page."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from erfnet_jobs.cli.root import COMMANDS
from erfnet_jobs.states import JobState
from tests.ascend_host import AscendHost
from tests.metrics_page import free_port, read_page
from tests.services import NewSite, Site, eventually

CHECKOUT = Path(__file__).parents[2]
SHIPPED = CHECKOUT / "deploy" / "prometheus"
ALERTS = (SHIPPED / "alerts.yml").read_text()
TEMPERATURE = 63.0


def program(name: str) -> str:
    """Debian's package `prometheus` brings both; where CI is set they must be there."""
    if found := shutil.which(name):
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed: apt-get install prometheus")
    return pytest.skip(f"{name} is not installed: apt-get install prometheus")


def promtool(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [program("promtool"), *arguments], cwd=SHIPPED, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")],
)
def test_what_is_shipped_is_right(arguments: tuple[str, ...]) -> None:
    assert "SUCCESS" in promtool(*arguments)


def test_each_alert_fires_in_a_test_and_says_what_to_do() -> None:
    tested = (SHIPPED / "alerts_test.yml").read_text()
    alerts = re.split(r"- alert: ", ALERTS)[1:]
    assert len(alerts) > 10
    for alert in alerts:
        assert f'alertname="{alert.split()[0]}", alertstate="firing"' in tested
        assert re.search(r"severity: (critical|warning)", alert)
        described = alert.partition("description:")[2]
        commands = re.findall(r"'erfnet-jobs ([\w-]+)", described)
        assert commands
        assert set(commands) <= set(COMMANDS)


class Prometheus:
    """Debian's, with the shipped configuration but for target and pace."""

    def __init__(self, folder: Path, target: str) -> None:
        shutil.copytree(SHIPPED, folder)
        config = (folder / "prometheus.yml").read_text()
        assert '"worker:9464"' in config
        (folder / "prometheus.yml").write_text(config.replace("worker:9464", target).replace("15s", "1s"))
        self.port = free_port()
        options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program("prometheus"), *options, f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log
            )

    def ask(self, question: str) -> dict[str, float]:
        """The samples of an instant query by their labels but job and instance."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?query={urllib.parse.quote(question)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        unneeded = {"__name__", "job", "instance"}
        return {
            ",".join(value for name, value in sorted(one["metric"].items()) if name not in unneeded): float(
                one["value"][1]
            )
            for one in found
        }

    def until(self, question: str, expected: dict[str, float]) -> None:
        eventually(lambda: self.ask(question) == expected, f"{question} is {expected}, not {self.ask(question)}")


@pytest.fixture
def chips(tmp_path: Path) -> AscendHost:
    """Two, of which the second breaks."""
    host = AscendHost(tmp_path, "910B", cards=2)
    host.set(1, temperature=TEMPERATURE, ai_core=25, power=101.5, health="Alarm", error_code="80C98002")
    return host


@pytest.fixture
def watched(new_site: NewSite, sqlite_url: str, chips: AscendHost) -> Site:
    return new_site(sqlite_url, metrics_port=free_port(), **chips.settings)


@pytest.fixture
def prometheus(watched: Site, tmp_path: Path) -> Iterator[Prometheus]:
    made = Prometheus(tmp_path / "prometheus", f"127.0.0.1:{watched.settings.metrics_port}")
    yield made
    made.process.terminate()
    made.process.wait(30)


def test_prometheus_sees_a_worker_its_devices_and_the_registry(prometheus: Prometheus, watched: Site) -> None:
    go = watched.folder / "go"
    watched.start_worker(devices=None)
    watched.until(watched.train(), JobState.SUCCEEDED)
    watched.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    running, _ = watched.train(), watched.train()
    watched.until(running, JobState.RUNNING)

    prometheus.until('up{job="erfnet-jobs"}', {"": 1})
    prometheus.until('erfnet_jobs_registry_jobs{kind="train"} > 0', {"train,running": 1, "train,queued": 1})
    prometheus.until("erfnet_jobs_registry_attempts_total > 0", {"train,succeeded": 1})
    prometheus.until("erfnet_jobs_worker_supervisors", {"": 1})
    prometheus.until("erfnet_jobs_device_temperature_celsius", {"0": 35, "1": TEMPERATURE})
    prometheus.until("erfnet_jobs_device_ai_core_ratio", {"0": 0, "1": 0.25})
    prometheus.until("erfnet_jobs_device_health", {"0,ok": 1, "1,alarm": 1})
    prometheus.until("erfnet_jobs_device_usable", {"0": 1, "1": 0})
    prometheus.until("erfnet_jobs_device_held", {"0": 1, "1": 0})
    page = read_page(watched.settings)
    assert promtool("check", "metrics", given=page) == ""
    assert_all_is_documented_and_alerts_ask_for_nothing_else(page)
    go.touch()
    watched.until(running, JobState.SUCCEEDED)


def assert_all_is_documented_and_alerts_ask_for_nothing_else(page: str) -> None:
    families = list(text_string_to_metric_families(page))
    documented = set(re.findall(r"^\| `(erfnet_jobs_\w+)`", (CHECKOUT / "README.md").read_text(), re.MULTILINE))
    assert {family.name + ("_total" if family.type == "counter" else "") for family in families} == documented
    known = {sample.name for family in families for sample in family.samples}
    asked = set(re.findall(r"erfnet_jobs_\w+", ALERTS))
    assert asked
    assert asked <= known
