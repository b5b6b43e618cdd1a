"""Files that are whole or not there, locks between processes, and where files of a user are."""

import errno
import os
import stat
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

from pipeline.atomic import atomic_write, expect_writable, remove_unfinished, write_json
from pipeline.errors import ConfigError
from pipeline.locks import UnlockedWarning, alone, in_turn
from pipeline.user_cache import user_cache

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such folder")


def test_each_writer_writes_a_whole_file_or_leaves_what_was_there(tmp_path, full_disk):
    path = tmp_path / "file"
    with atomic_write(path) as first:
        first.write(b"first, begun")
        with atomic_write(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b" and ended")
    assert path.read_bytes() == b"first, begun and ended"
    assert [*tmp_path.iterdir()] == [path]
    new = tmp_path / "new"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"new", "not bytes"])

    def write():
        with atomic_write(new) as file:
            file.write(b"something")

    with full_disk(), pytest.raises(OSError, match=r"\[Errno \d+\] .*: '.*/new'"):
        write()
    expect_writable(path)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]
    # What a kill leaves can be removed.
    path.unlink()
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


@linux
def test_others_may_read_it_as_any_other_file_and_an_error_shows_no_temporary_name(tmp_path):
    (tmp_path / "plain").touch()
    write_json(tmp_path / "atomic", 1)
    assert len({stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}) == 1
    for write in (expect_writable, lambda path: write_json(path, 1)):
        with pytest.raises(OSError, match=r"'/proc/x.json'$"):
            write(Path("/proc/x.json"))
    with pytest.raises(OSError, match=f"'{tmp_path}'$"):
        write_json(tmp_path, 1)  # a folder in the place of a file


def take(path):
    with alone(path, "training", "name another folder (--run)"):
        pass


def test_the_second_comer_is_told_why_until_the_first_has_ended(tmp_path, hold):
    path = tmp_path / "runs" / "x"
    process = hold(path)
    message = rf"^another process is training {path}\. Wait .*, or name another folder \(--run\)$"
    with pytest.raises(ConfigError, match=message):
        take(path)
    take(tmp_path / "runs" / "y")
    process.communicate()
    take(path)
    assert not [*path.parent.iterdir()]
    path.mkdir()
    (tmp_path / "link").symlink_to(path)
    process = hold(tmp_path / "link")  # It has the lock of what it leads to.
    with pytest.raises(ConfigError, match="another process is training .*x"):
        take(path)
    process.kill()
    process.wait()
    assert path.with_name(".x.lock").exists(), "the file of the lock is still there"
    take(path)
    assert [*path.parent.iterdir()] == [path]


def test_a_thread_may_take_it_again_and_others_wait_for_their_turn(tmp_path, hold, said_of_locks):
    path = tmp_path / "x"
    with alone(path, "training"), ThreadPoolExecutor(1) as thread:
        take(path)
        with pytest.raises(ConfigError):
            thread.submit(take, path).result()
    assert not [*tmp_path.iterdir()]
    # They come one after another, though the file of the lock goes with each of them.
    count = tmp_path / "count"
    count.write_text("0")
    process = hold(count)

    def add():
        for _ in range(10):
            with in_turn(count, "counting"):
                count.write_text(str(int(count.read_text()) + 1))

    def end():
        assert "waiting" in said_of_locks.get(timeout=60)
        assert count.read_text() == "0"
        process.communicate()

    with ThreadPoolExecutor(5) as threads:
        for each in [threads.submit(work) for work in (end, *[add] * 4)]:
            each.result()
    assert count.read_text() == "40"
    assert [*tmp_path.iterdir()] == [count]


def test_where_there_can_be_no_lock_one_warning_says_so(tmp_path, monkeypatch):
    error = OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    monkeypatch.setattr("filelock.FileLock.acquire", Mock(side_effect=error))
    with pytest.warns(UnlockedWarning, match=r"x cannot be locked: .* Let no other process"):
        take(tmp_path / "x")
    with warnings.catch_warnings(action="error"):
        take(tmp_path / "x")
    # Others that let go of it just now are no reason.
    monkeypatch.setattr("filelock.FileLock.acquire", Mock(side_effect=[*[TimeoutError] * 3, None]))
    take(tmp_path / "z")
    monkeypatch.setitem(sys.modules, "filelock", None)  # The package is not there.
    with pytest.warns(UnlockedWarning, match="y cannot be locked: .*filelock"):
        take(tmp_path / "y")


@linux
def test_what_cannot_be_written_is_refused_by_its_name(tmp_path):
    (tmp_path / "file").touch()
    told = r"x cannot be written: .*\. Make sure that it can be, or name another folder \(--run\)$"
    for path in (tmp_path / "file/x", tmp_path / "file/new/x", Path("/proc/x")):
        with pytest.raises(ConfigError, match=told):
            take(path)
    with pytest.raises(ConfigError, match="^/proc cannot be written: "):
        take(Path("/proc"))
    # Where no file can be made, nobody is said to have the lock.
    warned = "x.csv cannot be locked: no file can be made there"
    with pytest.warns(UnlockedWarning, match=warned), in_turn(Path("/proc/x.csv"), "computing"):
        pass


def test_the_cache_of_each_system(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for platform, expected in (
        ("linux", "home/.cache"),
        ("darwin", "home/Library/Caches"),
        ("win32", "home/AppData/Local"),
        ("freebsd", "home/.cache"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        for name in ("LOCALAPPDATA", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        assert user_cache("x") == tmp_path / expected / "clipline" / "x"
        if platform == "win32":
            monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
            assert user_cache("x") == tmp_path / "clipline" / "x"
            monkeypatch.delenv("LOCALAPPDATA")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert user_cache("x") == tmp_path / "clipline" / "x"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert user_cache("x") == tmp_path / expected / "clipline" / "x"
