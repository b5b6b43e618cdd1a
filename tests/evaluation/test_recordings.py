"""Recordings: their scores by segments, bouts and frames, what is kept of them, and ribbons."""

import dataclasses
import re

import numpy as np
import pytest
from sklearn import metrics

from pipeline.config import ModelConfig
from pipeline.errors import DataError
from pipeline.evaluation.frame_scores import frame_scores, video_scores
from pipeline.evaluation.frames_report import (
    LAST_TICK,
    MOST_TICKS,
    Mistake,
    longest_mistakes,
    ribbon,
    ticks,
)
from pipeline.evaluation.intervals import accuracy_ends, accuracy_interval
from pipeline.evaluation.predictions import (
    Predictions,
    joined,
    predictions_file,
    read_predictions,
    write_predictions,
)
from pipeline.evaluation.recordings import Agreed, Recording, bouts, summary, write_bouts
from pipeline.evaluation.results import as_json, score_recordings
from pipeline.evaluation.segmental import (
    Lateness,
    Overlaps,
    SegmentCounts,
    edit_score,
    matches,
    segment_f1,
    segment_scores,
    segmental_scores,
    segments_at_once,
    segments_of,
)
from pipeline.run import Run
from pipeline.tasks.amounts import Amount
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording


def labels(text):
    """A label a letter; a dot is background, which is 0."""
    return np.array([".abc".index(letter) for letter in text])


def scores(found, true):
    return segmental_scores([labels(found)], [labels(true)], background=(0,))


def test_segments_are_runs_of_one_label_in_the_order_of_their_start():
    assert segments_of(labels("aab..b")).tolist() == [[1, 0, 2], [2, 2, 3], [0, 3, 5], [2, 5, 6]]
    assert segments_of(labels("aab..b"), (0,)).tolist() == [[1, 0, 2], [2, 2, 3], [2, 5, 6]]
    assert segments_of(labels("")).shape == (0, 3)
    holds = at_once("##.#", "..##", "####")
    expected = [[0, 0, 2], [2, 0, 4], [1, 2, 4], [0, 3, 4]]
    assert segments_at_once(holds).tolist() == expected
    assert segments_at_once(holds[:0]).shape == (0, 3)
    # Those of one class at a time are those of labels.
    for classes in np.random.default_rng(0).integers(3, size=(20, 12)):
        found = segments_at_once(np.eye(3, dtype=bool)[classes])
        assert found.tolist() == segments_of(classes).tolist()


def test_edit_score_is_that_of_every_way_of_counting():
    for found, true, expected in (
        ("abab", "ab..", 100 * (1 - 2 / 4)),
        ("cab", "abc", 100 * (1 - 2 / 3)),  # c goes out in front and comes in at the end
        ("....", "abab", 0),
        ("....", "....", 100),
    ):
        assert scores(found, true).edit == pytest.approx(expected)

    def distance(one, other):
        if not one or not other:
            return len(one) + len(other)
        same = distance(one[1:], other[1:])
        if one[0] == other[0]:
            return same
        return 1 + min(same, distance(one[1:], other), distance(one, other[1:]))

    rng = np.random.default_rng(0)
    for _ in range(30):
        one, other = (rng.integers(3, size=rng.integers(1, 6)).tolist() for _ in range(2))
        as_segments = [np.array([[label, 0, 0] for label in each]) for each in (one, other)]
        expected = 100 * (1 - distance(one, other) / max(len(one), len(other)))
        assert edit_score(*as_segments) == pytest.approx(expected)
    # F1 of segments.
    for found, f1_25, f1_50 in (
        ("aaaaaaab", 1, 0.5),  # 4 of 7 of a, 1 of 4 of b
        ("aabbbbbb", 1, 1),
        ("a.a.bbbb", 2 * 2 / 5, 2 * 1 / 5),  # the first quarter of a counts, the second does not
        ("bbbbaaaa", 0, 0),
    ):
        result = scores(found, "aaaabbbb")
        assert (result.f1_25, result.f1_50) == pytest.approx((f1_25, f1_50))
    # Recordings count together, but the edit score is their mean.
    found, true = [labels("abb"), labels("cccc")], [labels("abb"), labels("aaac")]
    result = segmental_scores(found, true)
    assert result.edit == pytest.approx((100 + 50) / 2)
    assert result.f1_25 == pytest.approx(2 * 3 / (3 + 4))
    with pytest.raises(ValueError, match="zip"):
        segmental_scores(found, true[:1])
    nothing = segments_of(labels(""))
    assert segment_f1([(nothing, nothing)], 0.5) == 1


def several(*recordings):
    return segment_scores(recordings, background=None, exclusive=False)


def brute_matches(found, true, overlap):
    """Frame by frame, as sets."""

    def share(one, other):
        one, other = set(range(*one)), set(range(*other))
        return len(one & other) / len(one | other)

    hits = set()
    for label, *span in found.tolist():
        rows = [row for row, (name, *_) in enumerate(true.tolist()) if name == label]
        best = max(rows, key=lambda row, span=span: share(span, true[row, 1:]), default=None)
        if best is not None and share(span, true[best, 1:]) >= overlap:
            hits.add(best)
    return hits


def test_segments_match_within_their_class():
    """By hand: a is found by half, b begins one frame late, c is found twice over."""
    human = at_once("####....", "..######", "........")
    machine = at_once("##......", "...#####", ".#.#....")
    scores = several(recording(human, machine))
    assert scores.f1_50 == scores.f1_10 == pytest.approx(2 * 2 / (2 + 4))
    assert scores.edit == pytest.approx(100 * (1 - 2 / 4))
    assert scores.num_segments == SegmentCounts(2, 4, 2)
    assert scores.start_error_seconds == Lateness(0.5, 0.5)
    assert scores.end_error_seconds == Lateness(1.0, -1.0)
    # Errors are in seconds, and of all recordings.
    first = recording(at_once("...####."), at_once("..#####."), fps=2.0)
    second = recording(at_once("####...."), at_once("######.."), name="b")
    scores = several(second, first)
    assert scores.start_error_seconds == Lateness(0.25, -0.25)
    assert scores.end_error_seconds == Lateness(1.0, 1.0)
    nothing = several(recording(at_once("#..."), at_once("...#")))
    assert nothing.start_error_seconds == Lateness(None, None)
    # They match as they do by sets of frames.
    rng = np.random.default_rng(2)
    for _ in range(60):
        found, true = (segments_at_once(rng.random((14, 2)) < 0.6) for _ in range(2))
        for overlap in (0.1, 0.25, 0.5):
            rows = matches(found, true, overlap)
            assert set(rows[:, 1].tolist()) == brute_matches(found, true, overlap)
            assert (found[rows[:, 0], 0] == true[rows[:, 1], 0]).all()
            assert len(set(rows[:, 1].tolist())) == len(rows)


def test_background_is_no_segment_but_for_those_who_count_it():
    pair = exclusive("ccaacc", "ccccbb")
    scores = segment_scores([pair], background=2, exclusive=True)
    assert scores.num_segments == SegmentCounts(1, 1, 0)
    assert (scores.f1_50, scores.edit) == (0, 0)
    assert scores.with_background == Overlaps(pytest.approx(100 * (1 - 2 / 3)), 2 / 5, 2 / 5, 2 / 5)
    # Unknown frames split nothing, and each recording has its name.
    scores = segment_scores([exclusive("aa??aa", "aabbaa")], background=None, exclusive=True)
    assert scores.num_segments == SegmentCounts(1, 1, 1)
    assert scores.edit == 100
    scores = several(recording(at_once("##.##"), at_once("#####"), unknown=[2]))
    assert scores.f1_50 == 1
    assert scores.num_segments.human == 1
    good, bad = exclusive("aabb", "aabb", name="z"), exclusive("aabb", "cccc", name="b")
    scores = segment_scores([good, bad], background=None, exclusive=True)
    named = {row.recording: row.f1_50 for row in scores.f1_50_by_recording}
    assert [*named.items()] == [("b", 0.0), ("z", 1.0)]


# Bouts.

SEVERAL = recording(
    at_once("..##..#...", "##########"), at_once(".....###..", ".........."), fps=2.0
)
KEYS = "recording,group,class,bin,start_seconds,end_seconds,known_seconds,human_count,machine_count"
MORE = [f"{who}_{x}" for x in ("mean_seconds", "latency_seconds") for who in ("human", "machine")]
TABLE = f"""\
{KEYS},human_total_seconds,machine_total_seconds,{",".join(MORE)},human_share,machine_share
a.mp4,a,walk,whole,0.000,5.000,5.000,2,1,1.500,1.500,0.750,1.500,1.000,2.500,0.300,0.300
a.mp4,a,walk,1,0.000,1.500,1.500,1,0,0.500,0.000,,,,,0.333,0.000
a.mp4,a,walk,2,1.500,3.000,1.500,0,1,0.500,0.500,,,,,0.333,0.333
a.mp4,a,walk,3,3.000,4.500,1.500,1,0,0.500,1.000,,,,,0.333,0.667
a.mp4,a,walk,4,4.500,5.000,0.500,0,0,0.000,0.000,,,,,0.000,0.000
a.mp4,a,wäve,whole,0.000,5.000,5.000,1,0,5.000,0.000,5.000,,0.000,,1.000,0.000
a.mp4,a,wäve,1,0.000,1.500,1.500,1,0,1.500,0.000,,,,,1.000,0.000
a.mp4,a,wäve,2,1.500,3.000,1.500,0,0,1.500,0.000,,,,,1.000,0.000
a.mp4,a,wäve,3,3.000,4.500,1.500,0,0,1.500,0.000,,,,,1.000,0.000
a.mp4,a,wäve,4,4.500,5.000,0.500,0,0,0.500,0.000,,,,,1.000,0.000
"""
"""A bout counts in the bin where it begins; how long it holds is told by each bin."""


def test_the_table_of_bouts_of_human_and_machine_and_their_summary(tmp_path):
    rows = bouts([SEVERAL], ["walk", "wäve"], exclusive=False, bin_seconds=1.5)
    write_bouts(tmp_path / "bouts.csv", rows)
    assert (tmp_path / "bouts.csv").read_bytes().decode() == TABLE
    whole = bouts([SEVERAL], ["walk", "wäve"], exclusive=False)
    assert whole == [rows[0], rows[5]]
    assert rows[0].human == Amount(2, 1.5, 0.75, 1.0, 0.3)
    (row,) = summary(bouts([SEVERAL], ["walk", "wave"], exclusive=False, bin_seconds=1)).recordings
    assert (row.recording, row.group, row.seconds, row.known_seconds) == ("a.mp4", "a", 5, 5)
    assert list(row.classes) == ["walk", "wave"]
    assert row.classes["wave"].machine == Amount(0, 0, None, None, 0)
    assert row.classes["walk"].human.count == 2


def test_which_classes_recordings_and_bins_have_rows():
    recordings = [exclusive("abc", "abc", name=name) for name in "ba"]
    rows = bouts(recordings, NAMES, background="c", exclusive=True)
    assert [row.recording + row.class_name for row in rows] == ["aa", "ab", "ba", "bb"]
    rows = bouts([SEVERAL], ["walk", "wave"], exclusive=False, bin_seconds=60)
    assert [(row.class_name, row.bin, row.end_seconds) for row in rows] == [
        *(("walk", "whole", 5), ("walk", 1, 5), ("wave", "whole", 5), ("wave", 1, 5))
    ]
    half = recording(at_once("#.#."), at_once("#.#."), unknown=[2, 3])
    row = bouts([half], ["walk"], exclusive=False, bin_seconds=2)[2]
    assert (row.known_seconds, row.human) == (0, Amount(0, 0.0, None, None, None))
    # Frames are in the bin in which they begin, whatever is lost in division.
    rng = np.random.default_rng(0)
    for fps in (29.97, 30.0, 3.0):
        holds = rng.random((400, 1)) < 0.5
        both = recording(holds, holds, fps=fps)
        rows = bouts([both], ["walk"], exclusive=False, bin_seconds=1 / 3)
        assert sum(row.human.total_seconds for row in rows[1:]) == pytest.approx(holds.sum() / fps)
        assert sum(row.human.count for row in rows[1:]) == rows[0].human.count
        assert rows[-1].end_seconds == pytest.approx(400 / fps)
    assert [row.known_seconds for row in rows[1:]] == pytest.approx([1 / 3] * 400)
    # Unknown frames split no bout. Latency is from the start of the recording on.
    human, machine = at_once("...##.##"), at_once("########")
    (row,) = bouts([recording(human, machine, unknown=[0, 1, 5])], ["walk"], exclusive=False)
    assert row.known_seconds == 5
    assert row.human == Amount(1, 4.0, 4.0, 3.0, 4 / 5)
    assert row.machine == Amount(1, 5.0, 5.0, 2.0, 1.0)


def drawn(length):
    return "#" * length + "." * (9 - length)


def agreement(*pairs, unknown=(), fps=1.0):
    """Of recordings in which one bout of each length is seen, and one answered; and the same."""
    recordings = [
        recording(
            at_once(drawn(human), drawn(human)),
            at_once(drawn(machine), drawn(human)),
            name=str(number),
            fps=fps,
        )
        for number, (human, machine) in enumerate(pairs)
    ]
    rows = bouts([*recordings, *unknown], ["walk", "wave"], exclusive=False)
    return summary(rows).agreement


def test_agreement_over_recordings():
    """By hand: deviations -2, 0, 2 and -1, -1, 2; products 6, squares 8 and 6. At any speed."""
    for fps in (1.0, 100.0):
        found = agreement((2, 3), (4, 3), (6, 6), fps=fps)
        walk, wave = found["walk"], found["wave"]
        assert walk.total_seconds.correlation == pytest.approx(6 / np.sqrt(8 * 6))
        assert walk.total_seconds.mean_absolute_difference == pytest.approx(2 / 3 / fps)
        assert walk.count == Agreed(None, 0.0)
        same = Agreed(pytest.approx(1), 0)
        assert wave.total_seconds == same
    for pairs in (
        ((2, 3), (4, 6)),
        ((2, 3), (4, 3), (6, 3)),
        ((3, 2), (3, 4), (3, 6)),
    ):
        assert agreement(*pairs)["walk"].total_seconds.correlation is None
    nothing = recording(at_once("#", "#"), at_once("#", "#"), name="x", unknown=[0])
    found = agreement((2, 3), (4, 3), unknown=[nothing])["walk"].total_seconds
    assert found == Agreed(None, 1.0)


# Frames.

EXCLUSIVE = [exclusive("aabb?", "abbba", fps=2.0), exclusive("c", "c", name="b.mp4", fps=2.0)]


def test_one_class_at_each_frame():
    """By hand: a is one of two found, b is answered once too often, one frame is not known."""
    scores = as_json(frame_scores(EXCLUSIVE, NAMES, background="c", exclusive=True))
    rows = scores.pop("per_class")
    assert (scores.pop("exclusive"), scores.pop("background")) == (True, "c")
    assert scores == pytest.approx(
        {
            "accuracy": 4 / 5,
            "accuracy_interval95": None,
            "chance": 2 / 5,
            "macro_f1": (2 / 3 + 4 / 5 + 1) / 3,
            "macro_f1_without_background": (2 / 3 + 4 / 5) / 2,
            "mean_average_precision": (0.7 + 2 / 3 + 1) / 3,
            "mean_average_precision_without_background": (0.7 + 2 / 3) / 2,
            "kappa": (0.8 - 0.36) / (1 - 0.36),
            "num_frames": 5,
            "num_unknown_frames": 1,
            "num_recordings": 2,
            "num_groups": 1,
            "seconds": 2.5,
        }
    )
    of_a = {"precision": 1, "recall": 0.5, "f1": 2 / 3, "num_frames": 2, "share": 2 / 5}
    of_a |= {"average_precision": 0.5 + 0.5 * 2 / 5, "kappa": (0.8 - 0.56) / (1 - 0.56)}
    assert rows["a"] == pytest.approx(of_a)


def test_several_classes_at_once():
    """By hand: one frame lacks a, one has it too much; nobody ever says c."""
    human, machine = at_once("##..", ".#..", "...."), at_once("#.#.", ".#..", "....")
    frames = frame_scores([recording(human, machine)], NAMES, exclusive=False)
    assert frames.accuracy == 0.5
    assert frames.chance == 0.5
    assert frames.kappa == pytest.approx((0 + 1) / 2)
    assert frames.macro_f1 == frames.macro_f1_without_background == pytest.approx(0.75)
    assert frames.mean_average_precision == pytest.approx((0.5 * 0.5 + 0.5 * 0.5 + 1) / 2)
    undefined = ("precision", "recall", "f1", "average_precision", "kappa")
    nothing = dict.fromkeys(undefined) | {"num_frames": 0, "share": 0.0}
    assert as_json(frames.per_class["c"]) == nothing
    # A frame of several labels is known where classes may hold at once, and there alone.
    assert frame_scores([recording(human, machine)], NAMES, exclusive=True).num_frames == 1
    # The same of videos.
    groups = list("wxyz")
    found = video_scores(human.astype(int), machine * 0.8 + 0.1, machine, groups, NAMES)
    scores, frames = as_json(found), as_json(frames)
    right = np.array([True, False, False, True])
    assert scores.pop("accuracy_interval95") == accuracy_interval(right, groups)
    assert (scores.pop("num_videos"), scores.pop("num_groups")) == (4, 4)
    assert [row.pop("num_videos") for row in scores["per_class"].values()] == [2, 1, 0]
    for row in frames["per_class"].values():
        row.pop("num_frames")
    assert scores == {key: frames[key] for key in scores}


def test_a_class_that_is_never_answered_or_not_there():
    """The one counts as not found, the other not at all; nor does anything where all is empty."""
    scores = frame_scores([exclusive("aab", "aaa")], NAMES, exclusive=True)
    assert scores.macro_f1 == pytest.approx((0.8 + 0) / 2)
    assert scores.per_class["b"].precision is None
    assert scores.per_class["b"].recall == 0
    scores = frame_scores([exclusive("aab", "aac")], NAMES, exclusive=True)
    assert scores.macro_f1 == pytest.approx((1 + 0) / 2)
    assert scores.per_class["c"].precision == 0
    empty = at_once("...", "...", "...")
    scores = frame_scores([recording(empty, empty)], NAMES, exclusive=False)
    assert scores.accuracy == 1
    assert {scores.macro_f1, scores.mean_average_precision, scores.kappa} == {None}
    # All scores together, and where nothing is known.
    scores = score_recordings(EXCLUSIVE, NAMES, background="c", exclusive=True)
    assert scores.frames == frame_scores(EXCLUSIVE, NAMES, background="c", exclusive=True)
    assert scores.segments.num_segments == SegmentCounts(2, 2, 2)
    assert list(scores.bouts.agreement) == ["a", "b"]
    plain = score_recordings(EXCLUSIVE, NAMES, exclusive=True)
    assert plain.segments.num_segments == SegmentCounts(3, 3, 3)
    unknown = exclusive("???", "aaa", name="b.mp4")
    with pytest.raises(DataError, match="of any frame of 1 recording,"):
        frame_scores([unknown], NAMES, exclusive=True)
    scores = score_recordings([exclusive("aab", "aaa"), unknown], NAMES, exclusive=True)
    assert scores.frames.num_recordings == 1
    assert scores.frames.num_unknown_frames == 3
    assert [row.recording for row in scores.segments.f1_50_by_recording] == ["a.mp4"]
    assert scores.bouts.recordings[1].known_seconds == 0


GROUPED = [
    exclusive("aabb", "aabb", group="1"),
    exclusive("aaaa", "aaab", group="2"),
    exclusive("abab", "aaab", group="3"),
    exclusive("cc", "cb", group="3"),
]


def test_interval_counts_stretches_of_the_same_labels():
    """Stretches: 2, 1 and 4 + 1, of 14 frames."""
    scale = 8 / 14
    expected = accuracy_ends(np.array([4, 3, 4]) * scale, np.array([4, 4, 6]) * scale)
    scores = frame_scores(GROUPED, NAMES, exclusive=True)
    assert scores.accuracy_interval95 == pytest.approx(expected.tolist())
    assert scores.accuracy_interval95[0] < scores.accuracy < 1
    assert frame_scores(GROUPED[1:], NAMES, exclusive=True).accuracy_interval95 is None
    # More frames a second of the same make it no narrower.
    longer = [
        dataclasses.replace(
            each,
            labels=each.labels.repeat(9, axis=0),
            probabilities=each.probabilities.repeat(9, axis=0),
            answers=each.answers.repeat(9, axis=0),
        )
        for each in GROUPED
    ]
    again = frame_scores(longer, NAMES, exclusive=True)
    assert again.accuracy_interval95 == pytest.approx(expected.tolist())


def test_random_frames_as_scikit_learn_has_it():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.random((60, 3)) < 0.4, rng.random((60, 3))
    answers, stored = probabilities > 0.5, labels.astype(np.uint8)
    parts = [
        Recording(name, name, 1.0, stored[at], probabilities[at], answers[at])
        for name, at in (("a", slice(20)), ("b", slice(20, 60)))
    ]
    scores = frame_scores(parts, NAMES, exclusive=False)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, answers))
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    precision = metrics.average_precision_score(labels, probabilities)
    assert scores.mean_average_precision == pytest.approx(precision)
    kappas = [metrics.cohen_kappa_score(labels[:, n], answers[:, n]) for n in range(3)]
    assert scores.kappa == pytest.approx(np.mean(kappas))
    rows = scores.per_class.values()
    found = metrics.precision_recall_fscore_support(labels, answers, average=None)
    for key, value in zip(("precision", "recall", "f1"), found, strict=False):
        assert [getattr(row, key) for row in rows] == pytest.approx(value.tolist())
    assert [row.share for row in rows] == pytest.approx(labels.mean(axis=0).tolist())


# What is kept of them, their mistakes, and how they are drawn.

LABELS = np.array([[1, 0], [1, 1], [0, 0], [255, 255]], np.uint8)


def test_what_is_known_of_frames():
    recording = Recording("a.mp4", "a", 2.0, LABELS, LABELS / 255, LABELS > 0)
    assert recording.known(exclusive=True).tolist() == [True, False, False, False]
    assert recording.known(exclusive=False).tolist() == [True, True, True, False]
    assert recording.holds.tolist() == [[True, False], [True, True], [False] * 2, [False] * 2]
    assert recording.duration_seconds == 2
    for labels, answers in ((LABELS, LABELS[1:]), (LABELS[0], LABELS[0])):
        with pytest.raises(ValueError, match="a.mp4: expected three arrays"):
            Recording("a.mp4", "a", 2.0, labels, labels / 255, answers > 0)


def test_predictions_are_read_as_they_were_written(tmp_path):
    rng, run = np.random.default_rng(0), Run(tmp_path)
    targets = rng.choice(np.array([0, 1, 255], np.uint8), (5, 2))
    written = Predictions(
        logits=rng.normal(size=(5, 2)).astype(np.float32),
        targets=targets,
        valid=(targets == 1).sum(axis=1) == 1,
        video=np.array([0, 0, 0, 1, 1]),
        names=("a.mp4", "b ä.mp4, cat"),
        groups=("g", "h"),
        class_names=("one", "ü"),
        model=ModelConfig(task="frames", background="one"),
        fps=7.5,
    )
    for split in ("val", "test"):
        with pytest.raises(DataError, match=f"{split}_predictions.npz: missing. Evaluate again"):
            read_predictions(run, split)
    write_predictions(run, "test", written)
    found = read_predictions(run, "test")
    for field in dataclasses.fields(Predictions):
        one, other = (getattr(each, field.name) for each in (found, written))
        assert np.array_equal(one, other), field.name
        assert getattr(one, "dtype", type(one)) == getattr(other, "dtype", type(other))
    with np.load(predictions_file(run, "test")) as file:
        assert file["start_seconds"].tolist() == pytest.approx([0, 1 / 7.5, 2 / 7.5, 0, 1 / 7.5])
    predictions_file(run, "test").write_bytes(predictions_file(run, "test").read_bytes()[:-9])
    with pytest.raises(DataError, match="damaged, or of another version. Evaluate again"):
        read_predictions(run, "test")
    # Videos of several runs are in the order of their names.
    parts = [dataclasses.replace(written, names=names) for names in (("c", "a"), ("d", "b"))]
    both = joined(parts)
    assert both.names == ("a", "b", "c", "d")
    assert both.video.tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    np.testing.assert_array_equal(both.logits[:4], np.tile(written.logits[3:], (2, 1)))
    assert both.groups == ("h", "h", "g", "g")


def spans(recordings, *, exclusive=True, most=9):
    found = longest_mistakes(recordings, NAMES, exclusive=exclusive, most=most)
    return [(each.recording, each.first_frame, each.last_frame) for each in found]


def test_the_longest_mistakes_come_first_and_what_is_said_of_one():
    slow = exclusive("aabbb", "bbbbb", fps=1.0)
    fast = exclusive("aaaaab", "ccccca", fps=10.0)
    assert spans([fast, slow]) == [(1, 0, 1), (0, 0, 4), (0, 5, 5)]
    assert spans([fast, slow], most=1) == [(1, 0, 1)]
    assert spans([exclusive("ab", "ab")]) == []
    # One ends where nothing is known, and where the human says something else.
    assert spans([exclusive("aa?aabb", "bbbbbaa")]) == [(0, 0, 1), (0, 3, 4), (0, 5, 6)]
    pair = exclusive("caaaaaac", "cbbcbbbc", fps=2.0)
    (mistake,) = longest_mistakes([pair], NAMES, exclusive=True, most=3)
    assert mistake == Mistake(0, 1, 6, 0.5, 3.5, ("a",), [(("b",), 5 / 6), (("c",), 1 / 6)])
    pair = recording(at_once("#.", "#.", ".."), at_once("#.", "..", ".#"))
    first, second = longest_mistakes([pair], NAMES, exclusive=False, most=3)
    assert (first.human, first.machine) == (("a", "b"), [(("a",), 1.0)])
    assert (second.human, second.machine) == ((), [(("c",), 1.0)])
    # The most frequent answers alone are told.
    pair = recording(at_once(*["......"] * 3), at_once("######", "...###", ".....#"))
    (mistake,) = longest_mistakes([pair], NAMES, exclusive=False, most=1)
    assert mistake.machine == [(("a",), 1 / 2), (("a", "b"), 1 / 3)]


COLOURS = {"a": "#aa0000", "b": "#00bb00", "c": "#0000cc", "<x>": "#ffffff"}


def bars(drawn):
    """Class of the group, fill, first and last second, top and bottom, title."""
    found = []
    for attributes, paths in re.findall(r"<g ([^>]*)>(.*?)</g>", drawn.bars):
        who = re.search(r'class="(\w+)"', attributes)[1]
        fill = re.search(r'fill="(\S+)"', attributes)
        pattern = r'<path d="M(\S+) (\S+)H(\S+)v(\S+)H\1z"><title>(.*?)</title></path>'
        for start, top, end, height, title in re.findall(pattern, paths):
            span, place = (float(start), float(end)), (int(top), int(top) + int(height))
            found.append((who, fill and fill[1], span, place, title))
    return found


def test_human_is_above_machine_in_the_row_of_a_class():
    human, machine = at_once("##..", "....", ".##."), at_once(".##.", "....", "....")
    drawn = ribbon(recording(human, machine, fps=2.0), NAMES, COLOURS, exclusive=False)
    assert (drawn.name, drawn.seconds, drawn.height) == ("a.mp4", 2, 20)
    assert drawn.rows == ["a", "c"]
    assert bars(drawn) == [
        ("human", "#aa0000", (0, 1), (1, 5), "a, human: 0:00.0 to 0:01.0"),
        ("machine", "#aa0000", (0.5, 1.5), (5, 9), "a, machine: 0:00.5 to 0:01.5"),
        ("human", "#0000cc", (0.5, 1.5), (11, 15), "c, human: 0:00.5 to 0:01.5"),
    ]
    # Background has no row, and what is not known lies behind all.
    drawn = ribbon(exclusive("cca", "ccc"), NAMES, COLOURS, background="c", exclusive=True)
    assert drawn.rows == ["a"]
    nothing = ribbon(exclusive("cc", "cc"), NAMES, COLOURS, background="c", exclusive=True)
    assert (nothing.rows, nothing.height, bars(nothing)) == ([], 10, [])
    first = bars(ribbon(exclusive("a??b", "aabb"), NAMES, COLOURS, exclusive=True))[0]
    assert first == ("unknown", None, (1, 3), (0, 20), "nothing is known: 0:01.0 to 0:03.0")
    drawn = ribbon(recording(at_once("#"), at_once("#")), ["<x>"], COLOURS, exclusive=False)
    assert "&lt;x&gt;, human" in drawn.bars
    assert "<x>" not in drawn.bars
    late = np.arange(360_000)[:, None] >= 359_998
    drawn = ribbon(recording(late, late, fps=10.0), ["a"], COLOURS, exclusive=False)
    assert bars(drawn)[0][2] == pytest.approx((35999.8, 36000.0), abs=0.01)
    # The axis is easy to read.
    for seconds in (0.04, 1, 9, 61, 3600, 7200, 36_000, 1e6):
        found = ticks(seconds)
        assert 1 <= len(found) <= MOST_TICKS
        assert found[0] == (0, "0:00")
        assert found[-1][0] <= 100 * LAST_TICK
        assert len({text for _, text in found}) == len(found)
    assert ticks(100.0)[1:3] == [(15.0, "0:15"), (30.0, "0:30")]
    assert ticks(7200.0)[-1] == (87.5, "1:45:00")
    assert ticks(1.0)[1] == (20.0, "0:00.2")
