"""Folders that take long to make: made once for all workers, and kept for the next tests.

They lie in the cache of pytest, under a name that changes with all that they depend on.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from pipeline.atomic import write_json

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "pipeline"
LATER = ("cli", "experiments", "labelling", "web")
"""Rooms of the package that nothing which is made comes from."""


def _code() -> Iterator[bytes]:
    later = tuple(f"{PACKAGE / room}/" for room in LATER)
    for path in sorted(PACKAGE.rglob("*")):  # templates and presets, too
        if path.is_file() and path.suffix != ".pyc" and not str(path).startswith(later):
            yield path.read_bytes()
    for path in sorted(TESTS.rglob("*.py")):
        if not path.name.startswith("test_"):  # It may hold what makes a folder.
            yield path.read_bytes()
    for name in ("numpy", "opencv-python-headless", "tensorflow", "keras", "tf2onnx"):
        yield version(name).encode()


def fingerprint() -> str:
    """Of the code that makes the folders and where it lies, and of the libraries that it uses."""
    found = hashlib.sha256(f"{TESTS} {sys.version}".encode())
    for each in _code():
        found.update(hashlib.sha256(each).digest())
    return found.hexdigest()[:16]


def _content(folder: Path) -> dict[str, list[int]]:
    """Size and time of each file; but for locks, which come and go."""
    return {
        str(path.relative_to(folder)): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


class Made:
    """Gives folders by their names, and makes those that are not there.

    Args:
        root: Where they are; what other code made there is removed, once no test can use it.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._used = root / fingerprint(), dict[Path, dict[str, list[int]]]()
        with FileLock(root / "lock"):
            self._root.mkdir(exist_ok=True)
            os.utime(self._root)
            for other in root.iterdir():
                if other.is_dir() and other.stat().st_mtime < time.time() - 3 * 60 * 60:
                    shutil.rmtree(other)

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder of a name, which `make` makes where it is not there yet; not to be changed.

        It is made anew where the module of `make` is another than when it was made.
        """
        maker = make.func if isinstance(make, functools.partial) else make
        module = Path(inspect.getfile(maker)).read_bytes()
        folder = self._root / f"{name} {hashlib.sha256(module).hexdigest()[:8]}"
        with FileLock(f"{folder}.lock"):
            if not (folder.is_dir() and self._note(folder).is_file()):
                shutil.rmtree(folder, ignore_errors=True)  # of tests that were killed
                make(folder)
                write_json(self._note(folder), _content(folder))
        self._used[folder] = json.loads(self._note(folder).read_text())
        return folder

    def _note(self, folder: Path) -> Path:
        return folder.with_name(f"{folder.name}.json")

    def check(self) -> None:
        """Makes sure that no test has changed a folder.

        Raises:
            AssertionError: One has; the next tests make it anew.
        """
        for folder, made in self._used.items():
            now = _content(folder)
            changed = sorted(name for name in made | now if made.get(name) != now.get(name))
            if changed:
                self._note(folder).unlink(missing_ok=True)
            assert not changed, f"a test changed {folder}: {changed}. It takes a copy"
