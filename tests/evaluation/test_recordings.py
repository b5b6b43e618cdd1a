"""Recordings: what is kept of them, their mistakes, and how they are drawn."""

import re

import numpy as np
import pytest

from pipeline.evaluation.mistakes import Mistake, longest_mistakes
from pipeline.evaluation.recordings import Recording, read_recordings, write_recordings
from pipeline.evaluation.ribbons import LAST_TICK, MOST_TICKS, ribbon, ticks
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

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


def test_recordings_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    written = []
    for name, group, fps, length in (("ä.mp4", "a", 7.5, 3), ("b.mp4, cat", "b", 30.0, 1)):
        labels = rng.choice(np.array([0, 1, 255], np.uint8), (length, 2))
        probabilities, answers = rng.random((length, 2)), rng.random((length, 2)) < 0.5
        written.append(Recording(name, group, fps, labels, probabilities, answers))
    write_recordings(tmp_path / "frames.npz", written)
    found = read_recordings(tmp_path / "frames.npz")
    for one, other in zip(found, written, strict=True):
        assert (one.name, one.group, one.fps) == (other.name, other.group, other.fps)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.answers, other.answers)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


# Their mistakes.


def spans(recordings, *, exclusive=True, most=9):
    found = longest_mistakes(recordings, NAMES, exclusive=exclusive, most=most)
    return [(each.recording, each.first_frame, each.last_frame) for each in found]


def test_the_longest_come_first_in_seconds():
    slow = exclusive("aabbb", "bbbbb", fps=1.0)
    fast = exclusive("aaaaab", "ccccca", fps=10.0)
    assert spans([fast, slow]) == [(1, 0, 1), (0, 0, 4), (0, 5, 5)]
    assert spans([fast, slow], most=1) == [(1, 0, 1)]
    assert spans([exclusive("ab", "ab")]) == []
    # One ends where nothing is known, and where the human says something else.
    assert spans([exclusive("aa?aabb", "bbbbbaa")]) == [(0, 0, 1), (0, 3, 4), (0, 5, 6)]


def test_what_is_said_of_one():
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


# Their ribbons.

COLOURS = {"a": "#aa0000", "b": "#00bb00", "c": "#0000cc", "<x>": "#ffffff"}


def bars(drawn):
    """Class of the group, fill, first and last second, top and bottom, title."""
    found = []
    for attributes, paths in re.findall(r"<g ([^>]*)>(.*?)</g>", drawn["bars"]):
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
    assert (drawn["name"], drawn["seconds"], drawn["height"]) == ("a.mp4", 2, 20)
    assert drawn["rows"] == [{"name": name, "colour": COLOURS[name]} for name in ("a", "c")]
    assert bars(drawn) == [
        ("human", "#aa0000", (0, 1), (1, 5), "a, human: 0:00.0 to 0:01.0"),
        ("machine", "#aa0000", (0.5, 1.5), (5, 9), "a, machine: 0:00.5 to 0:01.5"),
        ("human", "#0000cc", (0.5, 1.5), (11, 15), "c, human: 0:00.5 to 0:01.5"),
    ]


def test_background_has_no_row_and_what_is_not_known_lies_behind_all():
    drawn = ribbon(exclusive("cca", "ccc"), NAMES, COLOURS, background="c", exclusive=True)
    assert [row["name"] for row in drawn["rows"]] == ["a"]
    nothing = ribbon(exclusive("cc", "cc"), NAMES, COLOURS, background="c", exclusive=True)
    assert (nothing["rows"], nothing["height"], bars(nothing)) == ([], 10, [])
    first = bars(ribbon(exclusive("a??b", "aabb"), NAMES, COLOURS, exclusive=True))[0]
    assert first == ("unknown", None, (1, 3), (0, 20), "nothing is known: 0:01.0 to 0:03.0")
    drawn = ribbon(recording(at_once("#"), at_once("#")), ["<x>"], COLOURS, exclusive=False)
    assert "&lt;x&gt;, human" in drawn["bars"]
    assert "<x>" not in drawn["bars"]
    late = np.arange(360_000)[:, None] >= 359_998
    drawn = ribbon(recording(late, late, fps=10.0), ["a"], COLOURS, exclusive=False)
    assert bars(drawn)[0][2] == pytest.approx((35999.8, 36000.0), abs=0.01)


def test_the_axis_is_easy_to_read():
    for seconds in (0.04, 1, 9, 61, 3600, 7200, 36_000, 1e6):
        found = ticks(seconds)
        assert 1 <= len(found) <= MOST_TICKS
        assert found[0] == (0, "0:00")
        assert found[-1][0] <= 100 * LAST_TICK
        assert len({text for _, text in found}) == len(found)
    assert ticks(100.0)[1:3] == [(15.0, "0:15"), (30.0, "0:30")]
    assert ticks(7200.0)[-1] == (87.5, "1:45:00")
    assert ticks(1.0)[1] == (20.0, "0:00.2")
