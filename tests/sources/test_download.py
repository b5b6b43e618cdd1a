"""Downloads come from a real server on this machine; only their addresses are changed."""

from __future__ import annotations

import hashlib
import http.server
import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorflow_datasets.core.download import checksums, downloader
from tensorflow_datasets.core.utils import Size
from tensorflow_datasets.video import ucf101

from pipeline.errors import DataError
from pipeline.sources.download import download_ucf101
from pipeline.sources.ucf101 import scan_ucf101


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


ARCHIVES = {
    "/lists.zip": zipped(
        **{
            "ucfTrainTestlist/classInd.txt": "1 Archery\n2 HandstandPushups\n",
            "ucfTrainTestlist/trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\n",
            "ucfTrainTestlist/testlist01.txt": (
                "Archery/v_Archery_g01_c01.avi\nHandstandPushups/v_HandStandPushups_g01_c01.avi\n"
            ),
        }
    ),
    "/videos.zip": zipped(
        **{
            "UCF101/v_Archery_g01_c01.avi": "",
            "UCF101/v_Archery_g08_c01.avi": "",
            "UCF101/v_HandstandPushups_g01_c01.avi": "",
        }
    ),
}


class Server(http.server.ThreadingHTTPServer):
    """Serves `archives`, and remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.archives = dict(ARCHIVES)
        self.asked: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        archive = self.server.archives.get(self.path)
        self.send_response(200 if archive else 404)
        self.send_header("Content-Length", str(len(archive or b"")))
        self.end_headers()
        self.wfile.write(archive or b"")

    def log_message(self, *_: object) -> None:
        self.server.asked.append(self.path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    address = f"http://127.0.0.1:{server.server_port}"
    known = {
        address + name: checksums.UrlInfo(
            size=Size(len(archive)),
            checksum=hashlib.sha256(archive).hexdigest(),
            filename=name[1:],
        )
        for name, archive in ARCHIVES.items()
    }
    monkeypatch.setattr(ucf101, "SPLITS_URL", f"{address}/lists.zip")
    monkeypatch.setattr(ucf101, "UCF_101_URL", f"{address}/videos.zip")
    monkeypatch.setattr(checksums, "get_all_url_infos", lambda: known)
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_ends_where_the_scan_finds_it(server: Server, tmp_path: Path) -> None:
    download_ucf101(tmp_path / "ucf101")

    rows = scan_ucf101(tmp_path / "ucf101").rows
    assert [Path(row.path).name for row in rows] == [
        "v_Archery_g01_c01.avi",
        "v_Archery_g08_c01.avi",
        "v_HandstandPushups_g01_c01.avi",
    ]
    assert all(Path(row.path).exists() for row in rows)
    assert server.asked == ["/lists.zip", "/videos.zip"]
    assert sorted(path.name for path in (tmp_path / "ucf101").iterdir()) == [
        "UCF101",
        "archives",
        "ucfTrainTestlist",
    ]


def test_goes_on_with_what_is_missing(server: Server, tmp_path: Path) -> None:
    del server.archives["/videos.zip"]
    with pytest.raises(DataError):
        download_ucf101(tmp_path)
    server.archives = {"/videos.zip": ARCHIVES["/videos.zip"]}
    server.asked.clear()
    unfinished = list((tmp_path / "archives").glob("*.tmp.*"))
    assert unfinished

    download_ucf101(tmp_path)

    assert server.asked == ["/videos.zip"]
    assert not any(folder.exists() for folder in unfinished)
    assert len(scan_ucf101(tmp_path).rows) == 3


def test_unpacks_anew_what_was_interrupted(server: Server, tmp_path: Path) -> None:
    download_ucf101(tmp_path)
    server.asked.clear()
    (tmp_path / ".UCF101.partial").mkdir()
    (tmp_path / "UCF101").rename(tmp_path / ".UCF101.partial/UCF101")
    (tmp_path / ".UCF101.partial/UCF101/v_Archery_g99_c01.avi").touch()

    download_ucf101(tmp_path)

    assert server.asked == []
    assert len(list((tmp_path / "UCF101").iterdir())) == 3
    assert not (tmp_path / ".UCF101.partial").exists()


def test_archive_that_is_damaged(server: Server, tmp_path: Path) -> None:
    download_ucf101(tmp_path)
    shutil.rmtree(tmp_path / "ucfTrainTestlist")
    archive = next((tmp_path / "archives").glob("*lists*.zip"))
    archive.write_bytes(archive.read_bytes().replace(b"v_HandStand", b"v_Handstand"))

    with pytest.raises(
        DataError, match=r"lists.*zip: cannot be unpacked: Bad CRC.*\. Remove it and"
    ):
        download_ucf101(tmp_path)
    assert not (tmp_path / "ucfTrainTestlist").exists()


def test_address_without_a_known_checksum(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "get_all_url_infos", dict)

    with pytest.raises(ValueError, match="Missing checksums"):
        download_ucf101(tmp_path)


def test_archive_that_is_not_the_one(server: Server, tmp_path: Path) -> None:
    server.archives["/lists.zip"] = zipped(**{"ucfTrainTestlist/classInd.txt": "1 Archery\n"})

    with pytest.raises(
        DataError, match=r"lists.zip: cannot be downloaded: what came has a wrong check"
    ):
        download_ucf101(tmp_path)
    assert not (tmp_path / "ucfTrainTestlist").exists()


def test_server_that_does_not_have_it(server: Server, tmp_path: Path) -> None:
    server.archives.clear()

    with pytest.raises(DataError, match=r"downloaded: Failed to get .*404\. .*both into .*\.$"):
        download_ucf101(tmp_path)


def test_no_network(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = "http://127.0.0.1:1/lists.zip"  # Nothing answers there.
    monkeypatch.setattr(ucf101, "SPLITS_URL", address)
    known = checksums.UrlInfo(size=Size(1), checksum="0" * 64, filename="lists.zip")
    monkeypatch.setattr(checksums, "get_all_url_infos", lambda: {address: known})
    monkeypatch.setattr(downloader, "MAX_RETRIES", 1)

    with pytest.raises(DataError, match=r"lists.zip: cannot be downloaded: .*refused.* Run the"):
        download_ucf101(tmp_path)
    assert not caplog.records


def test_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match=r"file.*: cannot be written: .* has 14 GB of free space"):
        download_ucf101(tmp_path / "file")


def test_unpacking_where_nothing_can_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".ucfTrainTestlist.partial").touch()

    with pytest.raises(
        DataError, match=r"partial.*: cannot be written: .* has 14 GB of free space"
    ):
        download_ucf101(tmp_path)


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is known before any attempt: nothing is made for it."""
    monkeypatch.setattr(ucf101, "SPLITS_URL", "https://clipline.invalid/lists.zip")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"cannot be downloaded: clipline.invalid: .*by hand from"):
        download_ucf101(tmp_path)
    assert not list(tmp_path.iterdir())
