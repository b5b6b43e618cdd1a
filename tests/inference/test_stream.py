"""Classifying while frames come gives what classifying the whole gives."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.tasks.exclusive import Exclusive
from pipeline.video import LiveFrame, LiveVideo, iter_frames, write_video
from tests.inference.commands import SCRIPTS, run
from tests.inference.videos import write_joined

OPTIONS = {"every": 4, "window_seconds": 0.8}


@pytest.fixture(scope="module")
def video(blob_videos, tmp_path_factory):
    names = ("left/g00 0.avi", "right/g01 0.avi", "left/g02 0.avi")
    return write_joined(tmp_path_factory.mktemp("stream") / "long.avi", blob_videos, names)


def follow(run, video, **options):
    with LiveVideo(str(video)) as live:
        return list(classify_stream(Classifier(run), live, **options))


def test_results_are_those_of_the_windows_of_the_file(hasty_run, video):
    results = follow(hasty_run, video, **OPTIONS)
    windows = make_timeline(Classifier(hasty_run), video, window_seconds=0.8, overlap=0.5).windows
    assert len(results) == len(windows) == 8
    calibration = read_bundle(hasty_run).calibration
    for result, window in zip(results, windows, strict=True):
        assert result.seconds == pytest.approx(window.end_seconds)
        highest = Exclusive().probabilities(window.logits, calibration.temperature).max()
        assert result.prediction.probability == pytest.approx(highest, abs=1e-5)
        assert 0 <= result.latency_seconds < 60
        assert (result.dropped, result.reconnects) == (0, 0)


class Gaps(LiveVideo):
    """The frames of a file as a live stream from which some were dropped.

    Args:
        source: The file.
        times: Of the frames, in seconds.
    """

    def __init__(self, source, times):
        super().__init__(str(source))
        self.is_live, self.times = True, times

    def __iter__(self):
        for seconds, image in zip(self.times, iter_frames(self.name), strict=False):
            yield LiveFrame(seconds, time.perf_counter(), image)


def counting(classifier, seconds=0.0):
    """Counts the calls of the backbone of a classifier, and makes them last longer."""
    calls, features = [], classifier.members[0].runtime.features

    def slow_features(pairs):
        calls.append(pairs)
        time.sleep(seconds)
        return features(pairs)

    classifier.members[0].runtime.features = slow_features
    return calls


def test_after_a_gap_a_live_stream_shows_what_a_file_does(hasty_run, video, tmp_path):
    """The gaps, 0.4 and 3600 seconds, hold fewer and more frames than a window has."""
    times = [0.0, 0.4, *(3600 + index / 10 for index in range(24))]
    classifier = Classifier(hasty_run)
    calls = counting(classifier)
    results = list(classify_stream(classifier, Gaps(video, times), **OPTIONS))
    assert len(calls) <= len(times) + 3, "one more for each gap, and for no motion"
    frames = np.stack(list(iter_frames(video)))[: len(times)]
    shown = np.concatenate([frames[[0] * 4 + [1] * 8], frames[2:]])
    write_video(tmp_path / "shown.avi", shown, fps=10, codec="FFV1")
    wanted = follow(hasty_run, tmp_path / "shown.avi", **OPTIONS)
    for result, same in zip(results, wanted, strict=True):
        skipped = 3598.8 if same.seconds > 0.5 else 0
        assert result.seconds == pytest.approx(same.seconds + skipped)
        assert result.prediction.probability == pytest.approx(same.prediction.probability, abs=1e-5)


def test_a_slow_model_does_not_fall_behind_a_camera(hasty_run, make_camera):
    camera = make_camera(60, frame_seconds=0.02)
    classifier = Classifier(hasty_run)
    calls, results = counting(classifier, seconds=0.15), []
    with (
        LiveVideo(camera.address, tries=1) as live,
        pytest.raises(VideoDecodeError, match="it broke off"),
    ):
        results.extend(classify_stream(classifier, live, every=1, window_seconds=0.8))
    taken = 60 - live.dropped
    assert live.dropped > 20
    assert len(calls) <= 2 * taken + 1
    assert results
    assert max(result.latency_seconds for result in results) < 5


def test_what_is_piped_in(hasty_run, video):
    words = ("--every", "4", "--window", "0.8", "--run", hasty_run.folder)
    command = [sys.executable, SCRIPTS / "stream.py", "-", *words, "--json"]
    with video.open("rb") as file:
        piped = subprocess.run(command, capture_output=True, check=False, timeout=120, stdin=file)
    assert (piped.returncode, piped.stderr) == (0, b"")
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    wanted = follow(hasty_run, video, **OPTIONS)
    assert [line["seconds"] for line in lines] == pytest.approx([r.seconds for r in wanted])
    labels = [line["prediction"]["label"] for line in lines]
    assert labels == [r.prediction.label for r in wanted]
    text = run("stream", video, *words)
    assert len(text.output.splitlines()) == 8
    first = wanted[0].prediction
    start = f"     0.8 s   {first.label} {first.probability:.2f}   after "
    assert text.output.startswith(start)


def test_a_source_that_gives_nothing_or_ends_too_soon(hasty_run, video, tmp_path):
    for source, message in (
        ("none.avi", "there is no such file"),
        ("²", "there is no such file"),
        ("99999999999", "no camera has such a number"),
        (os.fsdecode(b"\xff.avi"), "its name is not valid UTF-8"),
        (video, "ended before a window was full. Name a shorter one (--window)"),
    ):
        words = (source, "--window", 9, "--run", hasty_run.folder)
        assert message in run("stream", *words, cwd=tmp_path).mistake
    with pytest.raises(ConfigError, match="--every must be from 1 to"):
        follow(hasty_run, video, every=0)
