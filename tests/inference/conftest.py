"""Files that classifying comes upon, and one that hangs its decoder."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "classify.py"


@pytest.fixture(scope="session")
def folder(blob_videos, tmp_path_factory):
    """Four good videos, nested, and files that are none."""
    root = tmp_path_factory.mktemp("many") / "clips"
    (root / "inner").mkdir(parents=True)
    for number, name in enumerate(("b.avi", "a.avi", "inner/c.AVI", "inner/d.avi")):
        shutil.copy(blob_videos / "left" / f"g0{number} 0.avi", root / name)
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("no video")
    (root / "notes.txt").write_text("not named as a video")
    (root / ".hidden.avi").write_text("hidden")
    return root


class Endless:
    """A file that hangs its decoder: it goes on in a pipe that nobody writes to.

    Attributes:
        path: The file.
    """

    def __init__(self, start, folder):
        self._pipe = folder / "pipe"
        os.mkfifo(self._pipe)
        shutil.copy(start, folder / "first.part")
        self.path = folder / "endless.avi"
        self.path.write_text("ffconcat version 1.0\nfile first.part\nfile pipe\n")

    @contextlib.contextmanager
    def hanging(self):
        """Waits until a decoder reads the pipe, which ends with this."""
        end = wait_for(self._writing_end)
        try:
            yield
        finally:
            os.close(end)

    def crash(self, parent, number=signal.SIGSEGV):
        """Crashes the decoder that hangs, one of the children of a process."""
        with self.hanging():
            self.kill_decoder(parent, number)

    def kill_decoder(self, parent, number=signal.SIGSEGV):
        """Does so when it hangs."""
        os.kill(wait_for(lambda: self._decoder(parent)), number)

    def _writing_end(self):
        with contextlib.suppress(OSError):  # Nobody reads it yet.
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)

    def _decoder(self, parent):
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in children.read_text().split():
                files = Path(f"/proc/{child}/fd").iterdir()
                if any(each.exists() and each.samefile(self._pipe) for each in files):
                    return int(child)
        return None


def wait_for(find):
    """What is found, once there is something."""
    deadline = time.monotonic() + 60
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.fixture
def endless(folder, tmp_path):
    return Endless(folder / "b.avi", tmp_path)


@pytest.fixture
def start():
    """Starts `classify.py`; a context manager."""

    def start(*arguments, cwd=None):
        command = [sys.executable, SCRIPT, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, **pipes, text=True, cwd=cwd)

    return start


@pytest.fixture
def classify(start):
    """Runs `classify.py`; gives its exit code and what it printed."""

    def classify(*arguments, cwd=None):
        with start(*arguments, cwd=cwd) as process:
            output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return classify
