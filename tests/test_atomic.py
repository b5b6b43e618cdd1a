import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.atomic import atomic_write, expect_writable, remove_unfinished, write_json


def test_of_two_writers_each_writes_a_whole_file(tmp_path):
    path = tmp_path / "file"
    with atomic_write(path) as first:
        first.write(b"first, begun")
        with atomic_write(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b" and ended")
    assert path.read_bytes() == b"first, begun and ended"
    assert [*tmp_path.iterdir()] == [path]


def test_what_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"new", "not bytes"])
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, full_disk):
    path = tmp_path / "file"

    def write():
        with atomic_write(path) as file:
            file.write(b"something")

    with full_disk(), pytest.raises(OSError, match=r"\[Errno \d+\] .*: '.*/file'"):
        write()
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such folder")
@pytest.mark.parametrize("write", [expect_writable, lambda path: write_json(path, 1)])
def test_an_error_shows_no_temporary_name(write):
    with pytest.raises(OSError, match=r"'/proc/x.json'$"):
        write(Path("/proc/x.json"))


def test_finding_out_leaves_nothing_and_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    expect_writable(path)
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "old"


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=r"'.*/file'$"):
        write_json(tmp_path / "file", 1)


def test_what_a_kill_leaves_can_be_removed(tmp_path):
    path, other = tmp_path / "file [1]", tmp_path / "file [1].json"
    other.touch()
    code = f"""
import os, signal
from pathlib import Path
from pipeline.atomic import atomic_write
with atomic_write(Path({str(path)!r})) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = {*tmp_path.iterdir()} - {other}
    assert left.read_bytes() == b"half"
    remove_unfinished(path)
    assert [*tmp_path.iterdir()] == [other]


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_others_may_read_it_as_any_other_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "atomic") as file:
        file.write(b"x")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1
