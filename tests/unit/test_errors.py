"""The tree of errors: one exit code each."""

import pytest

from erfnet_jobs.errors import ErfnetJobsError, RanksFailed, all_errors, from_exit_code


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [error.exit_code for error in all_errors()]
    assert codes == sorted(set(codes))
    assert all(1 <= code <= 255 for code in codes)
    assert {126, 127, 128, 137, 139, 143}.isdisjoint(codes)  # the shell's own, and the usual signals


def test_every_error_tells_what_it_is() -> None:
    assert all(error.__doc__ for error in all_errors())
    assert all(issubclass(error, ErfnetJobsError) for error in all_errors())


@pytest.mark.parametrize("error", [error for error in all_errors() if error is not ErfnetJobsError])
def test_the_class_comes_back_from_its_exit_code(error: type[ErfnetJobsError]) -> None:
    assert from_exit_code(error.exit_code) is error


@pytest.mark.parametrize("code", [0, 1, -9, 77, 139])
def test_a_code_that_none_has_is_a_rank_that_died(code: int) -> None:
    assert from_exit_code(code) is RanksFailed


def test_what_another_attempt_may_mend() -> None:
    names = {error.__name__ for error in all_errors() if not error.permanent}
    mended_by_time = {"BrokerUnreachable", "RegistryUnreachable", "DiskFull", "RanksFailed", "DeviceLost", "PeersLost"}
    assert names == mended_by_time
