"""Files that come over HTTP, without a network: messages of ASGI in."""

import asyncio
import os
import stat
import subprocess
import sys

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pipeline.web.bodies import Form, base_name
from pipeline.web.uploads import Uploads, deadline


def request_of(*pieces, kind="", query=""):
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    headers = [(b"content-type", kind.encode())] if kind else []
    scope = {"type": "http", "headers": headers, "query_string": query.encode(), "method": "POST"}
    return Request(scope, receive)


def received(uploads, *pieces, **options):
    async def receive():
        return await uploads.receive(request_of(*pieces, **options), until=deadline(60))

    return asyncio.run(receive())


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Uploads(most_bytes=100, quota=250) as uploads:
        yield uploads


def test_files_lie_under_names_of_the_server_where_nobody_else_reads(uploads):
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


def test_the_folder_goes_with_the_server(uploads):
    received(uploads, b"abc")
    uploads.__exit__()
    assert not uploads.folder.exists()


def test_a_folder_that_the_system_removed_is_made_again(uploads):
    uploads.folder.rmdir()
    assert received(uploads, b"abc").path.read_bytes() == b"abc"
    assert stat.S_IMODE(uploads.folder.stat().st_mode) == 0o700


def test_all_files_have_a_quota(uploads):
    kept = [received(uploads, bytes(100)) for _ in range(2)]
    with pytest.raises(HTTPException) as refused:
        received(uploads, bytes(30), bytes(30))
    assert refused.value.status_code == 503
    assert len(list(uploads.folder.iterdir())) == 2
    received(uploads, bytes(50))
    uploads.remove(kept[0])
    received(uploads, bytes(100))


def test_files_go_when_they_are_old(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
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


def test_a_full_disk_is_told(uploads, full_disk):
    with full_disk(), pytest.raises(HTTPException, match="507: the disk of the server is full"):
        received(uploads, bytes(90))
    assert list(uploads.folder.iterdir()) == []


def test_what_servers_left_behind_that_were_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    over = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], text=True,
                          capture_output=True, check=True).stdout.strip()  # fmt: skip
    gone = [tmp_path / f"clipline-uploads-{number}-a" for number in (over, os.getpid())]
    kept = [tmp_path / f"clipline-uploads-{name}-b" for name in (os.getppid(), "x")]
    for folder in (*gone, *kept):
        folder.mkdir()
        (folder / "file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"clipline-uploads-{over}-c").symlink_to(tmp_path / "elsewhere")
    with Uploads(most_bytes=1, quota=1) as first, Uploads(most_bytes=1, quota=1) as second:
        assert first.folder.exists()
        assert second.folder.exists()
        assert [folder.exists() for folder in (*gone, *kept)] == [False, False, True, True]
    assert (tmp_path / "elsewhere").exists()


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


def test_names_are_no_paths():
    assert [base_name(name) for name in ("/etc/passwd", "..\\a", "", "a/")] == [
        "passwd",
        "a",
        "",
        "",
    ]
