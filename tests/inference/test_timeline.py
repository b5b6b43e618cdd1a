"""What happens when in a long video: found, said, and drawn."""

import dataclasses
import itertools
import json
import shutil
import sys
from argparse import Namespace

import numpy as np
import pytest

from pipeline.cli.timelines import format_timeline, show_timelines
from pipeline.errors import ConfigError
from pipeline.evaluation.segmental import segmental_scores
from pipeline.inference.annotate import annotate
from pipeline.inference.classifier import Classifier
from pipeline.inference.results import open_results
from pipeline.inference.segments import Segment
from pipeline.inference.timeline import make_timeline
from pipeline.video import iter_frames, probe, write_video
from tests.inference.commands import classify

PARTS = [("left", 0), ("right", 1), ("left", 2), ("right", 3), ("left", 1)]
TIMES = np.arange(0.05, 12, 0.1)


@pytest.fixture(scope="module")
def long_video(blob_videos, tmp_path_factory):
    """Five test videos of 1.2 s, one after the other, each twice over; and what is in it."""
    frames = [
        frame
        for label, group in PARTS
        for _ in range(2)
        for frame in iter_frames(blob_videos / label / f"g0{group} 0.avi")
    ]
    frames = np.stack(frames).repeat(4, axis=1).repeat(4, axis=2)
    path = tmp_path_factory.mktemp("timeline") / "a long vidéo.avi"
    write_video(path, frames, fps=10, codec="FFV1")
    return path, [
        Segment(2.4 * i, 2.4 * (i + 1), label, 1.0, 5.0) for i, (label, _) in enumerate(PARTS)
    ]


@pytest.fixture(scope="module")
def timeline(blob_run, long_video):
    return make_timeline(Classifier(blob_run), long_video[0], window_seconds=0.8)


def test_each_action_is_found_where_it_is(timeline, long_video):
    found, true = (
        np.array([next(s.label for s in segments if s.end_seconds > t) for t in TIMES]) == "left"
        for segments in (timeline.segments, long_video[1])
    )
    assert segmental_scores([found], [true])["f1_50"] >= 0.8
    ends = [segment.end_seconds for segment in timeline.segments]
    starts = [segment.start_seconds for segment in timeline.segments]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == pytest.approx(12)
    assert timeline.info.num_frames == 120


def test_what_a_timeline_is(timeline, long_video, blob_run):
    """A window is as long as a usual training video."""
    assert repr(timeline).startswith(f"<{str(long_video[0])!r}, 0:12.0: 0:00.0 left, 0:")
    assert len(repr(timeline)) < 250
    classifier = Classifier(blob_run)
    assert classifier.bundle.calibration.clip_seconds == 2.0, "of a run that was not calibrated"
    assert make_timeline(classifier, long_video[0]).window_seconds == pytest.approx(1.6)
    assert timeline.window_seconds == pytest.approx(0.8), "8 frames, a whole number apart"
    assert timeline != make_timeline(classifier, long_video[0], window_seconds=0.8)
    with pytest.raises(ConfigError, match="hysteresis must be from 0 to 1"):
        make_timeline(classifier, long_video[0], hysteresis=5)


def test_a_video_shorter_than_a_window_is_what_classifying_says_of_it(hasty_run, video, tmp_path):
    one = tmp_path / "one.avi"
    write_video(one, np.zeros((1, 32, 32, 3), np.uint8), fps=10, codec="FFV1")
    for (path, seconds), short in itertools.product(((video, 1.2), (one, 0.1)), ("mask", "hold")):
        classifier = Classifier(hasty_run)
        clip = dataclasses.replace(classifier.bundle.clip, short=short)
        bundle = dataclasses.replace(classifier.bundle, clip=clip)
        classifier.bundle = classifier.members[0].bundle = bundle
        (segment,) = make_timeline(classifier, path, window_seconds=9).segments
        assert (segment.start_seconds, segment.end_seconds) == (0, pytest.approx(seconds))
        answer = classifier.predict(path)
        assert segment.label == answer.label
        assert segment.probability == pytest.approx(answer.probability)


def test_the_annotated_video_is_the_video_with_labels(timeline, long_video, tmp_path):
    out = tmp_path / "annotated.avi"
    annotate(timeline, out)
    before, after = probe(long_video[0]), probe(out, count_frames=True)
    assert after.num_frames == 120
    assert (after.width, after.height, after.fps) == (before.width, before.height, before.fps)
    middle = slice(40, 115)  # between the label above and the timeline below
    for frame, drawn in zip(iter_frames(long_video[0]), iter_frames(out), strict=True):
        assert np.abs(frame[middle].astype(int) - drawn[middle]).mean() < 6
        assert np.abs(frame[4:16, :60].astype(int) - drawn[4:16, :60]).mean() > 12
    edges = [0.0, *np.linspace(5, 5.01, 20), 12.0]
    narrow = tuple(  # some segments are narrower than a pixel
        Segment(start, end, ("left", "right")[index % 2], 1.0, 5.0)
        for index, (start, end) in enumerate(itertools.pairwise(edges))
    )
    annotate(dataclasses.replace(timeline, segments=narrow), tmp_path / "out.avi")
    assert probe(tmp_path / "out.avi").declared_frames == 120


# The command.


def test_it_prints_and_writes(blob_run, long_video, timeline, tmp_path):
    outputs = [tmp_path / name for name in ("x.json", "x.srt", "x.png")]
    options = ("--timeline", "--window", 0.8, "--run", blob_run.folder)
    done = classify(long_video[0], *options, "--out", *outputs, "--annotate", tmp_path / "x.mp4")
    assert (done.code, done.errors) == (0, "")
    assert done.output == f"{format_timeline(timeline)}\n"
    assert done.output.startswith("0:00.0 to 0:")
    assert all(path.stat().st_size > 100 for path in [*outputs, tmp_path / "x.mp4"])
    assert json.loads(classify(long_video[0], *options, "--json").output) == timeline.as_json()


def test_files_are_written_though_nobody_reads_what_is_printed(
    blob_run, long_video, tmp_path, monkeypatch
):
    def broken(*args, **options):
        raise BrokenPipeError

    options = Namespace(
        videos=[str(long_video[0])], list=None, window=0.8, overlap=None, json=False, bins=None
    )
    options.out, options.annotate = [str(tmp_path / "x.eaf")], str(tmp_path / "x.avi")
    monkeypatch.setattr("builtins.print", broken)
    with pytest.raises(BrokenPipeError):
        show_timelines(Classifier(blob_run), options)
    assert all((tmp_path / name).stat().st_size > 100 for name in ("x.eaf", "x.avi"))


def test_what_cannot_be_written_is_said_before_work_begins(blob_run, long_video, tmp_path):
    video = tmp_path / "mine.avi"
    shutil.copy(long_video[0], video)
    (tmp_path / "there.mp4").write_text("of somebody")
    with open_results(tmp_path / "results.csv", "model"):
        pass
    results = (tmp_path / "results.csv").read_bytes()
    cases = [
        ("--annotate", "mine.avi", "mine.avi is the video itself; name another file."),
        ("--annotate", "no/x.mp4", "no does not exist; create it first."),
        ("--annotate", "x.gif", "expected a suffix among"),
        ("--annotate", "there.mp4", "there.mp4 is there already. Name another file"),
        ("--out", "results.csv", "results.csv is there already. Name another"),
        ("--out", "no/x.json", "no does not exist; create it first"),
    ]
    if sys.platform == "linux":
        none = "cannot be written: No such file"
        cases.append(("--annotate", "/proc/x.mp4", f"/proc/x.mp4: it {none}"))
        cases.append(("--out", "/proc/x.json", f"/proc/x.json {none}"))
    for option, name, message in cases:
        words = (video, "--timeline", "--run", blob_run.folder, option, name)
        assert message in classify(*words, cwd=tmp_path).mistake
    assert video.read_bytes() == long_video[0].read_bytes()
    assert (tmp_path / "results.csv").read_bytes() == results
    assert (tmp_path / "there.mp4").read_text() == "of somebody"


def test_a_file_that_crashes_its_decoder_and_a_bad_one_among_good_ones(
    start, blob_run, long_video, timeline, endless, tmp_path
):
    bad = tmp_path / "no.mp4"
    bad.write_text("no video")
    options = ("--timeline", "--window", 0.8, "--run", blob_run.folder)
    with start(endless.path, bad, long_video[0], *options) as process:
        endless.crash(process.pid)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    crashed, text = errors.splitlines()
    assert crashed == f"{endless.path}: its decoder crashed (SIGSEGV)."
    assert text.startswith(f"{bad}: it is text")
    assert output == f"{long_video[0]}\n{format_timeline(timeline)}\n"
