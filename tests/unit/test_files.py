"""Files that are whole or not there."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erfnet_jobs.files import absolute_path, make_private_folder, sha256_of, write_atomically, written_path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=1000), min_size=1, max_size=4))
def test_the_newest_content_and_nothing_else_is_there(contents: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for content in contents:
        write_atomically(path, content)
        assert path.read_bytes() == content
        assert sha256_of(path) == hashlib.sha256(content).hexdigest()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_many_threads_write_one_of_their_contents(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_atomically(path, content), contents * 4))
    assert path.read_bytes() in contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


KILLED = """
import sys
from pathlib import Path
from erfnet_jobs.files import write_atomically
print("writing", flush=True)
while True:
    for byte in b"ab":
        write_atomically(Path(sys.argv[1]), bytes([byte]) * 1_000_000)
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"a" * 1_000_000)
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.kill()
        writer.wait(10)
        writer.stdout.close()
        assert path.read_bytes() in (b"a" * 1_000_000, b"b" * 1_000_000)


def test_no_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "file", b"")


def test_a_file_has_one_path_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/inner")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    for text in ("a.ckpt", "./a.ckpt", "far/../a.ckpt", "~/a.ckpt", "link/../../a.ckpt", tmp_path / "far//../a.ckpt"):
        assert absolute_path(text) == written_path(text) == tmp_path / "a.ckpt", text
    # Other hosts may have another link of that name, so it is kept where nothing is written.
    assert absolute_path("link/a.ckpt") == tmp_path / "link" / "a.ckpt"
    assert written_path("link/a.ckpt") == tmp_path / "far" / "inner" / "a.ckpt"


def test_a_link_that_is_to_be_replaced_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    assert written_path(tmp_path / "link") == tmp_path / "link"


def test_a_private_folder_is_made_with_private_ones_above_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    made = tmp_path / "home" / "demo" / "logs"
    make_private_folder(made)
    make_private_folder(made)
    assert [path.stat().st_mode & 0o777 for path in (made, *made.parents[:3])] == [0o700, 0o700, 0o700, 0o755]
    (made / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private_folder(made / "file")
