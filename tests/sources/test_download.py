"""Downloads come from a real server on this machine; only their addresses are changed."""

from __future__ import annotations

import functools
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
from pipeline.sources.web_sets import scan_ucf101


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


ARCHERY, HANDSTAND = "v_Archery_g0{}_c01.avi", "HandstandPushups/v_HandStandPushups_g01_c01.avi"
LISTS = {
    "classInd.txt": "1 Archery\n2 HandstandPushups\n",
    "trainlist01.txt": f"Archery/{ARCHERY.format(8)} 1\n",
    "testlist01.txt": f"Archery/{ARCHERY.format(1)}\n{HANDSTAND}\n",
}
VIDEOS = [ARCHERY.format(1), ARCHERY.format(8), "v_HandstandPushups_g01_c01.avi"]
ARCHIVES = {
    "lists.zip": zipped(**{f"ucfTrainTestlist/{name}": text for name, text in LISTS.items()}),
    "videos.zip": zipped(**{f"UCF101/{name}": "" for name in VIDEOS}),
}


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_request(self, *_: object) -> None:
        self.server.asked.append(self.path)

    def log_error(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Serves the archives of its `folder`, and notes what was `asked` for."""
    folder, known = tmp_path_factory.mktemp("archives"), {}
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.folder, server.asked = folder, []
    for name, archive in ARCHIVES.items():
        (folder / name).write_bytes(archive)
        known[f"http://127.0.0.1:{server.server_port}/{name}"] = checksums.UrlInfo(
            size=Size(len(archive)), checksum=hashlib.sha256(archive).hexdigest(), filename=name
        )
    lists, videos = known
    monkeypatch.setattr(ucf101, "SPLITS_URL", lists)
    monkeypatch.setattr(ucf101, "UCF_101_URL", videos)
    monkeypatch.setattr(checksums, "get_all_url_infos", lambda: known)
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_ends_where_the_scan_finds_it_and_unpacks_anew_what_is_not_whole(server, tmp_path):
    download_ucf101(tmp_path)
    rows = scan_ucf101(tmp_path).rows
    assert [Path(row.path).name for row in rows] == VIDEOS
    assert all(Path(row.path).exists() for row in rows)
    assert server.asked == ["/lists.zip", "/videos.zip"]
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["UCF101", "archives", "ucfTrainTestlist"]
    server.asked.clear()
    (tmp_path / ".UCF101.partial").mkdir()
    (tmp_path / "UCF101").rename(tmp_path / ".UCF101.partial/UCF101")
    (tmp_path / ".UCF101.partial/UCF101/v_Archery_g99_c01.avi").touch()
    download_ucf101(tmp_path)
    assert server.asked == []
    assert len(list((tmp_path / "UCF101").iterdir())) == 3
    assert not (tmp_path / ".UCF101.partial").exists()
    shutil.rmtree(tmp_path / "ucfTrainTestlist")
    archive = next((tmp_path / "archives").glob("*lists*.zip"))
    archive.write_bytes(archive.read_bytes().replace(b"v_HandStand", b"v_Handstand"))
    message = r"lists.*zip: cannot be unpacked: Bad CRC.*\. Remove it and"
    with pytest.raises(DataError, match=message):
        download_ucf101(tmp_path)
    assert not (tmp_path / "ucfTrainTestlist").exists()


def test_goes_on_with_what_is_missing(server, tmp_path):
    (server.folder / "videos.zip").unlink()
    with pytest.raises(DataError):
        download_ucf101(tmp_path)
    (server.folder / "videos.zip").write_bytes(ARCHIVES["videos.zip"])
    (server.folder / "lists.zip").unlink()
    server.asked.clear()
    unfinished = list((tmp_path / "archives").glob("*.tmp.*"))
    assert unfinished
    download_ucf101(tmp_path)
    assert server.asked == ["/videos.zip"]
    assert not any(folder.exists() for folder in unfinished)
    assert len(scan_ucf101(tmp_path).rows) == 3


def test_servers_without_it_or_folders_that_cannot_be_written(server, touch, tmp_path, monkeypatch):
    lists = server.folder / "lists.zip"
    lists.write_bytes(zipped(**{"ucfTrainTestlist/classInd.txt": "1 Archery\n"}))
    for message in (
        r"lists.zip: cannot be downloaded: what came has a wrong check",
        r"downloaded: Failed to get .*404\. .*both into .*\.$",
    ):
        with pytest.raises(DataError, match=message):
            download_ucf101(tmp_path / "ucf101")
        lists.unlink(missing_ok=True)
    lists.write_bytes(ARCHIVES["lists.zip"])
    for file, folder in (("file", "file"), (".ucfTrainTestlist.partial", "")):
        touch(file)
        message = f"{file}.*: cannot be written: .* has 14 GB of free space"
        with pytest.raises(DataError, match=message):
            download_ucf101(tmp_path / folder)
    assert not (tmp_path / "ucf101" / "ucfTrainTestlist").exists()
    monkeypatch.setattr(checksums, "get_all_url_infos", dict)
    with pytest.raises(ValueError, match="Missing checksums"):
        download_ucf101(tmp_path / "new")


def test_no_network(server, tmp_path, monkeypatch, caplog):
    address = "http://127.0.0.1:1/lists.zip"  # Nothing answers there.
    monkeypatch.setattr(ucf101, "SPLITS_URL", address)
    known = checksums.UrlInfo(size=Size(1), checksum="0" * 64, filename="lists.zip")
    monkeypatch.setattr(checksums, "get_all_url_infos", lambda: {address: known})
    monkeypatch.setattr(downloader, "MAX_RETRIES", 1)
    with pytest.raises(DataError, match=r"lists.zip: cannot be downloaded: .*refused.* Run the"):
        download_ucf101(tmp_path)
    assert not caplog.records
    # A name that does not resolve is known before any attempt: nothing is made for it.
    monkeypatch.setattr(ucf101, "SPLITS_URL", "https://clipline.invalid/lists.zip")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"cannot be downloaded: clipline.invalid: .*by hand from"):
        download_ucf101(tmp_path / "new")
    assert not (tmp_path / "new").exists()
