import numpy as np
import pytest

from pipeline.evaluation.segmental import (
    edit_score,
    matches,
    segment_f1,
    segment_scores,
    segmental_scores,
    segments_at_once,
    segments_of,
)
from tests.evaluation.recordings import at_once, exclusive, recording


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
        assert scores(found, true)["edit"] == pytest.approx(expected)

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


def test_f1_of_segments():
    for found, f1_25, f1_50 in (
        ("aaaaaaab", 1, 0.5),  # 4 of 7 of a, 1 of 4 of b
        ("aabbbbbb", 1, 1),
        ("a.a.bbbb", 2 * 2 / 5, 2 * 1 / 5),  # the first quarter of a counts, the second does not
        ("bbbbaaaa", 0, 0),
    ):
        result = scores(found, "aaaabbbb")
        assert (result["f1_25"], result["f1_50"]) == pytest.approx((f1_25, f1_50))
    # Recordings count together, but the edit score is their mean.
    found, true = [labels("abb"), labels("cccc")], [labels("abb"), labels("aaac")]
    result = segmental_scores(found, true)
    assert result["accuracy"] == pytest.approx(4 / 7)
    assert result["edit"] == pytest.approx((100 + 50) / 2)
    assert result["f1_25"] == pytest.approx(2 * 3 / (3 + 4))
    with pytest.raises(ValueError, match="zip"):
        segmental_scores(found, true[:1])
    nothing = segments_of(labels(""))
    assert segment_f1([(nothing, nothing)], 0.5) == 1


def several(*recordings):
    return segment_scores(recordings, background=None, exclusive=False)


def test_segments_match_within_their_class():
    """By hand: a is found by half, b begins one frame late, c is found twice over."""
    human = at_once("####....", "..######", "........")
    machine = at_once("##......", "...#####", ".#.#....")
    scores = several(recording(human, machine))
    assert scores["f1_50"] == scores["f1_10"] == pytest.approx(2 * 2 / (2 + 4))
    assert scores["edit"] == pytest.approx(100 * (1 - 2 / 4))
    assert scores["num_segments"] == {"human": 2, "machine": 4, "matched": 2}
    assert scores["start_error_seconds"] == {"median_absolute": 0.5, "mean": 0.5}
    assert scores["end_error_seconds"] == {"median_absolute": 1.0, "mean": -1.0}
    # Errors are in seconds, and of all recordings.
    first = recording(at_once("...####."), at_once("..#####."), fps=2.0)
    second = recording(at_once("####...."), at_once("######.."), name="b")
    scores = several(second, first)
    assert scores["start_error_seconds"] == {"median_absolute": 0.25, "mean": -0.25}
    assert scores["end_error_seconds"] == {"median_absolute": 1.0, "mean": 1.0}
    nothing = several(recording(at_once("#..."), at_once("...#")))
    assert nothing["start_error_seconds"] == {"median_absolute": None, "mean": None}


def test_background_is_no_segment_but_for_those_who_count_it():
    pair = exclusive("ccaacc", "ccccbb")
    scores = segment_scores([pair], background=2, exclusive=True)
    assert scores["num_segments"] == {"human": 1, "machine": 1, "matched": 0}
    assert (scores["f1_50"], scores["edit"]) == (0, 0)
    with_background = {"edit": 100 * (1 - 2 / 3), "f1_10": 2 / 5, "f1_25": 2 / 5, "f1_50": 2 / 5}
    assert scores["with_background"] == pytest.approx(with_background)


def test_unknown_frames_split_nothing_and_each_recording_has_its_name():
    scores = segment_scores([exclusive("aa??aa", "aabbaa")], background=None, exclusive=True)
    assert scores["num_segments"] == {"human": 1, "machine": 1, "matched": 1}
    assert scores["edit"] == 100
    scores = several(recording(at_once("##.##"), at_once("#####"), unknown=[2]))
    assert scores["f1_50"] == 1
    assert scores["num_segments"]["human"] == 1
    good, bad = exclusive("aabb", "aabb", name="z"), exclusive("aabb", "cccc", name="b")
    scores = segment_scores([good, bad], background=None, exclusive=True)
    named = {row["recording"]: row["f1_50"] for row in scores["f1_50_by_recording"]}
    assert [*named.items()] == [("b", 0.0), ("z", 1.0)]


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


def test_matches_as_by_sets_of_frames():
    rng = np.random.default_rng(2)
    for _ in range(60):
        found, true = (segments_at_once(rng.random((14, 2)) < 0.6) for _ in range(2))
        for overlap in (0.1, 0.25, 0.5):
            rows = matches(found, true, overlap)
            assert set(rows[:, 1].tolist()) == brute_matches(found, true, overlap)
            assert (found[rows[:, 0], 0] == true[rows[:, 1], 0]).all()
            assert len(set(rows[:, 1].tolist())) == len(rows)
