"""Features that are computed once, in a file that a kill leaves to go on with."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from pipeline import progress
from pipeline.dataset.stored_features import open_features, spans_of, write_features
from pipeline.manifest.rows import Row
from pipeline.manifest.stored import Clip
from pipeline.video import decode_jpeg, encode_jpeg
from tests.processes import python_processes

SHAPE = (100, 2, 3)


def clip_of(frames, first, number):
    row = Row(path="/x.avi", label="a", group="g")
    return Clip(row=row, name="x.avi", frames=frames, first_frame=first, num_frames=number)


def clips():
    """Four parts of three videos, two of which share frames."""
    return [clip_of(*of) for of in (("a", 0, 40), ("b", 30, 7), ("c", 0, 30), ("c", 20, 33))]


def images():
    rng = np.random.default_rng(0)
    for picture in rng.integers(256, size=(100, 8, 8, 3), dtype=np.uint8):
        yield encode_jpeg(picture, quality=90)


def means(images):
    """Two variants of three features."""
    mean = images.mean(axis=(1, 2), dtype=np.float32)
    return np.stack([mean, -mean], axis=1)


def write(path, extract=means):
    return write_features(path, spans_of(clips()), images(), decode_jpeg, extract, shape=SHAPE)


SLOW = """
import sys
from pathlib import Path
from tests.dataset.test_stored_features import means, write

def extract(images):
    print(len(images), flush=True)
    sys.stdin.readline()
    return means(images)

write(Path(sys.argv[1]), extract)
"""


def test_the_places_of_videos_and_what_is_said_without_a_terminal(tmp_path, monkeypatch, capsys):
    written = write(tmp_path / "features" / "x.f32")
    assert open_features(written.path) == written
    assert written.spans == (("a", 0, 40), ("b", 30, 7), ("c", 0, 53))
    numbers = np.array([2, 0, 2])
    for clip, row in zip(clips(), (0, 40, 47, 67), strict=True):
        np.testing.assert_array_equal(written.of(clip, numbers), written.features[row + numbers])
    apart = [clip_of("a", 0, 5), clip_of("a", 9, 1), clip_of("a", 5, 2)]
    assert spans_of(apart) == (("a", 0, 7), ("a", 9, 1))
    assert written.features.shape == SHAPE
    assert sorted(file.name for file in written.path.parent.iterdir()) == ["x.f32", "x.json"]
    monkeypatch.setattr(progress, "_SECONDS_A_LINE", 0.0)
    write(tmp_path / "x.f32")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6  # of 7 batches, the last ends it
    assert lines[1].startswith("computing features: 32 of 100 frames, 0:0")
    assert lines[1].endswith(" left")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_and_started_again_computes_the_rest(tmp_path):
    whole, path = write(tmp_path / "whole.f32"), tmp_path / "killed.f32"
    with python_processes() as start:
        process = start("-c", SLOW, path, stdin=subprocess.PIPE)
        for number in range(4):
            assert process.stdout.readline() == "16\n"
            if number < 3:
                process.stdin.write("\n")
                process.stdin.flush()
        process.send_signal(signal.SIGKILL)  # at its fourth batch
    assert open_features(path) is None
    with (tmp_path / "killed.f32.part").open("ab") as file:
        file.write(b"torn")
    computed = []
    again = write(path, lambda images: computed.append(len(images)) or means(images))
    assert sum(computed) == 100 - 3 * 16
    assert path.read_bytes() == whole.path.read_bytes()
    assert again.spans == whole.spans
    assert len([*tmp_path.iterdir()]) == 4  # two whole ones, and what each holds
