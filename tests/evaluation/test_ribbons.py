import re

import numpy as np
import pytest

from pipeline.evaluation.ribbons import LAST_TICK, MOST_TICKS, ribbon, ticks
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

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
    drawn = ribbon(
        recording(at_once("##..", "....", ".##."), at_once(".##.", "....", "...."), fps=2.0),
        NAMES,
        COLOURS,
        exclusive=False,
    )
    assert (drawn["name"], drawn["seconds"], drawn["height"]) == ("a.mp4", 2, 20)
    assert drawn["rows"] == [
        {"name": "a", "colour": "#aa0000"},
        {"name": "c", "colour": "#0000cc"},
    ]
    assert bars(drawn) == [
        ("human", "#aa0000", (0, 1), (1, 5), "a, human: 0:00.0 to 0:01.0"),
        ("machine", "#aa0000", (0.5, 1.5), (5, 9), "a, machine: 0:00.5 to 0:01.5"),
        ("human", "#0000cc", (0.5, 1.5), (11, 15), "c, human: 0:00.5 to 0:01.5"),
    ]


def test_background_has_no_row():
    drawn = ribbon(exclusive("cca", "ccc"), NAMES, COLOURS, background="c", exclusive=True)
    assert [row["name"] for row in drawn["rows"]] == ["a"]
    nothing = ribbon(exclusive("cc", "cc"), NAMES, COLOURS, background="c", exclusive=True)
    assert (nothing["rows"], nothing["height"], bars(nothing)) == ([], 10, [])


def test_what_is_not_known_lies_behind_all_rows():
    drawn = ribbon(exclusive("a??b", "aabb"), NAMES, COLOURS, exclusive=True)
    first = bars(drawn)[0]
    assert first == ("unknown", None, (1, 3), (0, 20), "nothing is known: 0:01.0 to 0:03.0")


def test_names_are_text():
    drawn = ribbon(recording(at_once("#"), at_once("#")), ["<x>"], COLOURS, exclusive=False)
    assert "&lt;x&gt;, human" in drawn["bars"]
    assert "<x>" not in drawn["bars"]


def test_late_times_are_exact():
    holds = np.zeros((360_000, 1), bool)
    holds[359_998:] = True
    drawn = ribbon(recording(holds, holds, fps=10.0), ["a"], COLOURS, exclusive=False)
    assert bars(drawn)[0][2] == pytest.approx((35999.8, 36000.0), abs=0.01)


@pytest.mark.parametrize("seconds", [0.04, 1, 9, 61, 3600, 7200, 36_000, 1e6])
def test_the_axis_is_easy_to_read(seconds):
    found = ticks(seconds)
    assert 1 <= len(found) <= MOST_TICKS
    assert found[0] == (0, "0:00")
    assert found[-1][0] <= 100 * LAST_TICK
    assert len({text for _, text in found}) == len(found)


def test_ticks_stand_at_their_times():
    assert ticks(100.0)[1:3] == [(15.0, "0:15"), (30.0, "0:30")]
    assert ticks(7200.0)[-1] == (87.5, "1:45:00")
    assert ticks(1.0)[1] == (20.0, "0:00.2")
