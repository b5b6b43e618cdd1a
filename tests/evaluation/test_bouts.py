import numpy as np
import pytest

from pipeline.evaluation.bouts import bouts, summary, write_bouts
from pipeline.tasks.amounts import Amount
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

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


def test_the_table_of_bouts_of_human_and_machine(tmp_path):
    rows = bouts([SEVERAL], ["walk", "wäve"], exclusive=False, bin_seconds=1.5)
    write_bouts(tmp_path / "bouts.csv", rows)
    assert (tmp_path / "bouts.csv").read_bytes().decode() == TABLE
    whole = bouts([SEVERAL], ["walk", "wäve"], exclusive=False)
    assert whole == [rows[0], rows[5]]
    assert rows[0].human == Amount(2, 1.5, 0.75, 1.0, 0.3)


def test_unknown_frames_split_no_bout_and_do_not_count():
    """Latency is from the start of the recording on, whatever is known of it."""
    human, machine = at_once("...##.##"), at_once("########")
    (row,) = bouts([recording(human, machine, unknown=[0, 1, 5])], ["walk"], exclusive=False)
    assert row.known_seconds == 5
    assert row.human == Amount(1, 4.0, 4.0, 3.0, 4 / 5)
    assert row.machine == Amount(1, 5.0, 5.0, 2.0, 1.0)


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


def test_frames_are_in_the_bin_in_which_they_begin():
    """Whatever is lost in division: at 29.97 and 30 frames a second, and thirds of a second."""
    rng = np.random.default_rng(0)
    for fps in (29.97, 30.0, 3.0):
        holds = rng.random((400, 1)) < 0.5
        both = recording(holds, holds, fps=fps)
        rows = bouts([both], ["walk"], exclusive=False, bin_seconds=1 / 3)
        assert sum(row.human.total_seconds for row in rows[1:]) == pytest.approx(holds.sum() / fps)
        assert sum(row.human.count for row in rows[1:]) == rows[0].human.count
        assert rows[-1].end_seconds == pytest.approx(400 / fps)
    assert [row.known_seconds for row in rows[1:]] == pytest.approx([1 / 3] * 400)


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
    return summary(rows)["agreement"]


def test_agreement_over_recordings():
    """By hand: deviations -2, 0, 2 and -1, -1, 2; products 6, squares 8 and 6. At any speed."""
    for fps in (1.0, 100.0):
        found = agreement((2, 3), (4, 3), (6, 6), fps=fps)
        walk, wave = found["walk"], found["wave"]
        assert walk["total_seconds"]["correlation"] == pytest.approx(6 / np.sqrt(8 * 6))
        assert walk["total_seconds"]["mean_absolute_difference"] == pytest.approx(2 / 3 / fps)
        assert walk["count"] == {"correlation": None, "mean_absolute_difference": 0.0}
        same = {"correlation": pytest.approx(1), "mean_absolute_difference": 0}
        assert wave["total_seconds"] == same
    for pairs in (
        ((2, 3), (4, 6)),
        ((2, 3), (4, 3), (6, 3)),
        ((3, 2), (3, 4), (3, 6)),
    ):
        assert agreement(*pairs)["walk"]["total_seconds"]["correlation"] is None
    nothing = recording(at_once("#", "#"), at_once("#", "#"), name="x", unknown=[0])
    found = agreement((2, 3), (4, 3), unknown=[nothing])["walk"]["total_seconds"]
    assert found == {"correlation": None, "mean_absolute_difference": 1.0}


def test_summary_by_recording():
    found = summary(bouts([SEVERAL], ["walk", "wave"], exclusive=False, bin_seconds=1))
    (row,) = found["recordings"]
    classes = row.pop("classes")
    assert row == {"recording": "a.mp4", "group": "a", "seconds": 5, "known_seconds": 5}
    assert list(classes) == ["walk", "wave"]
    keys = ("count", "total_seconds", "mean_seconds", "latency_seconds", "share")
    assert classes["wave"]["machine"] == dict(zip(keys, (0, 0, None, None, 0), strict=True))
    assert classes["walk"]["human"]["count"] == 2
