"""install.sh and its units under a real systemd: READY, a job that outlives its worker, the watchdog, upgrades."""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ascend_host import AscendHost
from tests.layout import empty_dataset
from tests.services import RedisServer, eventually
from tests.systemd_sandbox import Sandbox, systemd_sandbox

CHECKOUT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("systemd")

WORKER = "erfnet-jobs-worker.service"
BIN = "/opt/erfnet-jobs/current/bin"
# pip reaches in there what it reaches out here.
PIP = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_CERT_", "XDG_CONFIG_"))}


def write(sandbox: Sandbox, path: str, text: str) -> None:
    sandbox.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', "sh", path, text)


def install(sandbox: Sandbox, *options: str) -> str:
    """What install.sh says; without MindSpore, since ranks are scripted."""
    return sandbox.run(str(CHECKOUT / "deploy/install.sh"), "--extras", "", *options, **PIP)


@pytest.fixture(scope="module")
def installed() -> Iterator[Sandbox]:
    """A machine with a SQLite registry and a worker for CPUs; its Redis is out here."""
    with systemd_sandbox((CHECKOUT,)) as sandbox:
        install(sandbox, "--role", "registry")
        sandbox.systemctl("start", "erfnet-jobs-migrate.service")
        assert "next     fill in /etc/erfnet-jobs/worker.env" in install(sandbox, "--cpu")
        sandbox.run(f"{BIN}/python", "-m", "pip", "install", "--quiet", "prometheus-client", **PIP)
        shared = sandbox.shared
        shared.chmod(0o777)
        redis = RedisServer(shared)
        redis.start()
        redis.socket.chmod(0o777)
        empty_dataset(shared / "data")
        steps = [["hello"], ["wait_for", str(shared / "go")], ["done"]]
        (shared / "script.json").write_text(json.dumps({"default": steps}))
        own = {
            **client(sandbox),
            "ERFNET_JOBS_HOST_ADDRESS": "127.0.0.1",
            "ERFNET_JOBS_BEAT_INTERVAL": "0.5",
            "ERFNET_JOBS_LEASE_TIMEOUT": "30",
            "ERFNET_JOBS_RANK_MODULE": "erfnet_jobs.launch.scripted_rank",
            "ERFNET_JOBS_SCRIPT": str(shared / "script.json"),
        }
        lines = "".join(f"{name}='{value}'\n" for name, value in own.items())
        sandbox.run("sh", "-c", 'printf %s "$1" >>/etc/erfnet-jobs/worker.env', "sh", lines)
        # The unit's own three minutes would be too long for a test, and its port may be taken out here.
        drop_in(sandbox, "[Service]\nWatchdogSec=6\nRestartSec=100ms\nPrivateNetwork=yes\n")
        yield sandbox
        redis.kill()


def client(sandbox: Sandbox) -> dict[str, str]:
    return {
        "ERFNET_JOBS_HOME": "/var/lib/erfnet-jobs",
        "ERFNET_JOBS_BROKER_URL": f"redis+socket://{sandbox.shared}/redis.sock",
    }


def drop_in(sandbox: Sandbox, text: str) -> None:
    folder = f"/etc/systemd/system/{WORKER}.d"
    sandbox.run("sh", "-c", 'mkdir -p "$1" && printf %s "$2" >"$1/test.conf"', "sh", folder, text)
    sandbox.systemctl("daemon-reload")


def erfnet_jobs(sandbox: Sandbox, *words: str) -> str:
    """As a user of this machine's registry."""
    return sandbox.run(f"{BIN}/erfnet-jobs", *words, user="erfnet", **client(sandbox))


def jobs(sandbox: Sandbox) -> list[Any]:
    found: list[Any] = json.loads(erfnet_jobs(sandbox, "status", "--all", "--json"))
    return found


def supervisors(sandbox: Sandbox) -> list[str]:
    return sandbox.run("pgrep", "-f", "workers[.]supervisor", check=False).split()


def test_a_worker_that_is_stopped_or_hangs_leaves_its_job_alone(installed: Sandbox) -> None:
    # `start` returns when the worker has said READY.
    installed.systemctl("start", WORKER)
    assert installed.show(WORKER, "SubState") == "running"
    erfnet_jobs(installed, "submit", "train", "--data", str(installed.shared / "data"), "--cards", "1", "--no-eval")
    eventually(lambda: jobs(installed)[0]["state"] == "running", "the job runs")
    (supervisor,) = supervisors(installed)
    worker = installed.show(WORKER, "MainPID")
    installed.systemctl("restart", WORKER)
    assert supervisors(installed) == [supervisor]
    after = installed.show(WORKER, "MainPID")
    assert after not in (worker, "0")
    # A worker that no longer says that it is alive is killed, alone, and started again.
    installed.run("kill", "-STOP", after)
    eventually(lambda: installed.show(WORKER, "MainPID") not in (after, "0"), "systemd replaces the worker")
    assert installed.show(WORKER, "NRestarts") != "0"
    assert supervisors(installed) == [supervisor]
    installed.systemctl("stop", WORKER)
    assert installed.show(WORKER, "ActiveState") == "inactive"
    assert supervisors(installed) == [supervisor]
    installed.systemctl("start", WORKER)
    (installed.shared / "go").touch()
    eventually(lambda: jobs(installed)[0]["state"] == "succeeded", "the job ends well")
    assert jobs(installed)[0]["attempt"] == 1


def test_installing_again_restarts_the_worker_only_where_something_has_changed(installed: Sandbox) -> None:
    installed.systemctl("start", WORKER)
    worker = installed.show(WORKER, "MainPID")
    said = install(installed, "--cpu")
    assert "nothing has changed, and the worker runs on" in said
    assert "/etc/erfnet-jobs/worker.env is kept" in said
    assert installed.show(WORKER, "MainPID") == worker
    installed.run("sh", "-c", f"echo '# of an older version' >>/etc/systemd/system/{WORKER}")
    assert "restarted the worker; jobs that run go on" in install(installed, "--cpu")
    assert installed.show(WORKER, "MainPID") != worker
    assert "ERFNET_JOBS_SCRIPT" in installed.run("cat", "/etc/erfnet-jobs/worker.env")


def test_old_versions_go_but_for_the_one_before_and_those_that_processes_run_from(installed: Sandbox) -> None:
    versions = "/opt/erfnet-jobs/versions"
    for day, name in enumerate(("unused", "used", "before"), start=1):
        installed.run("install", "-D", "/usr/bin/sleep", f"{versions}/{name}/bin/sleep")
        installed.run("touch", f"--date=2020-01-0{day}", f"{versions}/{name}")
    installed.run("sh", "-c", f"{versions}/used/bin/sleep 600 >/dev/null 2>&1 &")
    assert "removed the old version unused" in install(installed, "--cpu")
    assert {"used", "before"} < set(installed.run("ls", versions).split())
    assert "unused" not in installed.run("ls", versions).split()


def test_a_worker_that_is_drained_as_the_readme_says_stays_away(installed: Sandbox) -> None:
    """The command that acts as the worker: its user, its settings. A terminal is not there."""
    installed.systemctl("start", WORKER, "dbus.service")
    readme = (CHECKOUT / "deploy/README.md").read_text()
    line = re.search(r"sudo (systemd-run (?:.*\\\n)*.*)", readme)
    assert line is not None
    *command, asked = shlex.split(line[1].replace("\\\n", ""))
    assert asked == "doctor"
    said = installed.run(*[word.replace("--pty", "--pipe") for word in command], "worker", "--drain")
    assert said.startswith("No job runs on ")
    eventually(lambda: installed.show(WORKER, "ActiveState") == "inactive", "the worker has ended")
    assert installed.show(WORKER, "Result") == "success"


def test_backups_of_the_registry_are_written_and_the_newest_kept(installed: Sandbox) -> None:
    folder = "/var/backups/erfnet-jobs"
    older = [f"{folder}/registry-2020010{day}T023000Z.sqlite" for day in (1, 2, 3)]
    installed.run("touch", *older, f"{folder}/notes.txt", user="erfnet")
    installed.run("sh", "-c", "echo BACKUPS=2 >>/etc/erfnet-jobs/registry.env")
    installed.systemctl("start", "erfnet-jobs-backup.service")
    *others, newest = sorted(installed.run("ls", folder).split())[1:]
    assert others == ["registry-20200103T023000Z.sqlite"]
    restored = {"ERFNET_JOBS_DATABASE_URL": f"sqlite:///{folder}/{newest}"}
    said = installed.run(f"{BIN}/erfnet-jobs", "db", "current", user="erfnet", **client(installed), **restored)
    assert "as this program needs it" in said
    assert "erfnet-jobs-backup.timer" in installed.systemctl("list-timers", "--all")


def test_a_worker_has_the_chips_and_their_group_and_no_other_devices(installed: Sandbox) -> None:
    """Nodes of real devices, under the names of chips, and a scripted npu-smi."""
    installed.systemctl("start", WORKER)
    host = AscendHost(installed.shared, "910B", cards=1)
    for path in (host.npu_smi, host.hccn_tool):
        path.write_text(path.read_text().replace(sys.executable, "/usr/bin/python3"))
    (host.folder / "calls.log").touch(0o666)
    (host.folder / "calls.log").chmod(0o666)
    host.folder.chmod(0o777)
    installed.run("groupadd", "--system", "HwHiAiUser")
    # In the kernel's numbers: its log, which no service has without being allowed, and a device that is not there.
    nodes = ("davinci_manager", "devmm_svm", "hisi_hdc", "davinci0")
    for name, number in (*((name, ("1", "11")) for name in nodes), ("davinci16", ("10", "255"))):
        installed.run("mknod", "--mode=660", f"/dev/{name}", "c", *number)
        installed.run("chgrp", "HwHiAiUser", f"/dev/{name}")
    ascend = "/usr/local/Ascend"
    installed.run("mkdir", "-p", f"{ascend}/cann", f"{ascend}/driver/lib64/common")
    installed.run("cp", str(host.npu_smi), str(host.hccn_tool), "/usr/local/bin")
    installed.run("sh", "-c", f"echo Version=24.1.rc3 >{ascend}/driver/version.info")
    installed.run("sh", "-c", f"echo version=8.5.0 >{ascend}/cann/ascend_toolkit_install.info")
    installed.run("sh", "-c", f"echo 'export ASCEND_TOOLKIT_HOME={ascend}/cann' >{ascend}/cann/set_env.sh")
    assert "restarted the worker" in install(installed)
    pid = installed.show(WORKER, "MainPID")
    environ = installed.run("sh", "-c", f"tr '\\0' '\\n' </proc/{pid}/environ").splitlines()
    assert f"ASCEND_TOOLKIT_HOME={ascend}/cann" in environ
    assert f"LD_LIBRARY_PATH={ascend}/driver/lib64/:{ascend}/driver/lib64/common" in environ
    gid = installed.run("getent", "group", "HwHiAiUser").split(":")[2]
    groups = installed.run("grep", "^Groups:", f"/proc/{pid}/status").split()[1:]
    assert gid in groups
    (found,) = json.loads(erfnet_jobs(installed, "hosts", "--json"))
    assert "910B3" in [device["name"] for device in found["devices"]]
    # As a process of the unit: the chip can be opened, and what is no chip of the unit's cannot.
    enter = f"echo $$ >/sys/fs/cgroup{installed.show(WORKER, 'ControlGroup')}/cgroup.procs"
    assert installed.run("sh", "-c", f"{enter}; : </dev/davinci0 && echo opened") == "opened"
    assert "Operation not permitted" in installed.run("sh", "-c", f"{enter}; : </dev/davinci16", check=False)
