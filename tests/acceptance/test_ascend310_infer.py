"""The C++ sources build without warnings and pass their own tests."""

from tests.cxx_builds import built, run


def test_builds_and_passes_its_tests() -> None:
    built("release")
    run("ctest", "--preset", "release", "--no-tests=error")
