"""Classifying while frames come gives what classifying the whole gives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.video import LiveVideo, read_frames, write_video

SCRIPT = Path(__file__).parents[2] / "scripts" / "stream.py"


@pytest.fixture(scope="module")
def video(blob_videos, tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "long.avi"
    names = ("left/g00 0.avi", "right/g01 0.avi", "left/g02 0.avi")
    frames = np.concatenate([read_frames(blob_videos / name, range(12)) for name in names])
    write_video(path, frames, fps=10, codec="FFV1")
    return path


def follow(run, video, **options):
    with LiveVideo(str(video)) as live:
        return list(classify_stream(Classifier(run), live, **options))


def test_results_are_those_of_the_windows_of_the_file(hasty_run, video):
    results = follow(hasty_run, video, every=4, window_seconds=0.8)
    windows = make_timeline(Classifier(hasty_run), video, window_seconds=0.8, overlap=0.5).windows
    assert len(results) == len(windows) == 8
    calibration = read_bundle(hasty_run).calibration
    for result, window in zip(results, windows, strict=True):
        assert result.seconds == pytest.approx(window.end_seconds)
        highest = calibration.probabilities(window.logits).max()
        assert result.prediction.probability == pytest.approx(highest, abs=1e-5)
        assert 0 <= result.latency_seconds < 60
        assert (result.dropped, result.reconnects) == (0, 0)


def test_frame_by_frame_a_window_ends_with_the_result_of_the_window(hasty_run, video):
    whole = follow(hasty_run, video, every=8, window_seconds=0.8)
    stepwise = follow(hasty_run, video, every=1, window_seconds=0.8, stateful=True)
    assert len(stepwise) == 36
    assert [r.seconds for r in stepwise] == pytest.approx(np.arange(1, 37) / 10)
    for result in whole[:4]:
        (same,) = (r for r in stepwise if r.seconds == pytest.approx(result.seconds))
        assert same.prediction.probability == pytest.approx(result.prediction.probability, abs=1e-4)
        assert same.prediction.label == result.prediction.label
        assert same.prediction.duration_seconds == pytest.approx(0.8)


def test_mistakes(hasty_run, video):
    with pytest.raises(ConfigError, match="--every must be at least 1"):
        follow(hasty_run, video, every=0)


def stream(*arguments, **options):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120, **options)


def test_what_is_piped_in(hasty_run, video):
    options = ("--every", 4, "--window", 0.8, "--run", hasty_run.folder)
    with video.open("rb") as file:
        piped = stream("-", *options, "--json", stdin=file)
    assert (piped.returncode, piped.stderr) == (0, b"")
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    wanted = follow(hasty_run, video, every=4, window_seconds=0.8)
    assert [line["seconds"] for line in lines] == pytest.approx([r.seconds for r in wanted])
    labels = [line["prediction"]["label"] for line in lines]
    assert labels == [r.prediction.label for r in wanted]
    text = stream(video, *options)
    assert len(text.stdout.splitlines()) == 8
    first = wanted[0].prediction
    start = f"     0.8 s   {first.label} {first.probability:.2f}   after "
    assert text.stdout.decode().startswith(start)


def test_a_source_that_gives_nothing(hasty_run, tmp_path):
    result = stream(tmp_path / "none.avi", "--run", hasty_run.folder)
    assert result.returncode == 2
    assert b"no video that OpenCV can decode comes from it" in result.stderr
    assert len(result.stderr.splitlines()) == 1
