"""What evaluation says on a terminal."""

from dataclasses import replace

import numpy as np

from pipeline.evaluation.frame_scores import video_scores
from pipeline.evaluation.metrics import Accuracy, ClassScores, Macro, PairScores
from pipeline.evaluation.results import (
    CalibrationScores,
    LabelResult,
    LengthScore,
    OrderScores,
    UnknownScores,
    VideoResult,
    score_recordings,
)
from pipeline.evaluation.views import result_text
from pipeline.tasks.calibration import Calibration
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

INTERVAL = "95 % interval over groups 0.500 to 0.900"
TWO_WAY = "in order 1.000   shuffled 0.500   reversed 0.000"
ACCURACY = Accuracy(0.75, [0.5, 0.9], 1.0, None)
RESULT = VideoResult(
    video=ACCURACY,
    clip=Accuracy(0.625, None, 0.875, None),
    per_class={
        "jump": ClassScores(0.4, 0.3, 0.35, 3),
        "sit_down_slowly": ClassScores(1.0, 0.2, 0.33, 1),
        "wave": ClassScores(0.0, None, 0.0, 0),
    },
    macro=Macro(0.7, 0.25, 0.34),
    calibration=CalibrationScores(Calibration(), 0.2, 0.1234, 0.75, 0.9, ()),
    lengths=[LengthScore(1, 0.5), LengthScore(2, 0.75)],
    num_videos=4,
    num_groups=2,
    num_views=3,
    chance=0.55,
    unknown=UnknownScores(7, ["run", "sit"], 0.9, 0.5),
    order=OrderScores(
        *(0.75, 0.5, 0.25),
        PairScores(2, 0.5, {"in_order": 1.0, "shuffled": 0.5, "reversed": 0.0}),
    ),
)


def test_the_text_says_what_each_number_is_and_what_it_is_worth():
    assert result_text(RESULT, "val").splitlines() == [
        "val: 4 videos of 2 groups, 3 clips a video",
        "these videos chose the epoch and the calibration: on new ones expect a little less",
        f"video  top-1 0.750 ({INTERVAL})   chance 0.550",
        "clip   top-1 0.625 (no interval: it takes 3 groups or more)",
        "",
        "class            videos  precision  recall     F1",
        "jump                  3      0.400   0.300  0.350",
        "sit_down_slowly       1      1.000   0.200  0.330",
        "wave                  0      0.000       –  0.000",
        "macro                 4      0.700   0.250  0.340",
        "",
        "expected calibration error 0.123, not calibrated: there were no validation videos",
        "7 videos of other classes (run, sit): AUROC 0.900, answered unknown 0.500",
        "top-1 of one clip by its number of frames   1: 0.500   2: 0.750",
        "top-1 with the frames in order 0.750   shuffled 0.500   reversed 0.250",
        f"order pairs (2 videos): which of the two, {TWO_WAY}",
        "reversing the frames gives the partner action for 0.500",
    ]
    leaks = ["group 'ann' is in train and test", "group 'bob' is in train and test"]
    classes = RESULT.per_class | dict.fromkeys("abc", RESULT.per_class["wave"])
    text = result_text(replace(RESULT, leaks=leaks, per_class=classes), "test")
    line = text.splitlines()[1]
    assert line.startswith("these figures are not to be believed: 2 leaks between splits")
    assert line.endswith(leaks[0])
    assert f"({INTERVAL})   top-5 1.000   chance" in text
    assert "groups or more)   top-5 0.875\n" in text

    def text(top1_answered=0.9, logit_threshold=0.625):
        fitted = Calibration(temperature=1.5, logit_threshold=logit_threshold, num_videos=40)
        calibration = CalibrationScores(fitted, 0.2, 0.1, 0.75, top1_answered, ())
        return result_text(replace(RESULT, calibration=calibration), "test")

    fitted = "temperature 1.50, fitted on 40 validation videos"
    assert f"expected calibration error 0.100 (before: 0.200), {fitted}\n" in text()
    share = "0.750, of which 0.900 are right"
    least = "answered with a highest logit of"
    assert f"{least} 0.62 or more: {share}; the others: unknown\n" in text()
    assert f"{least} 0.62 or more: 0.750; the others: unknown\n" in text(top1_answered=None)
    assert f"{least} 0.00 or more" in text(logit_threshold=0.0)
    assert "answered with" not in text(logit_threshold=None)


RECORDINGS = [
    exclusive("ccaabb?", "ccaaabb", fps=2.0),
    exclusive("caacbbbb", "caaccbbb", name="b.mp4", group="b", fps=2.0),
    exclusive("aaacbb", "aaacbb", name="c.mp4", group="c", fps=2.0),
]


def test_one_class_at_each_frame():
    result = score_recordings(RECORDINGS, NAMES, background="c", exclusive=True)
    low, high = result.frames.accuracy_interval95
    late = "start within 0.00 s (mean +0.17 s) and end within 0.00 s (mean +0.08 s)"
    interval = f"95 % interval over groups {low:.3f} to {high:.3f}"
    assert result_text(replace(result, leaks=["a is in both"]), "val").splitlines() == [
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


def test_several_classes_nothing_that_matches_or_was_marked_and_videos_of_several_labels():
    pair = recording(at_once("##..", "....", "...."), at_once("...#", "....", "...."))
    lines = result_text(
        score_recordings([pair], ["a class with quite a long name", "b", "c"], exclusive=False),
        "test",
    ).splitlines()
    assert lines[0] == "test: 1 recording of 1 group, 4 frames in 0:04.0"
    assert lines[1].startswith("frames    all labels right 0.250 (no interval: it takes 3 groups")
    assert lines[4] == "          human 1 segment, machine 1, 0 match by half"
    assert lines[5] == ""
    assert lines[7].startswith("a class with quite a lo…  0.500      0.000   0.000  0.000")
    assert lines[8].endswith("–      –      –        0/0        0.0/0.0      –")
    empty = recording(*(at_once("....", "....", "....") for _ in range(2)))
    result = score_recordings([empty], NAMES, exclusive=False)
    assert "macro F1 –   mean average precision –   kappa –" in result_text(result, "test")
    human, machine = at_once("##..", ".#.."), at_once("#.#.", ".#..")
    chances = np.where(machine, 0.9, 0.1)
    scores = video_scores(human.astype(int), chances, machine, list("xxxx"), list("ab"))
    result = LabelResult(videos=scores, leaks=["a is in both"])
    lines = result_text(result, "test").splitlines()
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
