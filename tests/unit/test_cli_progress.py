import pytest

from erfnet_jobs.cli.progress import progress_line


def test_the_end_is_told_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line("images") as progress:
        for done in range(4):
            progress(done, 3)
        progress(3, 3)
    assert capsys.readouterr().err == "images: 3 of 3\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line("images", quiet=True) as progress:
        progress(3, 3)
    assert capsys.readouterr() == ("", "")
