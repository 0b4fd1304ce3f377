"""The C++ sources build without warnings and pass their own tests."""

import pytest

from tests.cxx_builds import BUILD_GROUP, built, run

pytestmark = pytest.mark.xdist_group(BUILD_GROUP)


def test_builds_and_passes_its_tests() -> None:
    built("release")
    run("ctest", "--preset", "release", "--no-tests=error")
