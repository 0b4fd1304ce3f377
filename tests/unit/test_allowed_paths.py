"""What lies below the allowed folders, whatever links and dots stand in the way."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.allowed_paths import allowed_roots, check_allowed, check_plan, paths_of_spec
from erfnet_jobs.errors import UsageError
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.settings import load_settings
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec, Spec
from erfnet_jobs.train_spec import TrainSpec

PARTS = st.lists(st.sampled_from(["..", ".", "in", "out", "link", "x"]), max_size=6)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (TrainSpec("/d", stages=(2,), epochs=(1,) * 4, checkpoint="/c"), {("--data", "/d"), ("--checkpoint", "/c")}),
        (TrainSpec("/d", stages=(2,), epochs=(1,) * 4, checkpoint="7:best"), {("--data", "/d")}),
        (
            EvalSpec(("1:all", "2", "/c"), "/d", save_predictions="/p"),
            {("--checkpoint", "/c"), ("--data", "/d"), ("--save-predictions", "/p")},
        ),
        (ExportSpec("/c"), {("--checkpoint", "/c")}),
        (
            InferSpec("/c", "/i", output="/o", logits="/l"),
            {("--checkpoint", "/c"), ("--images", "/i"), ("--output", "/o"), ("--logits", "/l")},
        ),
        (
            Infer310Spec("/i", model="/m", labels="/l", output="/o"),
            {("--model", "/m"), ("--images", "/i"), ("--labels", "/l"), ("--output", "/o")},
        ),
    ],
)
def test_all_paths_of_a_spec(spec: Spec, expected: set[tuple[str, str]]) -> None:
    assert set(paths_of_spec(spec)) == expected


def test_no_folders_allow_all_and_home_and_runs_are_always_allowed(tmp_path: Path) -> None:
    check_allowed([("--data", "/etc/shadow")], ())
    assert allowed_roots(load_settings({"home": tmp_path}, {})) == ()
    settings = load_settings({"home": tmp_path}, {"ERFNET_JOBS_ALLOWED_PATHS": "/data:/more"})
    assert allowed_roots(settings) == ("/data", "/more", str(tmp_path), str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    (root / "in/in").mkdir(parents=True)
    (root / "out").mkdir()
    (root / "in/link").symlink_to("../out")
    (root / "out/link").symlink_to("../in")
    (root / "in-other").mkdir()
    return root


@given(parts=PARTS)
def test_a_path_is_where_it_leads_and_not_how_it_is_written(tree: Path, parts: list[str]) -> None:
    path = Path(tree, "in", *parts)
    inside = path.resolve().is_relative_to(tree / "in")
    try:
        check_allowed([("--data", str(path))], [str(tree / "in")])
    except UsageError:
        assert not inside
    else:
        assert inside


def test_the_error_names_path_roots_and_remedy(tree: Path) -> None:
    for path in (tree / "in-other", tree / "in/link/a.ckpt", tree / "in/../out"):
        with pytest.raises(UsageError) as caught:
            check_allowed([("--output", str(path))], [str(tree / "in")])
        text = str(caught.value)
        assert all(word in text for word in ("--output", str(path), f"({tree}/in)", "ERFNET_JOBS_ALLOWED_PATHS"))
        assert caught.value.permanent


def test_links_within_a_dataset_are_followed_and_must_stay_inside(tmp_path: Path) -> None:
    data, more, secret = (tmp_path / name for name in ("data", "more", "secret"))
    for folder in (data, more, secret):
        folder.mkdir()
    (data / "leftImg8bit").symlink_to(more)
    (more / "back").symlink_to(data)  # a circle
    plan = _plan(TrainSpec(str(data)), allowed=(str(data), str(more)))
    check_plan(plan)

    (more / "a.png").symlink_to(secret / "id_rsa")
    with pytest.raises(UsageError, match=r"a link in --data .*a\.png \(which is .*id_rsa\)"):
        check_plan(plan)
    check_plan(replace(plan, allowed=()))


@pytest.mark.parametrize("field", ["inputs", "resume"])
def test_checkpoints_that_the_registry_names_must_lie_inside_too(tmp_path: Path, field: str) -> None:
    file = CheckpointFile("/elsewhere/a.ckpt")
    plan = _plan(TrainSpec(str(tmp_path)), allowed=(str(tmp_path),))
    with pytest.raises(UsageError, match=r"/elsewhere/a\.ckpt"):
        check_plan(replace(plan, **{field: file if field == "resume" else (file,)}))


def test_the_folder_that_the_registry_names_for_a_run_must_lie_inside_too(tmp_path: Path) -> None:
    plan = _plan(TrainSpec(str(tmp_path)), allowed=(str(tmp_path),))
    with pytest.raises(UsageError, match=r"the run's folder /elsewhere/7/1"):
        check_plan(replace(plan, run_dir="/elsewhere/7/1"))


def _plan(spec: Spec, allowed: tuple[str, ...]) -> Plan:
    run_dir = str(Path(allowed[0], "runs/1/1"))
    return Plan(spec.kind, spec, run_dir, "/data", (RankPlace(0, "here", 0, 0),), allowed=allowed)
