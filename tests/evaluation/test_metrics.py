import numpy as np
import pytest

from pipeline.evaluation import metrics
from pipeline.evaluation.main_score import main_score

LOGITS = np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0]])


def test_figures_of_answers_by_hand():
    for labels, k, expected in (
        ([0, 1, 2, 1], 1, 1.0),
        ([1, 0, 1, 0], 2, 0.75),
        ([2, 0, 0, 2], 3, 1.0),
    ):
        assert metrics.in_top_k(LOGITS, np.array(labels), k).mean() == expected
    assert metrics.in_top_k(LOGITS[:, :2], np.array([0, 0, 0, 0]), 5).all(), "of few classes"
    equal = metrics.in_top_k(np.zeros((2, 4)), np.array([0, 3]), 1)
    assert equal.tolist() == [True, False]
    assert metrics.chance(np.array([0, 1, 1, 1, 2])) == 0.6
    counts = metrics.confusion(np.array([1, 1, 2]), np.array([0, 1, 1]), 4)
    assert counts.tolist() == [[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_figures_of_classes_by_hand():
    """Class c was never answered: its precision counts as 0. There is no video of class d."""
    labels, answers = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 1])
    table = metrics.per_class(answers, labels, ["a", "b", "c", "d"])
    half = {"precision": pytest.approx(1 / 3), "recall": 1.0, "f1": 0.5, "num_videos": 1}
    assert table["b"] == half
    assert table["a"]["recall"] == pytest.approx(2 / 3)
    assert table["c"] == {"precision": None, "recall": 0, "f1": 0, "num_videos": 1}
    assert table["d"] == {"precision": None, "recall": None, "f1": None, "num_videos": 0}
    found = metrics.macro(table)
    assert found["precision"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found["recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["f1"] == pytest.approx((0.8 + 0.5 + 0) / 3)


def test_order_pairs():
    names = ["down", "other", "up"]
    in_order = np.array([[9, 0, 1], [1, 0, 9], [0, 9, 0], [9, 0, 1.0]])
    backwards = np.array([[1, 0, 9], [1, 9, 2], [9, 0, 0], [2, 0, 1.0]])
    labels = np.array([0, 2, 1, 2])
    logits = {"in_order": in_order, "reversed": backwards}
    result = metrics.order_pairs(logits, labels, names, [("down", "up")])
    assert result["num_videos"] == 3
    # Answers in order: down, up, down. Their partners: up, down, up. Reversed: up, other, down.
    assert result["reversed_to_partner"] == pytest.approx(1 / 3)
    assert result["two_way"] == pytest.approx({"in_order": 2 / 3, "reversed": 1 / 3})


def test_reliability_by_hand():
    confidences = np.array([0.95, 1.0, 0.55, 0.05])
    bins = metrics.reliability(confidences, np.array([True, False, True, False]))
    assert bins == [
        {"num_videos": 1, "confidence": 0.05, "accuracy": 0},
        {"num_videos": 1, "confidence": 0.55, "accuracy": 1},
        {"num_videos": 2, "confidence": pytest.approx(0.975), "accuracy": 0.5},
    ]
    error = metrics.calibration_error(confidences, np.array([True, False, True, False]))
    assert error == pytest.approx((0.05 + 0.45 + 2 * 0.475) / 4)


def test_each_task_has_its_main_score():
    result = {
        "video": {"top1": 0.1},
        "videos": {"accuracy": 0.2, "mean_average_precision": 0.3},
        "frames": {"accuracy": 0.4, "mean_average_precision": None},
    }
    tasks = ("video", "video-multilabel", "frames", "frames-multilabel")
    assert [main_score(task).of(result) for task in tasks] == [0.1, 0.3, 0.4, None]
    assert main_score("video").text(0.12345) == "top-1 0.123"
    assert main_score("frames-multilabel").text(None) == "mean average precision –"
