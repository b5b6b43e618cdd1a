"""UCF101: 101 actions in videos from YouTube, with three official splits."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.official import VideoIndex, check_fold, find_lists, lines_in
from pipeline.sources.source import Source
from pipeline.text import one_line

_DOWNLOAD = (
    "Download UCF101TrainTestSplits-RecognitionTask.zip "
    "from https://www.crcv.ucf.edu/data/UCF101.php and unpack it."
)
_LISTS: tuple[tuple[Split, str], ...] = (("train", "trainlist"), ("test", "testlist"))
_CLIP = re.compile(r"([^/\\]+)/(v_\w+_(g\d+)_c\d+\.avi)(?:\s+\d+)?")


def scan_ucf101(path: str | os.PathLike[str], *, annotations: str = "", fold: int = 1) -> Manifest:
    """Lists the videos of UCF101 with one of its official splits.

    The group of a video is the source video that it was cut from, such as `Archery_g01`: the
    numbers start anew in each class. Files are found by name wherever they lie, in class folders
    or not, whether they say `v_HandStandPushups` or `v_HandstandPushups`; class names are those of
    `classInd.txt`.

    Args:
        path: Folder of the videos.
        annotations: The folder `ucfTrainTestlist` with the official lists; empty: looked for in
            `path` and beside it.
        fold: Which of the official splits, 1 to 3.
    """
    check_fold(fold, range(1, 4))
    videos = VideoIndex(path, example="Archery/v_Archery_g01_c01.avi", ignore_case=True)
    first, *_ = find_lists(
        path,
        annotations,
        f"trainlist{fold:02d}.txt",
        folders=("ucfTrainTestlist",),
        download=_DOWNLOAD,
    )
    classes = _read_classes(first.with_name("classInd.txt"))
    rows = []
    for split, name in _LISTS:
        for place, line in lines_in(first.with_name(f"{name}{fold:02d}.txt")):
            match = _CLIP.fullmatch(line)
            label = classes.get(match[1].lower()) if match else None
            if not match or not label:
                raise DataError(
                    f"{place}: expected a class of classInd.txt and a video, "
                    f"such as Archery/v_Archery_g01_c01.avi, got {line!r}."
                )
            file = videos.locate(f"{label}/{match[2]}")
            rows.append(Row(path=file, label=label, group=f"{label}_{match[3]}", split=split))
    return videos.manifest(rows)


def _read_classes(path: Path) -> dict[str, str]:
    """Returns the class names by their lower case."""
    classes = {}
    for place, line in lines_in(path):
        number, _, name = line.partition(" ")
        if not (number.isdecimal() and name):
            raise DataError(f"{place}: expected a number and a class name, got {line!r}.")
        classes[name.strip().lower()] = name.strip()
    return classes


def download_ucf101(folder: str | os.PathLike[str]) -> None:
    """Downloads the videos of UCF101 and its official lists to where `scan_ucf101` finds them.

    They are checked by their checksums and unpacked into the sub-folders `UCF101` and
    `ucfTrainTestlist`; what is there already is kept. The archives stay in the sub-folder
    `archives`, so that an interrupted download goes on with the archive that was not finished.
    Together this takes 14 GB; without the archives, which can be removed afterwards, 7 GB.

    Args:
        folder: Where to; made if it is not there.

    Raises:
        DataError: A server cannot be reached or sends something else, an archive is damaged, or
            the folder cannot be written.
    """
    from tensorflow_datasets.video import ucf101

    folder = Path(folder)
    # The lists come first: they are small, and a problem shows early.
    for name, address in (("ucfTrainTestlist", ucf101.SPLITS_URL), ("UCF101", ucf101.UCF_101_URL)):
        if not (folder / name).exists():
            archive = _download(address, folder)
            _unpack(archive, folder, name)


def _download(address: str, folder: Path) -> Path:
    import requests
    from tensorflow_datasets.core.download import DownloadError, DownloadManager
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    if not requests.utils.get_environ_proxies(address):  # else the proxy knows the name
        _resolve(address, folder)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # It would warn of each attempt.
    archives = folder / "archives"
    try:
        for unfinished in archives.glob("*.tmp.*"):
            shutil.rmtree(unfinished)
        manager = DownloadManager(download_dir=archives, force_checksums_validation=True)
        return Path(manager.download(address))
    except (requests.RequestException, DownloadError) as error:
        reason = one_line(error).rpartition("(Caused by ")[2][:200].rstrip(".)")
        raise _not_downloaded(address, folder, reason) from None
    except NonMatchingChecksumError:
        raise _not_downloaded(address, folder, "what came has a wrong checksum") from None
    except OSError as error:
        raise _not_written(folder, error) from None


def _resolve(address: str, folder: Path) -> None:
    """Fails at once where the server is not known, which else takes minutes of attempts."""
    host = urlsplit(address).hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise _not_downloaded(address, folder, f"{host}: {error.strerror or error}") from None


def _unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpacks one folder of an archive, which is there whole or not at all."""
    partial = folder / f".{name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        with zipfile.ZipFile(archive) as file:
            file.extractall(partial)
        (partial / name).rename(folder / name)
        shutil.rmtree(partial)
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{archive}: cannot be unpacked: {error}. Remove it and run the same command again."
        ) from None
    except OSError as error:
        raise _not_written(folder, error) from None


def _not_downloaded(address: str, folder: Path, reason: str) -> DataError:
    return DataError(
        f"{address}: cannot be downloaded: {reason}. Run the same command again, or download "
        "UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip by hand from "
        f"https://www.crcv.ucf.edu/data/UCF101.php and unpack both into {folder}."
    )


def _not_written(folder: Path, error: OSError) -> DataError:
    reason = error.strerror or one_line(error)
    return DataError(
        f"{error.filename or folder}: cannot be written: {reason}. Make sure that the folder can "
        "be written and has 14 GB of free space, then run the same command again."
    )


def _scan(config: PrepareConfig, _: Path) -> Manifest:
    if config.download:
        download_ucf101(config.path)
    fold = config.official_fold or 1
    return scan_ucf101(config.path, annotations=config.annotations, fold=fold)


SOURCE = Source("ucf101", _scan, takes=("annotations", "fold"))
