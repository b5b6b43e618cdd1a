import numpy as np

from pipeline.cli.frame_scores import format_frame_metrics, format_label_metrics
from pipeline.evaluation.frame_scores import score_recordings, video_scores
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

RECORDINGS = [
    exclusive("ccaabb?", "ccaaabb", fps=2.0),
    exclusive("caacbbbb", "caaccbbb", name="b.mp4", group="b", fps=2.0),
    exclusive("aaacbb", "aaacbb", name="c.mp4", group="c", fps=2.0),
]


def test_one_class_at_each_frame():
    result = score_recordings(RECORDINGS, NAMES, background="c", exclusive=True)
    low, high = result["frames"]["accuracy_interval95"]
    late = "start within 0.00 s (mean +0.17 s) and end within 0.00 s (mean +0.08 s)"
    interval = f"95 % interval over groups {low:.3f} to {high:.3f}"
    assert format_frame_metrics(result | {"leaks": ["a is in both"]}, "val").splitlines() == [
        "val: 3 recordings of 3 groups, 20 frames in 0:10.0; of 1 more frame nothing is known",
        "these videos chose the epoch and the calibration: on new ones expect a little less",
        "these figures are not to be believed: 1 leak between splits, such as: a is in both",
        f"frames    accuracy 0.900 ({interval})   chance 0.400",
        "          macro F1 0.900   mean average precision 0.853   kappa 0.850",
        "          without c: macro F1 0.895   mean average precision 0.863",
        "segments  F1@10 1.000   F1@25 1.000   F1@50 1.000   edit 100.0",
        "          with c: F1@10 1.000   F1@25 1.000   F1@50 1.000   edit 100.0",
        "          human 6 segments, machine 6, 6 match by half",
        f"          half of these {late}",
        "",
        "class  share  precision  recall     F1     AP      bouts        seconds      r",
        "a      0.350      0.875   1.000  0.933  0.875        3/3        3.5/4.0   0.50",
        "b      0.400      1.000   0.750  0.857  0.850        3/3        4.0/3.0   0.87",
        "c      0.250      0.833   1.000  0.909  0.833",
        "bouts, seconds: human/machine; r: correlation of the seconds over recordings",
    ]


def test_several_classes_and_nothing_that_matches():
    pair = recording(at_once("##..", "....", "...."), at_once("...#", "....", "...."))
    lines = format_frame_metrics(
        score_recordings([pair], ["a class with quite a long name", "b", "c"], exclusive=False),
        "test",
    ).splitlines()
    assert lines[0] == "test: 1 recording of 1 group, 4 frames in 0:04.0"
    assert lines[1].startswith("frames    all labels right 0.250 (no interval: it takes 3 groups")
    assert lines[4] == "          human 1 segment, machine 1, 0 match by half"
    assert lines[5] == ""
    assert lines[7].startswith("a class with quite a lo…  0.500      0.000   0.000  0.000")
    assert lines[8].endswith("–      –      –        0/0        0.0/0.0      –")


def test_videos_of_several_labels():
    human, machine = at_once("##..", ".#.."), at_once("#.#.", ".#..")
    scores = video_scores(
        human.astype(int), np.where(machine, 0.9, 0.1), machine, list("xxxx"), list("ab")
    )
    lines = format_label_metrics(scores | {"leaks": ["a is in both"]}, "test").splitlines()
    assert lines == [
        "test: 4 videos of 1 group",
        "these figures are not to be believed: 1 leak between splits, such as: a is in both",
        "videos    all labels right 0.500 (no interval: it takes 3 groups or more)   chance 0.500",
        "          macro F1 0.750   mean average precision 0.750   kappa 0.500",
        "",
        "class  share  precision  recall     F1     AP",
        "a      0.500      0.500   0.500  0.500  0.500",
        "b      0.250      1.000   1.000  1.000  1.000",
    ]


def test_nothing_was_marked():
    empty = recording(*(at_once("....", "....", "....") for _ in range(2)))
    result = score_recordings([empty], NAMES, exclusive=False)
    assert "macro F1 –   mean average precision –   kappa –" in format_frame_metrics(result, "test")
