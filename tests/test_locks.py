import errno
import os
import sys
import threading
import warnings
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.locks import UnlockedWarning, alone, in_turn


def take(path):
    with alone(path, "training", "name another folder (--run)"):
        pass


def test_the_second_comer_is_told_why(tmp_path, hold):
    path = tmp_path / "runs" / "x"
    process = hold(path)
    with pytest.raises(ConfigError) as caught:
        take(path)
    assert str(caught.value) == (
        f"another process is training {path}. Wait until it has ended, or name another folder "
        "(--run)"
    )
    take(tmp_path / "runs" / "y")
    process.communicate()
    take(path)
    assert not [*path.parent.iterdir()]


def test_a_lock_is_let_go_when_a_process_is_killed(tmp_path, hold):
    path = tmp_path / "x"
    process = hold(path)
    process.kill()
    process.wait()
    assert [*tmp_path.iterdir()], "the file of the lock is still there"
    take(path)
    assert not [*tmp_path.iterdir()]


def test_a_link_has_the_lock_of_what_it_leads_to(tmp_path, hold):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    hold(tmp_path / "link")
    with pytest.raises(ConfigError, match="another process is training .*real"):
        take(tmp_path / "real")


def test_a_thread_may_take_it_again_and_no_other_thread(tmp_path):
    path, refused = tmp_path / "x", []

    def try_it():
        try:
            take(path)
        except ConfigError as error:
            refused.append(error)

    with alone(path, "training"):
        take(path)
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert refused
    assert not [*tmp_path.iterdir()]


def test_who_waits_has_its_turn_when_the_other_has_ended(tmp_path, hold, said_of_locks):
    path, order = tmp_path / "x", []
    process = hold(path)

    def wait():
        with in_turn(path, "computing"):
            order.append(process.poll())

    thread = threading.Thread(target=wait)
    thread.start()
    assert "waiting" in said_of_locks.get(timeout=60)
    assert not order
    process.communicate()
    thread.join()
    assert len(order) == 1
    assert not [*tmp_path.iterdir()]


def test_those_who_wait_come_one_after_another(tmp_path):
    """Though the file of the lock goes with each of them."""
    count = tmp_path / "count"
    count.write_text("0")

    def add():
        for _ in range(10):
            with in_turn(count, "counting"):
                count.write_text(str(int(count.read_text()) + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "40"


def test_where_there_can_be_no_lock_one_warning_says_so(tmp_path, monkeypatch):
    def acquire(*_, **__):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    path = tmp_path / "x"
    with pytest.warns(UnlockedWarning, match=r"x cannot be locked: .* Let no other process"):
        take(path)
    with warnings.catch_warnings(action="error"):
        take(path)


linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such folder")


@pytest.mark.parametrize("name", ["file/x", "file/new/x", pytest.param("/proc/x", marks=linux)])
def test_what_cannot_be_written_is_refused_by_its_name(name, tmp_path):
    (tmp_path / "file").touch()
    told = r"x cannot be written: .*\. Make sure that it can be, or name another folder \(--run\)$"
    with pytest.raises(ConfigError, match=told):
        take(tmp_path / name)


@linux
def test_a_folder_that_cannot_be_written_is_refused():
    with pytest.raises(ConfigError, match="^/proc cannot be written: "):
        take(Path("/proc"))


def test_without_the_package_a_warning_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.warns(UnlockedWarning, match="x cannot be locked: .*filelock"):
        take(tmp_path / "x")


@linux
def test_where_no_file_can_be_made_nobody_is_said_to_have_the_lock():
    warned = "x.csv cannot be locked: no file can be made there"
    with pytest.warns(UnlockedWarning, match=warned), in_turn(Path("/proc/x.csv"), "computing"):
        pass
