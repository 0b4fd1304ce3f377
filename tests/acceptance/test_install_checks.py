"""install.sh on scripted Ascend hosts, below a scratch root: what is missing is told with what to do."""

import grp
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ascend_host import AscendHost

INSTALL = Path(__file__).parents[2] / "deploy/install.sh"
# A group that every Linux has, other than root's.
GROUP = grp.getgrnam("daemon").gr_gid if os.geteuid() == 0 else os.getegid()


class Machine:
    """A root folder with a driver, CANN, device nodes, and the scripted npu-smi."""

    def __init__(self, folder: Path, generation: str = "910B") -> None:
        self.root = folder / "root"
        self.ascend = self.root / "usr/local/Ascend"
        self.host = AscendHost(folder, generation)
        shutil.copytree(self.host.dev_dir, self.root / "dev")
        for node in (self.root / "dev").iterdir():
            os.chown(node, -1, GROUP)
        (self.ascend / "driver/lib64/driver").mkdir(parents=True)
        (self.ascend / "driver/version.info").write_text("Version=24.1.rc3\n")
        toolkit = self.ascend / "ascend-toolkit"
        info = toolkit / "latest" / f"{os.uname().machine}-linux/ascend_toolkit_install.info"
        info.parent.mkdir(parents=True)
        info.write_text("package_name=Ascend-cann-toolkit\nversion=8.3.RC1\n")
        (toolkit / "set_env.sh").write_text(
            f'export ASCEND_TOOLKIT_HOME={toolkit}/latest\nexport LD_LIBRARY_PATH="{toolkit}/lib64:$LD_LIBRARY_PATH"\n'
        )
        self.path = f"{self.host.folder}:{os.environ['PATH']}"

    def install(self, *options: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if name != "LITE_HOME"}
        return subprocess.run(
            [str(INSTALL), "--root", str(self.root), *options],
            env={**kept, "PATH": self.path, **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def files(self) -> set[Path]:
        return set(self.root.rglob("*"))


def _no_driver(machine: Machine) -> None:
    (machine.ascend / "driver/version.info").unlink()


def _silent_npu_smi(machine: Machine) -> None:
    machine.host.fail("dcmi")


def _no_chips(machine: Machine) -> None:
    for node in (machine.root / "dev").glob("davinci[0-9]*"):
        node.unlink()


def _no_modules(machine: Machine) -> None:
    (machine.root / "dev/devmm_svm").unlink()


def _nothing_of_ascend(machine: Machine) -> None:
    shutil.rmtree(machine.ascend)
    shutil.rmtree(machine.root / "dev")


def _nodes_of_root(machine: Machine) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to root's group")
    for node in (machine.root / "dev").iterdir():
        os.chown(node, -1, 0)


def _no_cann(machine: Machine) -> None:
    (machine.ascend / "ascend-toolkit/set_env.sh").unlink()


def _old_cann(machine: Machine) -> None:
    for info in machine.ascend.rglob("ascend_toolkit_install.info"):
        info.write_text("version=7.0.0\n")


FAULTS: list[tuple[Callable[[Machine], None], str]] = [
    (_nothing_of_ascend, "dev/davinci*: a host with chips needs the Ascend driver, firmware and CANN first; say --cpu"),
    (_no_driver, "driver/version.info: the Ascend driver is not installed; install it, or say --cpu"),
    (_silent_npu_smi, "npu-smi fails (dcmi module initialize failed. ret is -8005): driver and firmware"),
    (_no_chips, "dev/davinciN: no chip is there for the driver"),
    (_no_modules, "dev/devmm_svm: the driver's modules are not loaded"),
    (_nodes_of_root, "is of group root: the driver's installer makes HwHiAiUser for it"),
    (_no_cann, "ascend-toolkit: install CANN's toolkit and kernels for all users"),
    (_old_cann, "CANN 7.0.0: MindSpore 2.10 takes 8.2, 8.3, 8.5, 9.0 and 9.1; install one of them"),
]


def test_a_host_in_order_passes_and_nothing_is_written(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = machine.files()
    done = machine.install("--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok       driver 24.1.rc3" in done.stdout
    assert "ok       8 device nodes" in done.stdout
    assert "ok       CANN 8.3.RC1" in done.stdout
    assert machine.files() == before


@pytest.mark.parametrize(("spoil", "said"), FAULTS)
def test_what_is_missing_is_told_and_nothing_is_changed(
    tmp_path: Path, spoil: Callable[[Machine], None], said: str
) -> None:
    machine = Machine(tmp_path)
    spoil(machine)
    before = machine.files()
    done = machine.install()
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert len(faults) == 1
    assert said in faults[0]
    assert "1 of these must be mended first; nothing was changed." in done.stderr
    assert machine.files() == before


def test_a_host_with_310_wants_the_vendors_lite(tmp_path: Path) -> None:
    done = Machine(tmp_path, "310P").install("--check")
    assert done.returncode == 1
    assert "no LITE_HOME: unpack the vendor's MindSpore Lite and say --lite-home DIR" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--rol", "worker"), "'--rol' is no option"),
        (("--role", "master"), "--role master is none of worker, registry, client"),
        (("--prefix", "opt"), "--prefix, --root and --lite-home want absolute paths"),
        (("--lite-home", "lite"), "--prefix, --root and --lite-home want absolute paths"),
        (("--python",), "--python needs a value"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = subprocess.run([str(INSTALL), *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"install.sh: {said}; see --help\n")


def test_an_installation_that_fails_leaves_the_one_before_in_use(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    prefix = machine.root / "opt/erfnet-jobs"
    (prefix / "versions/before/bin").mkdir(parents=True)
    (prefix / "current").symlink_to("versions/before")
    # No index, and nowhere else to look: what pip needs first cannot be had.
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    done = machine.install("--extras", "", **nowhere)
    assert done.returncode == 3
    assert "pip could not install erfnet-jobs, see above; what was installed before is still in use" in done.stderr
    assert (prefix / "current").readlink() == Path("versions/before")
    assert not (machine.root / "etc").exists()
