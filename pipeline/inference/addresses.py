"""Addresses of videos, such as `gs://BUCKET/a.mp4`, which the file systems of Beam read."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote_to_bytes

from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.text import without_secrets
from pipeline.workers.beam import import_beam

_SCHEME = re.compile(r"([a-zA-Z][-a-zA-Z0-9+.]*)://")

_NEEDS: Final = {
    "gs": ("google.cloud.storage", "gcp"),
    "s3": ("boto3", "aws"),
    "azfs": ("azure.storage.blob", "azure"),
    "hdfs": ("hdfs", "hadoop"),
}
"""What Beam's file system of a scheme imports, and the extra of Beam that installs it."""


def is_address(name: str) -> bool:
    """Whether a name is an address, and no path."""
    return _SCHEME.match(name) is not None


def absolute(name: str) -> str:
    """The absolute path of a file, without `..`; links stay. An address stays what it is."""
    return name if is_address(name) else os.path.abspath(name)  # noqa: PTH100  # without ..


def each_once(names: Iterable[str]) -> list[str]:
    """Names without those of a file that is named before, in whatever spelling."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(absolute(name), name)
    return list(found.values())


def local_path(name: str) -> str:
    """The path that an address of this machine stands for; any other name stays.

    Raises:
        DataError: The path is not absolute.

    Example:
        >>> local_path("file:///videos/a%20b.mp4"), local_path("gs://BUCKET/a.mp4")
        ('/videos/a b.mp4', 'gs://BUCKET/a.mp4')
    """
    if not name.startswith("file://"):
        return name
    path = name.removeprefix("file://").removeprefix("localhost")
    if not path.startswith("/"):
        raise DataError(f"{name}: expected file:/// and an absolute path")
    return os.fsdecode(unquote_to_bytes(path))


def expect_file_systems(names: Iterable[str]) -> None:
    """Makes sure that Beam on this machine has a file system for each address.

    Raises:
        ConfigError: It has none for one of the schemes, or Beam is not installed.
    """
    for scheme in sorted({found[1] for found in map(_SCHEME.match, names) if found}):
        if _has_file_system(scheme):
            continue
        if scheme in _NEEDS:
            extra = _NEEDS[scheme][1]
            raise ConfigError(
                f"{scheme}:// needs, on each machine, pip install 'apache-beam[{extra}]'"
            )
        raise ConfigError(
            f"{scheme}:// cannot be read by Beam. Download these files first, and list their paths"
        )


def _has_file_system(scheme: str) -> bool:
    import_beam()
    from apache_beam.io import filesystem, filesystems  # noqa: F401  # which knows all

    try:
        import_module(_NEEDS[scheme][0] if scheme in _NEEDS else "apache_beam")
    except ImportError:
        return False
    return scheme in {each.scheme() for each in filesystem.FileSystem.get_all_subclasses()}


@contextlib.contextmanager
def fetched(name: str) -> Iterator[str]:
    """The file itself; of an address, a copy that is gone afterwards.

    Raises:
        VideoDecodeError: It cannot be fetched.
    """
    if not is_address(name):
        yield name
        return
    import_beam()
    from apache_beam.io.filesystems import FileSystems

    with tempfile.TemporaryDirectory(prefix="clipline-") as folder:
        path = Path(folder) / f"video{PurePosixPath(name).suffix}"
        try:
            with FileSystems.open(name) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except Exception as error:  # It may be any, of any file system.
            reason = f"cannot be fetched: {type(error).__name__}"
            raise VideoDecodeError(without_secrets(name), reason) from None
        yield str(path)
