"""What happens when in a long video or a stream: found, said, written and drawn."""

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from argparse import Namespace

import matplotlib.image
import numpy as np
import pytest

from pipeline.cli.timelines import format_timeline, show_timelines
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.evaluation.segmental import segmental_scores
from pipeline.inference.annotate import annotate
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.results import open_results
from pipeline.inference.segments import Curve, Segment
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import Timeline, make_timeline
from pipeline.inference.timeline_files import check_output, write_timeline
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events
from pipeline.tasks.multi_class import MultiClass
from pipeline.video import LiveFrame, LiveVideo, iter_frames, probe, write_video
from tests.inference.commands import SCRIPTS, classify, run, start
from tests.inference.videos import rows, write_joined

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


def test_each_action_is_found_where_it_is(timeline, long_video, blob_run):
    """A window is as long as a usual training video."""
    found, true = (
        np.array([next(s.label for s in segments if s.end_seconds > t) for t in TIMES]) == "left"
        for segments in (timeline.segments, long_video[1])
    )
    assert segmental_scores([found], [true]).f1_50 >= 0.8
    ends = [segment.end_seconds for segment in timeline.segments]
    starts = [segment.start_seconds for segment in timeline.segments]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == pytest.approx(12)
    assert timeline.info.num_frames == 120
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
    blob_run, long_video, timeline, endless, tmp_path
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


# What is written: for programs, which read the same events, and for people.

FPS = 10.0
SEGMENTS = (
    Segment(0.0, 1.2, "wälk & <wave>", 0.9, 5.0),
    Segment(1.2, 2.5, "unknown", 0.5, 1.0),
    Segment(2.5, 3.0, "jump", 0.8, 4.0),
    Segment(3.0, 4.0, "wälk & <wave>", 0.7, 3.0),
)
ENDS = (".boris.tsv", ".eaf", ".via.json", ".label-studio.json")


@pytest.fixture
def made_up(tmp_path):
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / "day 1.avi"
    write_video(path, np.zeros((40, 16, 16, 3), np.uint8), fps=FPS, codec="FFV1")
    return Timeline(
        path=str(path),
        info=probe(path),
        window_seconds=1.0,
        windows=(),
        curve=Curve(0.1, 4.0, np.full((40, 2), 0.5), np.zeros(40)),
        segments=SEGMENTS,
        class_names=("jump", "wälk & <wave>"),
    )


def corrected(path):
    """As a person leaves the file of Label Studio who agrees with each prediction."""
    if path.name.endswith(".label-studio.json"):
        tasks = json.loads(path.read_text(encoding="utf-8"))
        tasks[0]["annotations"] = [{"id": 1, "result": tasks[0]["predictions"][0]["result"]}]
        path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


AT_ONCE = (
    Segment(0.5, 2.0, "jump", 0.9, 5.0),
    Segment(0.5, 3.0, "wälk & <wave>", 0.8, 5.0),
    Segment(2.5, 3.5, "jump", 0.7, 5.0),
)


@pytest.mark.parametrize("end", [*ENDS, ".csv"])
def test_what_was_found_reads_back_as_the_same_events(made_up, tmp_path, end):
    path = tmp_path / f"out{end}"
    for segments in (AT_ONCE,) if end == ".csv" else (SEGMENTS, AT_ONCE):
        write_timeline(dataclasses.replace(made_up, segments=segments), path)
        (found,), unmatched = match_media(read_events(corrected(path)), tmp_path / "videos")
        assert (found.path, unmatched) == (made_up.path, [])
        events = [(e.start_seconds, e.end_seconds, e.label) for e in found.events]
        assert sorted(events) == [
            (pytest.approx(s.start_seconds), pytest.approx(s.end_seconds), s.label)
            for s in segments
            if s.label != "unknown"
        ]
        told = {notice.kind for notice in found.notices}
        assert told <= {"tier", "prediction", "column left alone"}, "lengths and rates agree"


def test_a_timeline_of_one_class_or_none(made_up, tmp_path):
    write_timeline(dataclasses.replace(made_up, segments=SEGMENTS[:1]), tmp_path / "out.eaf")
    (recording,) = read_events(tmp_path / "out.eaf")
    assert [event.label for event in recording.events] == ["wälk & <wave>"], "its name, in ELAN"
    nothing = dataclasses.replace(made_up, segments=SEGMENTS[1:2])
    for path in (tmp_path / f"out{end}" for end in ENDS):
        write_timeline(nothing, path)
        assert not any(each.events for each in read_events(corrected(path)))
    write_timeline(nothing, tmp_path / "out.srt")
    assert (tmp_path / "out.srt").read_text().endswith("\nunknown\n"), "without a probability"
    assert format_timeline(nothing) == "0:01.2 to 0:02.5   unknown"


def test_every_format_says_the_same_and_the_end_of_a_name_which_it_is(made_up, tmp_path):
    assert check_output(tmp_path / "a.VIA.json") == ".via.json"
    assert check_output(tmp_path / "a.json") == ".json"
    with pytest.raises(ConfigError, match=r"end in .json, .* .boris.tsv, .eaf"):
        check_output(tmp_path / "a.tsv")
    with pytest.raises(ConfigError, match="expected names that end in .json, .csv, .srt, .png"):
        write_timeline(made_up, tmp_path / "out.doc")
    for suffix in ("json", "csv", "srt", "PNG"):
        write_timeline(made_up, tmp_path / f"out.{suffix}")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content == made_up.as_json()
    assert (content["path"], len(content["segments"])) == (made_up.path, 4)
    subtitles = (tmp_path / "out.srt").read_text(encoding="utf-8").split("\n\n")
    for number, (segment, line, subtitle) in enumerate(
        zip(SEGMENTS, rows(tmp_path / "out.csv"), subtitles, strict=True), start=1
    ):
        assert line["label"] == segment.label
        assert line == {**line, "probability": f"{segment.probability:.4f}"}
        for name in ("start_seconds", "end_seconds", "max_logit"):
            assert float(line[name]) == pytest.approx(getattr(segment, name), abs=1e-3)
        place = rf"{number}\n00:00:(\S+) --> 00:00:(\S+)\n{segment.label}( 0\.\d0)?\n?"
        *times, probability = re.fullmatch(place, subtitle).groups()
        found = [float(each.replace(",", ".")) for each in times]
        assert found == [segment.start_seconds, segment.end_seconds]
        known = segment.label != "unknown"
        assert probability == (f" {segment.probability:.2f}" if known else None)
    assert matplotlib.image.imread(tmp_path / "out.PNG").shape[1] == 1440


def test_several_at_once_are_joined_in_subtitles_and_apart_in_a_table_of_bouts(made_up, tmp_path):
    several = dataclasses.replace(made_up, segments=AT_ONCE)
    write_timeline(several, tmp_path / "out.srt")
    blocks = (tmp_path / "out.srt").read_text(encoding="utf-8").split("\n\n")
    times, *told = zip(*(block.strip().split("\n", 2)[1:] for block in blocks), strict=True)
    jump, wave = "jump 0.90", "wälk & <wave> 0.80"
    assert told == [(f"{jump}\n{wave}", wave, f"{wave}\njump 0.70", "jump 0.70")]
    assert times[1:3] == ("00:00:02,000 --> 00:00:02,500", "00:00:02,500 --> 00:00:03,000")
    write_timeline(several, tmp_path / "out.bouts.csv", bin_seconds=3)
    found = rows(tmp_path / "out.bouts.csv")
    assert [(row["class"], row["bin"]) for row in found] == [
        (name, each) for name in made_up.class_names for each in ("whole", "1", "2")
    ]
    whole, first, second = found[:3]
    columns = ("count", "total_seconds", "mean_seconds", "latency_seconds", "share")
    assert [whole[name] for name in columns] == ["2", "2.500", "1.250", "0.500", "0.625"]
    assert [first[name] for name in columns[:3]] == ["2", "2.000", ""]
    assert [second[name] for name in columns[:2]] == ["0", "0.500"]
    assert second["end_seconds"] == "4.000"
    plain = dataclasses.replace(several, background="jump")
    write_timeline(plain, tmp_path / "plain.bouts.csv")
    assert len(rows(tmp_path / "plain.bouts.csv")) == 1


def test_pictures_of_several_at_once(made_up, tmp_path):
    """Each label in the frames at which it holds; a row a class below."""
    large = tmp_path / "large.avi"
    write_video(large, np.full((40, 240, 320, 3), 255, np.uint8), fps=FPS, codec="FFV1")
    path = tmp_path / "drawn.avi"
    annotate(dataclasses.replace(made_up, path=str(large), segments=AT_ONCE), path)
    dark = [frame[:120, :30].mean(axis=-1) < 100 for frame in iter_frames(path)]
    heights = [int(each.any(axis=1).sum()) for each in dark]
    one, two = heights[22], heights[10]
    assert [heights[at] for at in (0, 36, 39)] == [0, 0, 0]
    assert two > 1.8 * one > 0
    assert heights[32] == pytest.approx(one, abs=8)
    for segments in ((), AT_ONCE):
        write_timeline(dataclasses.replace(made_up, segments=segments), tmp_path / "out.png")
        assert matplotlib.image.imread(tmp_path / "out.png").shape[1] == 1440


# Classifying while frames come gives what classifying the whole gives.

OPTIONS = {"every": 4, "window_seconds": 0.8}


@pytest.fixture(scope="module")
def streamed(blob_videos, tmp_path_factory):
    names = ("left/g00 0.avi", "right/g01 0.avi", "left/g02 0.avi")
    return write_joined(tmp_path_factory.mktemp("stream") / "long.avi", blob_videos, names)


def follow(run, video, **options):
    with LiveVideo(str(video)) as live:
        return list(classify_stream(Classifier(run), live, **options))


def test_results_are_those_of_the_windows_of_the_file_also_when_piped_in(hasty_run, streamed):
    results, classifier = follow(hasty_run, streamed, **OPTIONS), Classifier(hasty_run)
    windows = make_timeline(classifier, streamed, window_seconds=0.8, overlap=0.5).windows
    assert len(results) == len(windows) == 8
    calibration = read_bundle(hasty_run).calibration
    for result, window in zip(results, windows, strict=True):
        assert result.seconds == pytest.approx(window.end_seconds)
        highest = MultiClass().probabilities(window.logits, calibration.temperature).max()
        assert result.prediction.probability == pytest.approx(highest, abs=1e-5)
        assert 0 <= result.latency_seconds < 60
        assert (result.dropped, result.reconnects) == (0, 0)
    words = ("--every", "4", "--window", "0.8", "--run", hasty_run.folder)
    command = [sys.executable, SCRIPTS / "stream.py", "-", *words, "--json"]
    with streamed.open("rb") as file:
        piped = subprocess.run(command, capture_output=True, check=False, timeout=120, stdin=file)
    assert (piped.returncode, piped.stderr) == (0, b"")
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [line["seconds"] for line in lines] == pytest.approx([r.seconds for r in results])
    first, *_ = found = [result.prediction for result in results]
    assert [line["prediction"]["label"] for line in lines] == [each.label for each in found]
    text = run("stream", streamed, *words)
    assert len(text.output.splitlines()) == 8
    assert text.output.startswith(f"     0.8 s   {first.label} {first.probability:.2f}   after ")


class Gaps(LiveVideo):
    """The frames of a file, at other times, as a live stream from which some were dropped."""

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


def test_after_a_gap_a_live_stream_shows_what_a_file_does(hasty_run, streamed, tmp_path):
    """The gaps, 0.4 and 3600 seconds, hold fewer and more frames than a window has."""
    times = [0.0, 0.4, *(3600 + index / 10 for index in range(24))]
    classifier = Classifier(hasty_run)
    calls = counting(classifier)
    results = list(classify_stream(classifier, Gaps(streamed, times), **OPTIONS))
    assert len(calls) <= len(times) + 3, "one more for each gap, and for no motion"
    frames = np.stack(list(iter_frames(streamed)))[: len(times)]
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


def test_a_source_that_gives_nothing_or_ends_too_soon(hasty_run, streamed, tmp_path):
    for source, message in (
        ("none.avi", "there is no such file"),
        ("²", "there is no such file"),
        ("99999999999", "no camera has such a number"),
        (os.fsdecode(b"\xff.avi"), "its name is not valid UTF-8"),
        (streamed, "ended before a window was full. Name a shorter one (--window)"),
    ):
        words = (source, "--window", 9, "--run", hasty_run.folder)
        assert message in run("stream", *words, cwd=tmp_path).mistake
    with pytest.raises(ConfigError, match="--every must be from 1 to"):
        follow(hasty_run, streamed, every=0)
