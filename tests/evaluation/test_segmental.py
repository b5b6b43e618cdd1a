import numpy as np
import pytest

from pipeline.evaluation.segmental import edit_score, segment_f1, segmental_scores, segments_of


def labels(text):
    """A label a letter; a dot is background, which is 0."""
    return np.array([".abc".index(letter) for letter in text])


def scores(found, true):
    return segmental_scores([labels(found)], [labels(true)], background=(0,))


def test_segments_are_runs_of_one_label():
    assert segments_of(labels("aab..b")).tolist() == [[1, 0, 2], [2, 2, 3], [0, 3, 5], [2, 5, 6]]
    assert segments_of(labels("aab..b"), (0,)).tolist() == [[1, 0, 2], [2, 2, 3], [2, 5, 6]]
    assert segments_of(labels("")).shape == (0, 3)


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ("abc", "abc", 100),
        ("aaaaaac", "abbbbbc", 100 * (1 - 1 / 3)),  # b is missing, lengths do not count
        ("abab", "ab..", 100 * (1 - 2 / 4)),
        ("cab", "abc", 100 * (1 - 2 / 3)),  # c goes out in front and comes in at the end
        ("....", "abab", 0),
        ("....", "....", 100),
    ],
)
def test_edit_score(found, true, expected):
    assert scores(found, true)["edit"] == pytest.approx(expected)


def test_edit_distance_is_that_of_every_way_of_counting():
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
        longest = max(len(one), len(other))
        expected = 100 * (1 - distance(one, other) / longest)
        assert edit_score(*as_segments) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "f1_25", "f1_50"),
    [
        ("aaaabbbb", 1, 1),
        ("aaaaaaab", 1, 0.5),  # 4 of 7 of a, 1 of 4 of b
        ("aabbbbbb", 1, 1),
        ("a.a.bbbb", 2 * 2 / 5, 2 * 1 / 5),  # the first quarter of a counts, the second is too many
        ("bbbbaaaa", 0, 0),
        ("........", 0, 0),
    ],
)
def test_f1_of_segments(found, f1_25, f1_50):
    result = scores(found, "aaaabbbb")
    assert (result["f1_25"], result["f1_50"]) == pytest.approx((f1_25, f1_50))


def test_recordings_count_together_but_the_edit_score_is_their_mean():
    found, true = [labels("ab"), labels("cccc")], [labels("ab"), labels("aaac")]
    result = segmental_scores(found, true)
    assert result["accuracy"] == pytest.approx(3 / 6)
    assert result["edit"] == pytest.approx((100 + 50) / 2)
    assert result["f1_25"] == pytest.approx(2 * 3 / (3 + 4))
    with pytest.raises(ValueError, match="zip"):
        segmental_scores(found, true[:1])


def test_nothing_to_find_and_nothing_found():
    assert segment_f1([(segments_of(labels("")), segments_of(labels("")))], 0.5) == 1
