"""Files that come over HTTP, and the folder of the pages, without a network."""

import asyncio
import os
import stat
import subprocess
import sys

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pipeline.errors import DataError
from pipeline.web.bodies import Form
from pipeline.web.errors import OutsideError
from pipeline.web.uploads import Uploads, deadline
from pipeline.web.workspace import Workspace
from tests.web.asgi import receiver, scope_of


def received(uploads, *pieces, query=""):
    async def receive():
        request = Request(scope_of(method="POST", query=query), receiver(*pieces))
        return await uploads.receive(request, until=deadline(60))

    return asyncio.run(receive())


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where folders of uploads lie."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def uploads(temporary):
    with Uploads(most_bytes=100, quota=250) as uploads:
        yield uploads


def test_files_lie_where_nobody_else_reads_have_a_quota_and_a_full_disk_is_told(uploads, full_disk):
    with full_disk(), pytest.raises(HTTPException, match="507: the disk of the server is full"):
        received(uploads, bytes(90))
    assert list(uploads.folder.iterdir()) == []
    assert stat.S_IMODE(uploads.folder.stat().st_mode) == 0o700
    uploads.folder.rmdir()  # as a system that cleans up does
    upload = received(uploads, b"ab", b"c", query="name=../../walk.avi")
    assert upload.path.read_bytes() == b"abc"
    assert upload.path.parent == uploads.folder
    assert (upload.name, upload.num_bytes) == ("walk.avi", 3)
    assert len(upload.path.name) == 32
    assert "walk" not in upload.path.name
    assert stat.S_IMODE(uploads.folder.stat().st_mode) == 0o700
    other = received(uploads, b"abc")
    assert other.path != upload.path
    uploads.remove(upload)
    uploads.remove(upload)
    assert list(uploads.folder.iterdir()) == [other.path]
    uploads.remove(other)
    kept = [received(uploads, bytes(100)) for _ in range(2)]
    with pytest.raises(HTTPException) as refused:
        received(uploads, bytes(30), bytes(30))
    assert refused.value.status_code == 503
    assert len(list(uploads.folder.iterdir())) == 2
    received(uploads, bytes(50))
    uploads.remove(kept[0])
    received(uploads, bytes(100))
    uploads.__exit__()  # The folder goes with the server.
    assert not uploads.folder.exists()


def test_files_go_when_they_are_old_or_of_servers_that_were_killed(temporary, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("pipeline.web.uploads.time.monotonic", lambda: now[0])
    with Uploads(most_bytes=100, quota=100, most_age_seconds=10) as uploads:
        old = received(uploads, bytes(100))
        now[0] = 9.0
        uploads.remove_old()
        assert old.path.exists()
        now[0] = 11.0
        new = received(uploads, bytes(100))
        assert list(uploads.folder.iterdir()) == [new.path]
    code = "import os; print(os.getpid())"
    over = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    gone = [temporary / f"clipline-uploads-{number}-a" for number in (over, os.getpid())]
    kept = [temporary / f"clipline-uploads-{name}-b" for name in (os.getppid(), "x")]
    for folder in (*gone, *kept):
        folder.mkdir()
        (folder / "file").touch()
    (temporary / "elsewhere").mkdir()
    (temporary / f"clipline-uploads-{over}-c").symlink_to(temporary / "elsewhere")
    with Uploads(most_bytes=1, quota=1) as first, Uploads(most_bytes=1, quota=1) as second:
        assert first.folder.exists()
        assert second.folder.exists()
        assert [folder.exists() for folder in (*gone, *kept)] == [False, False, True, True]
    assert (temporary / "elsewhere").exists()


PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nnot this\r\n'
    b'--x\r\nContent-Disposition: form-data; name="b"; filename="\xc3\xa9.mp4"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n--y\r\n--x-\0\r\n--x--\r\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_file_of_a_form_in_whatever_pieces_it_comes(size):
    taken = []
    form = Form("multipart/form-data; boundary=x", taken.append)
    for start in range(0, len(PARTS), size):
        form.feed(PARTS[start : start + size])
    form.finish()
    assert (b"".join(taken), form.name) == (b"\r\n--y\r\n--x-\0", "é.mp4")


@pytest.fixture
def root(tmp_path):
    """A workspace with something beside it that is not for it."""
    root = tmp_path / "work"
    (root / "lab" / "day 1").mkdir(parents=True)
    (root / "runs" / ".cache").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    files = "../secret/s.mp4", "a.mp4", "lab/day 1/ü.AVI", "notes.txt", ".hidden.mp4"
    for name in (*files, "runs/.cache/b.mp4"):
        (root / name).write_bytes(b"x")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "out.mp4").symlink_to(tmp_path / "secret" / "s.mp4")
    (root / "in.mp4").symlink_to(root / "a.mp4")
    (root / "circle.mp4").symlink_to(root / "circle.mp4")
    return root


def test_what_is_inside(root, tmp_path):
    workspace = Workspace(root)
    assert workspace.video("lab/day 1/ü.AVI") == root / "lab" / "day 1" / "ü.AVI"
    assert workspace.video("in.mp4") == root / "in.mp4"
    assert workspace.folder("") == root
    assert workspace.videos("") == ["a.mp4", "in.mp4"]
    assert workspace.videos("lab/day 1") == ["ü.AVI"]
    found = workspace.video_folders()
    assert [(each.name, each.num_videos) for each in found] == [("", 4), ("lab/day 1", 1)]
    with pytest.raises(DataError, match="none: expected a folder"):
        Workspace(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path)
    assert Workspace(tmp_path / "link").root == tmp_path.resolve()


def test_what_is_not_a_video_inside(root):
    for name in (
        *("../secret/s.mp4", "lab/../../secret/s.mp4", "..", "/etc/passwd", "//etc/passwd"),
        *("out/s.mp4", "out.mp4", "out", "circle.mp4", ".hidden.mp4", "a.mp4\0", "a.mp4/b.mp4"),
        *("..\\secret\\s.mp4", "lab\n", "%2e%2e/secret/s.mp4", "none.mp4", "notes.txt", "lab"),
        *("", "a" * 5000, "\udce4.mp4"),
    ):
        with pytest.raises(OutsideError, match="no such"):
            Workspace(root).video(name)
