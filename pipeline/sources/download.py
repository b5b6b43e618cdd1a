"""Downloading UCF101."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import DataError
from pipeline.text import one_line


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
