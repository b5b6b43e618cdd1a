import matplotlib.image
import numpy as np
import pytest

from pipeline.evaluation.report import format_metrics, plot_confusion


@pytest.mark.parametrize("num_classes", [2, 31])
def test_a_confusion_matrix_of_any_size_is_drawn(tmp_path, num_classes):
    names = [f"class {number} with ä $name$ 走る" for number in range(num_classes)]
    counts = 3 * np.eye(num_classes, dtype=np.int64)
    counts[-1] = 0  # a class without videos
    pixels = {}
    for name, matrix in {"right": counts, "wrong": counts[:, ::-1]}.items():
        plot_confusion(matrix, names, tmp_path / f"{name}.png")
        pixels[name] = matplotlib.image.imread(tmp_path / f"{name}.png")
    assert pixels["right"].shape == pixels["wrong"].shape
    assert not np.array_equal(pixels["right"], pixels["wrong"])


INTERVAL = "95 % interval over groups 0.500 to 0.900"
TWO_WAY = "in order 1.000   shuffled 0.500   reversed 0.000"
RESULT = {
    "video": {"top1": 0.75, "top5": 1.0, "top1_interval95": [0.5, 0.9]},
    "clip": {"top1": 0.625, "top5": 0.875},
    "per_class": {
        "jump": {"precision": 0.4, "recall": 0.3, "f1": 0.35, "num_videos": 3},
        "sit_down_slowly": {"precision": 1.0, "recall": 0.2, "f1": 0.33, "num_videos": 1},
        "wave": {"precision": 0.0, "recall": None, "f1": 0.0, "num_videos": 0},
    },
    "num_videos": 4,
    "num_groups": 2,
    "num_views": 3,
    "chance": 0.55,
    "order": {"in_order": 0.75, "shuffled": 0.5, "reversed": 0.25},
}


def test_the_text_says_what_each_number_is():
    assert format_metrics(RESULT, "val").splitlines() == [
        "val: 4 videos of 2 groups, 3 clips a video",
        "these videos chose the epoch that was kept: on new ones expect a little less",
        f"video  top-1 0.750 ({INTERVAL})   top-5 1.000   chance 0.550",
        "clip   top-1 0.625   top-5 0.875",
        "",
        "class            videos  precision  recall     F1",
        "jump                  3      0.400   0.300  0.350",
        "sit_down_slowly       1      1.000   0.200  0.330",
        "wave                  0      0.000       –  0.000",
        "",
        "top-1 with the frames in order 0.750   shuffled 0.500   reversed 0.250",
    ]


def test_leaks_come_before_the_figures():
    leaks = ["group 'ann' is in train and test", "group 'bob' is in train and test"]
    lines = format_metrics(RESULT | {"leaks": leaks}, "test").splitlines()
    assert lines[1].startswith("these figures are not to be believed: 2 leaks between splits")
    assert lines[1].endswith(leaks[0])


def test_order_pairs_one_clip_a_video_and_no_interval():
    pairs = {
        "num_videos": 2,
        "reversed_to_partner": 0.5,
        "two_way": {"in_order": 1.0, "shuffled": 0.5, "reversed": 0.0},
    }
    video = {"top1": 0.75, "top5": 1.0, "top1_interval95": None}
    order = RESULT["order"] | {"pairs": pairs}
    text = format_metrics(RESULT | {"num_views": 1, "video": video, "order": order}, "test")
    lines = text.splitlines()
    assert lines[0].endswith("1 clip a video")
    assert lines[1] == "video  top-1 0.750   top-5 1.000   chance 0.550"
    assert lines[-2:] == [
        f"order pairs (2 videos): which of the two, {TWO_WAY}",
        "reversing the frames gives the partner action for 0.500",
    ]
