from pipeline.cli.scores import format_metrics

INTERVAL = "95 % interval over groups 0.500 to 0.900"
TWO_WAY = "in order 1.000   shuffled 0.500   reversed 0.000"
RESULT = {
    "video": {"top1": 0.75, "top5": 1.0, "top1_interval95": [0.5, 0.9]},
    "clip": {"top1": 0.625, "top5": 0.875, "top1_interval95": None},
    "per_class": {
        "jump": {"precision": 0.4, "recall": 0.3, "f1": 0.35, "num_videos": 3},
        "sit_down_slowly": {"precision": 1.0, "recall": 0.2, "f1": 0.33, "num_videos": 1},
        "wave": {"precision": 0.0, "recall": None, "f1": 0.0, "num_videos": 0},
    },
    "macro": {"precision": 0.7, "recall": 0.25, "f1": 0.34},
    "calibration": {"num_videos": 0, "error_after": 0.1234},
    "lengths": [{"num_frames": 1, "top1": 0.5}, {"num_frames": 2, "top1": 0.75}],
    "num_videos": 4,
    "num_groups": 2,
    "num_views": 3,
    "chance": 0.55,
    "unknown": {"num_videos": 7, "classes": ["run", "sit"], "auroc": 0.9, "rejected": 0.5},
    "order": {
        "in_order": 0.75,
        "shuffled": 0.5,
        "reversed": 0.25,
        "pairs": {
            "num_videos": 2,
            "reversed_to_partner": 0.5,
            "two_way": {"in_order": 1.0, "shuffled": 0.5, "reversed": 0.0},
        },
    },
}


def test_the_text_says_what_each_number_is():
    assert format_metrics(RESULT, "val").splitlines() == [
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


def test_the_first_five_of_six_classes_are_told():
    classes = RESULT["per_class"] | dict.fromkeys("abc", RESULT["per_class"]["wave"])
    text = format_metrics(RESULT | {"per_class": classes}, "test")
    assert f"({INTERVAL})   top-5 1.000   chance" in text
    assert "groups or more)   top-5 0.875\n" in text


def test_leaks_come_before_the_figures():
    leaks = ["group 'ann' is in train and test", "group 'bob' is in train and test"]
    lines = format_metrics(RESULT | {"leaks": leaks}, "test").splitlines()
    assert lines[1].startswith("these figures are not to be believed: 2 leaks between splits")
    assert lines[1].endswith(leaks[0])


CALIBRATION = {
    "num_videos": 40,
    "temperature": 1.5,
    "logit_threshold": 0.625,
    "error_before": 0.2,
    "error_after": 0.1,
    "answered": 0.75,
    "top1_answered": 0.9,
}


def test_what_the_probabilities_are_worth():
    text = format_metrics(RESULT | {"calibration": CALIBRATION}, "test")
    fitted = "temperature 1.50, fitted on 40 validation videos"
    assert f"expected calibration error 0.100 (before: 0.200), {fitted}\n" in text
    share = "0.750, of which 0.900 are right"
    assert f"answered with a highest logit of 0.62 or more: {share}; the others: unknown\n" in text
    zero = CALIBRATION | {"logit_threshold": 0.0}
    assert "highest logit of 0.00 or more" in format_metrics(RESULT | {"calibration": zero}, "test")
    everything = format_metrics(
        RESULT | {"calibration": CALIBRATION | {"logit_threshold": None}}, "test"
    )
    assert "answered with" not in everything
