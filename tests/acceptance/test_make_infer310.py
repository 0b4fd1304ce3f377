"""How the C++ programs are built: a wrong LITE_HOME is told, and ascend310_infer/README.md knows every preset."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("home", ["none", "empty", "file"])
def test_a_wrong_lite_home_is_told_in_one_line_before_anything_is_built(tmp_path: Path, home: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    command = ["make", "infer310", f"LITE_HOME={tmp_path / home}"]
    # By hand, not as a part of the `make test` that may have started this.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = done.stdout.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"LITE_HOME={tmp_path / home} is no MindSpore Lite")
    assert not (tmp_path / "build").exists()


def test_the_readme_of_the_programs_names_every_preset() -> None:
    folder = ROOT / "ascend310_infer"
    presets = json.loads((folder / "CMakePresets.json").read_text())["configurePresets"]
    rows = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in row.split("|")[1].replace("`", "").replace(" ", "").split(",")}
    assert {preset["name"] for preset in presets if not preset.get("hidden")} <= named


def test_the_programs_alone_leave_an_installation_as_it_is(tmp_path: Path) -> None:
    """install.sh builds into a version of its own, which must not come to lead to the clone."""
    command = ["make", "--dry-run", f"VENV={tmp_path}", f"LITE_HOME={tmp_path}"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    shown = [
        subprocess.run([*command, target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for target in ("infer310-programs", "infer310")
    ]
    assert ["--editable" in text for text in shown] == [False, True]
    assert "infer310-programs VENV=" in (ROOT / "deploy/install.sh").read_text()
