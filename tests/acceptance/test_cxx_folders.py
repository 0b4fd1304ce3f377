"""The C++ program finds the pictures and labels that the Python side finds, under the same names."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erfnet_jobs.erfnet.cityscapes import find_images, list_split
from erfnet_jobs.erfnet.infer import SUFFIXES, distinct_names
from erfnet_jobs.errors import BadData
from tests.cxx_builds import BUILD_GROUP, Probe, Refused, probe

pytestmark = pytest.mark.xdist_group(BUILD_GROUP)
CITIES = st.sampled_from(["aachen", "bonn", "ulm"])
FRAMES = st.sampled_from(["a", "b_1", "b", "ümlaut", "x_leftImg8bit", ".hidden", "c d"])
IMAGES = st.sampled_from(["_leftImg8bit.png", "_leftImg8bit.jpg", "_leftImg8bit.jpeg", "_leftImg8bit.PNG", ".png"])
LABELS = st.sampled_from(["_gtFine_labelIds.png", "_gtFine_labelTrainIds.png", "_gtFine_color.png", "_labelIds.png"])
FLAT = st.sampled_from([".png", ".PNG", ".jpg", ".jpeg", ".txt", ".png.jpg", ""])
many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def cxx() -> Iterator[Probe]:
    yield from probe("release")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return tmp_path


@many
@given(
    st.sets(st.tuples(CITIES, FRAMES, IMAGES), max_size=8),
    st.sets(st.tuples(CITIES, FRAMES, LABELS), min_size=1, max_size=8),
)
def test_finds_what_python_finds_in_a_dataset(
    cxx: Probe, folders: Path, images: set[tuple[str, str, str]], labels: set[tuple[str, str, str]]
) -> None:
    root = Path(tempfile.mkdtemp(dir=folders))
    for kind, files in (("leftImg8bit", images), ("gtFine", labels)):
        (root / kind / "val").mkdir(parents=True)
        for city, frame, suffix in files:
            (root / kind / "val" / city).mkdir(exist_ok=True)
            (root / kind / "val" / city / f"{frame}{suffix}").touch()
    told = cxx.pictures("val", None, root)
    try:
        expected = find_images(root, "val")
    except BadData:
        assert isinstance(told, Refused)
        assert told.code == BadData.exit_code
        return
    names = [name for name, _ in expected]
    files = [path.name for _, path in expected]
    shown = [
        name if names.count(name) == 1 and name not in files else file for name, file in zip(names, files, strict=True)
    ]
    if len(set(shown)) < len(shown):
        assert isinstance(told, Refused)  # two cities have one file name: one would overwrite the other's results
        assert "rename" in told.message
        return
    assert not isinstance(told, Refused)
    assert {image for _, image, _ in told} == {image for _, image in expected}
    if len(set(names)) == len(names) and not set(names) & set(files):
        assert [(name, image) for name, image, _ in told] == list(expected)
    pairs = {pair.image: pair.label for pair in list_split(root, "val").pairs}
    labelled = cxx.pictures("val", root, root)
    if pairs:
        assert not isinstance(labelled, Refused)
        assert {image: label for _, image, label in labelled if label} == pairs
    else:
        assert isinstance(labelled, Refused)
        assert labelled.code == BadData.exit_code


@many
@given(st.sets(st.tuples(FRAMES, FLAT), max_size=8))
def test_finds_what_python_finds_in_a_flat_folder(cxx: Probe, folders: Path, files: set[tuple[str, str]]) -> None:
    root = Path(tempfile.mkdtemp(dir=folders))
    for frame, suffix in files:
        (root / f"{frame}{suffix}").touch()
    found = sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES)
    told = cxx.pictures("val", None, root)
    if not found:
        assert isinstance(told, Refused)
        assert "has no pictures" in told.message
        return
    assert not isinstance(told, Refused)
    assert sorted(image for _, image, _ in told) == found
    # Cityscapes' suffix is taken off here as in its layout; other names are Python's.
    if not any("_leftImg8bit." in path.name for path in found):
        assert {image: name for name, image, _ in told} == dict(zip(found, distinct_names(found), strict=True))
    names = [name for name, _, _ in told]
    assert names == sorted(set(names), key=str.encode)
