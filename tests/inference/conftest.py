"""Runs and exports, files that classifying comes upon, and one that hangs its decoder."""

import contextlib
import dataclasses
import os
import pickle
import shutil
import signal
import sys
from pathlib import Path

import pytest

from pipeline.inference.agreement import FORMATS
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, write_calibration
from tests.inference.videos import GOOD
from tests.processes import children_of, wait_until
from tests.runs import changed, drawn_run


@pytest.fixture(scope="session")
def small_config(blob_config):
    """Of a network that takes little time, and whose answers tell one video from another."""
    tiny = {"backbone.filters": [4, 4], "temporal.kind": "gru", "temporal.units": 64}
    return changed(blob_config, {**tiny, "clip.num_frames": 4, "clip.views": 1})


def answer_all(run, folder):
    from pipeline.evaluation.predict import predict_split
    from pipeline.training.run_folder import open_run

    copy = Run(shutil.copytree(run.folder, folder))
    for split in ("val", "test"):
        predict_split(open_run(copy), split)


@pytest.fixture(scope="session")
def answered_run(hasty_run, made):
    """`hasty_run` with its answers for the videos of its data set."""
    return Run(made("hasty answers", lambda folder: answer_all(hasty_run, folder)))


def export_all(config, folder):
    from pipeline.inference.export import export
    from pipeline.training.run_folder import open_run

    run = drawn_run(config, folder / "run", exported=False)
    write_calibration(run, Calibration(temperature=1.5, logit_threshold=0.6, num_videos=1))
    exports = {}
    for kind in FORMATS:
        found = export(open_run(run), kind)
        inside = Run(found.run.folder.relative_to(run.folder))
        exports[kind] = dataclasses.replace(found, run=inside)
    (folder / "exports.pickle").write_bytes(pickle.dumps(exports))
    run.folder.rename(folder / "moved")


@pytest.fixture(scope="session")
def exports(small_config, made):
    """Each format of a run, which has been moved since, as `export` gave it; not to be changed."""
    folder = made("exports", lambda folder: export_all(small_config, folder))
    found = pickle.loads((folder / "exports.pickle").read_bytes())  # noqa: S301
    runs = {kind: Run(folder / "moved" / each.run.folder) for kind, each in found.items()}
    return {
        kind: dataclasses.replace(each, run=runs[kind], model=runs[kind].folder / each.model.name)
        for kind, each in found.items()
    }


@pytest.fixture(scope="session")
def folder(blob_videos, tmp_path_factory):
    """The files `GOOD`, nested, the bad ones `BAD`, and files that are not named as videos."""
    root = tmp_path_factory.mktemp("many") / "clips"
    (root / "inner").mkdir(parents=True)
    for number, name in enumerate(GOOD):
        shutil.copy(blob_videos / "left" / f"g0{number} 0.avi", root / name)
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("no video")
    (root / "notes.txt").write_text("not named as a video")
    (root / ".hidden.avi").write_text("hidden")
    return root


@pytest.fixture(scope="session")
def video(blob_videos):
    """Twelve frames that show the class `left`."""
    return blob_videos / "left" / "g00 0.avi"


class Endless:
    """The file `path` hangs its decoder: it goes on in a pipe that nobody writes to."""

    def __init__(self, start, folder):
        self._pipe = folder / "pipe"
        os.mkfifo(self._pipe)
        shutil.copy(start, folder / "first.part")
        self.path = folder / "endless.avi"
        self.path.write_text("ffconcat version 1.0\nfile first.part\nfile pipe\n")

    @contextlib.contextmanager
    def hanging(self):
        """Waits until a decoder reads the pipe, which ends with this."""
        end = wait_until(self._writing_end)
        try:
            yield
        finally:
            os.close(end)

    def crash(self, parent, number=signal.SIGSEGV):
        """Crashes the decoder that hangs, one of the children of a process."""
        with self.hanging():
            os.kill(wait_until(lambda: self._decoder(parent)), number)

    def _writing_end(self):
        with contextlib.suppress(OSError):  # Nobody reads it yet.
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)

    def _decoder(self, parent):
        for child in children_of(parent):
            with contextlib.suppress(OSError):  # It has ended, or closed a file, meanwhile.
                files = Path(f"/proc/{child}/fd").iterdir()
                if any(each.exists() and each.samefile(self._pipe) for each in files):
                    return child
        return None


@pytest.fixture
def endless(folder, tmp_path):
    if sys.platform != "linux":
        pytest.skip("looks for processes in /proc")
    return Endless(folder / "b.avi", tmp_path)
