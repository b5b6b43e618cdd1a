import csv

import numpy as np
import pytest

from pipeline.evaluation.bouts import bouts, summary, write_bouts
from pipeline.tasks.amounts import Amount
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

SEVERAL = recording(
    at_once("..##..#...", "##########"), at_once(".....###..", ".........."), fps=2.0
)


def test_bouts_of_human_and_machine():
    walk, wave = bouts([SEVERAL], ["walk", "wave"], exclusive=False)
    assert (walk.recording, walk.group, walk.class_name, walk.bin) == (
        "a.mp4",
        "a",
        "walk",
        "whole",
    )
    assert (walk.start_seconds, walk.end_seconds, walk.known_seconds) == (0, 5, 5)
    assert walk.human == Amount(2, 1.5, 0.75, 1.0, 0.3)
    assert walk.machine == Amount(1, 1.5, 1.5, 2.5, 0.3)
    assert wave.human == Amount(1, 5.0, 5.0, 0.0, 1.0)
    assert wave.machine == Amount(0, 0.0, None, None, 0.0)


def test_unknown_frames_split_no_bout_and_do_not_count():
    """Latency is from the start of the recording on, whatever is known of it."""
    human, machine = at_once("...##.##"), at_once("########")
    (row,) = bouts([recording(human, machine, unknown=[0, 1, 5])], ["walk"], exclusive=False)
    assert row.known_seconds == 5
    assert row.human == Amount(1, 4.0, 4.0, 3.0, 4 / 5)
    assert row.machine == Amount(1, 5.0, 5.0, 2.0, 1.0)


def test_background_has_none_and_recordings_are_in_order():
    rows = bouts(
        [exclusive("abc", "abc", name="b"), exclusive("abc", "abc", name="a")],
        NAMES,
        background="c",
        exclusive=True,
    )
    assert [(row.recording, row.class_name) for row in rows] == [
        *(("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"))
    ]


def test_bins_of_time():
    """A bout counts where it begins; how long it holds is told by each bin."""
    whole, *binned = bouts([SEVERAL], ["walk", "wave"], exclusive=False, bin_seconds=1.5)[:5]
    assert whole.bin == "whole"
    assert [row.bin for row in binned] == [1, 2, 3, 4]
    assert [(row.start_seconds, row.end_seconds) for row in binned] == [
        *((0, 1.5), (1.5, 3), (3, 4.5), (4.5, 5))
    ]
    assert [row.known_seconds for row in binned] == [1.5, 1.5, 1.5, 0.5]
    assert [row.human.count for row in binned] == [1, 0, 1, 0]
    assert [row.human.total_seconds for row in binned] == [0.5, 0.5, 0.5, 0]
    assert [row.machine.count for row in binned] == [0, 1, 0, 0]
    assert [row.machine.total_seconds for row in binned] == [0, 0.5, 1, 0]
    assert [row.human.share for row in binned] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert {row.human.mean_seconds for row in binned} == {None}


def test_a_bin_that_is_longer_than_the_recording():
    rows = bouts([SEVERAL], ["walk", "wave"], exclusive=False, bin_seconds=60)
    assert [(row.class_name, row.bin, row.end_seconds) for row in rows] == [
        *(("walk", "whole", 5), ("walk", 1, 5), ("wave", "whole", 5), ("wave", 1, 5))
    ]


def test_bins_without_anything_known():
    row = bouts(
        [recording(at_once("#.#."), at_once("#.#."), unknown=[2, 3])],
        ["walk"],
        exclusive=False,
        bin_seconds=2,
    )[2]
    assert (row.known_seconds, row.human) == (0, Amount(0, 0.0, None, None, None))


def test_frames_are_in_the_bin_in_which_they_begin():
    """Whatever is lost in division: at 29.97 and 30 frames a second, and thirds of a second."""
    rng = np.random.default_rng(0)
    for fps in (29.97, 30.0, 3.0):
        holds = rng.random((400, 1)) < 0.5
        rows = bouts(
            [recording(holds, holds, fps=fps)], ["walk"], exclusive=False, bin_seconds=1 / 3
        )
        assert sum(row.human.total_seconds for row in rows[1:]) == pytest.approx(holds.sum() / fps)
        assert sum(row.human.count for row in rows[1:]) == rows[0].human.count
        assert rows[-1].end_seconds == pytest.approx(400 / fps)
    assert [row.known_seconds for row in rows[1:]] == pytest.approx([1 / 3] * 400)


def durations(*pairs):
    """Recordings in which one bout of each length is seen, and one answered."""
    return [
        recording(
            at_once("." + "#" * human + "." * (9 - human)),
            at_once("." + "#" * machine + "." * (9 - machine)),
            name=str(number),
        )
        for number, (human, machine) in enumerate(pairs)
    ]


def agreement(recordings):
    found = summary(bouts(recordings, ["walk"], exclusive=False))
    return found["agreement"]["walk"]


def test_agreement_over_recordings():
    """By hand: deviations -2, 0, 2 and -1, -1, 2; products 6, squares 8 and 6."""
    found = agreement(durations((2, 3), (4, 3), (6, 6)))
    assert found["total_seconds"]["correlation"] == pytest.approx(6 / np.sqrt(8 * 6))
    assert found["total_seconds"]["mean_absolute_difference"] == pytest.approx(2 / 3)
    assert found["count"] == {"correlation": None, "mean_absolute_difference": 0.0}


def test_agreement_is_by_class_and_of_any_length():
    """The one class as above, a hundredth as long; of the other, human and machine say the same."""
    recordings = [
        recording(
            at_once("#" * human + "." * (9 - human), "#" * human + "." * (9 - human)),
            at_once("#" * machine + "." * (9 - machine), "#" * human + "." * (9 - human)),
            name=str(number),
            fps=100.0,
        )
        for number, (human, machine) in enumerate([(2, 3), (4, 3), (6, 6)])
    ]
    found = summary(bouts(recordings, ["walk", "wave"], exclusive=False))["agreement"]
    assert found["walk"]["total_seconds"]["correlation"] == pytest.approx(6 / np.sqrt(8 * 6))
    assert found["wave"]["total_seconds"] == {
        "correlation": pytest.approx(1),
        "mean_absolute_difference": 0,
    }


def test_agreement_that_is_undefined():
    assert agreement(durations((2, 3), (4, 3)))["total_seconds"]["correlation"] is None
    same = agreement(durations((2, 3), (4, 3), (6, 3)))
    assert same["total_seconds"]["correlation"] is None
    unknown = recording(at_once("#"), at_once("#"), name="x", unknown=[0])
    found = agreement([*durations((2, 3), (4, 3)), unknown])["total_seconds"]
    assert found == {"correlation": None, "mean_absolute_difference": 1.0}


def test_summary_by_recording():
    found = summary(bouts([SEVERAL], ["walk", "wave"], exclusive=False, bin_seconds=1))
    (row,) = found["recordings"]
    assert {key: row[key] for key in ("recording", "group", "seconds", "known_seconds")} == {
        "recording": "a.mp4",
        "group": "a",
        "seconds": 5,
        "known_seconds": 5,
    }
    assert list(row["classes"]) == ["walk", "wave"]
    assert row["classes"]["wave"]["machine"] == {
        "count": 0,
        "total_seconds": 0,
        "mean_seconds": None,
        "latency_seconds": None,
        "share": 0,
    }
    assert row["classes"]["walk"]["human"]["count"] == 2


def test_the_table(tmp_path):
    path = tmp_path / "bouts.csv"
    write_bouts(path, bouts([SEVERAL], ["walk", "wäve"], exclusive=False, bin_seconds=3))
    assert b"\r" not in path.read_bytes()
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["bin"]) for row in rows] == [
        *(("walk", "whole"), ("walk", "1"), ("walk", "2")),
        *(("wäve", "whole"), ("wäve", "1"), ("wäve", "2")),
    ]
    assert rows[0] == {
        "recording": "a.mp4",
        "group": "a",
        "class": "walk",
        "bin": "whole",
        "start_seconds": "0.000",
        "end_seconds": "5.000",
        "known_seconds": "5.000",
        "human_count": "2",
        "machine_count": "1",
        "human_total_seconds": "1.500",
        "machine_total_seconds": "1.500",
        "human_mean_seconds": "0.750",
        "machine_mean_seconds": "1.500",
        "human_latency_seconds": "1.000",
        "machine_latency_seconds": "2.500",
        "human_share": "0.300",
        "machine_share": "0.300",
    }
    assert rows[3]["machine_mean_seconds"] == ""
