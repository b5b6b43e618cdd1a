import matplotlib.image
import numpy as np
import pytest

from pipeline.evaluation.plots import (
    plot_confusion,
    plot_lengths,
    plot_per_class,
    plot_precision_recall,
    plot_reliability,
)


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


ROW = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "num_videos": 3}
BIN = {"num_videos": 3, "confidence": 0.8, "accuracy": 0.6}
CURVE = {"_a$ 走る": (np.array([0.5, 1.0]), np.array([1.0, 0.5]))}
FLAT = {"_a$ 走る": (np.array([0.5, 0.5]), np.array([1.0, 0.5]))}
LENGTH = {"num_frames": 4, "top1": 0.7}


@pytest.mark.parametrize(
    ("plot", "found", "other"),
    [
        (plot_per_class, {"$a$ 走る": ROW}, {"$a$ 走る": ROW | {"recall": None}}),
        (plot_reliability, [BIN], [BIN | {"accuracy": 0.9}]),
        (lambda rows, path: plot_lengths(rows, 0.5, path), [LENGTH], [LENGTH | {"top1": 0.2}]),
        (
            lambda curves, path: plot_precision_recall(curves, {"_a$ 走る": "#aa0000"}, path),
            CURVE,
            FLAT,
        ),
    ],
    ids=["per_class", "reliability", "lengths", "precision_recall"],
)
def test_what_is_found_is_drawn(tmp_path, plot, found, other):
    for name, values in {"found": found, "same": found, "other": other}.items():
        plot(values, tmp_path / f"{name}.png")
    found, same, other = (
        matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("found", "same", "other")
    )
    np.testing.assert_array_equal(found, same)
    assert not np.array_equal(found, other)
