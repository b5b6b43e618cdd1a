"""The answers of several networks as one."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError, DataError
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.frames import Frames
from pipeline.tasks.fusion import Fusion, expect_alike
from pipeline.tasks.independent import Independent

SURE, UNSURE = np.log([0.9, 0.1]), np.log([0.4, 0.6])


@pytest.mark.parametrize(
    ("rule", "weights", "expected"),
    [
        ("average", (1, 1), 0.65),
        ("average", (3, 1), 0.775),
        ("average", (6, 2), 0.775),
        # sqrt(0.9 * 0.4) against sqrt(0.1 * 0.6)
        ("product", (1, 1), 0.6 / (0.6 + 0.06**0.5)),
    ],
)
def test_probabilities_of_classes_that_exclude_each_other(rule, weights, expected):
    fusion = Fusion(rule=rule, weights=weights, temperatures=(1, 1))
    fused = Exclusive().probabilities(fusion.logits([SURE, UNSURE], Exclusive()))
    np.testing.assert_allclose(fused, [expected, 1 - expected])
    frames = Frames(Exclusive())
    np.testing.assert_allclose(frames.probabilities(fusion.logits([SURE, UNSURE], frames)), fused)
    # Each is calibrated before.
    sharp = dataclasses.replace(fusion, temperatures=(2.0, 1.0))
    sharpened = Exclusive().probabilities(sharp.logits([2 * SURE, UNSURE], Exclusive()))
    np.testing.assert_allclose(sharpened, fused)


def test_probabilities_of_classes_that_may_hold_at_once():
    logits = [np.array([np.log(9), 0.0]), np.array([0.0, -np.log(3)])]  # 0.9 0.5, 0.5 0.25
    average = Fusion(weights=(1, 1), temperatures=(1, 1))
    task = Independent()
    shares = task.probabilities(average.logits(logits, task))
    np.testing.assert_allclose(shares, [0.7, 0.375])
    product = dataclasses.replace(average, rule="product")
    odds = np.array([9.0, 1 / 3]) ** 0.5
    np.testing.assert_allclose(task.probabilities(product.logits(logits, task)), odds / (1 + odds))


@pytest.mark.parametrize("rule", ["average", "product"])
def test_low_logits_of_all_stay_low(rule):
    """Of a video of no class, which probabilities do not show."""
    fusion = Fusion(rule=rule, weights=(1, 1), temperatures=(1, 1))
    low, high = (
        Exclusive().score(fusion.logits([SURE + by, UNSURE + by], Exclusive())) for by in (0, 7)
    )
    assert high - low == pytest.approx(7)


def test_fusing_one_with_itself_changes_nothing():
    fusion = Fusion(weights=(1, 2), temperatures=(1, 1))
    logits = np.array([[3.0, -1.0, 200.0], [-600.0, 0.0, 1.0]])
    np.testing.assert_allclose(fusion.logits([logits, logits], Exclusive()), logits)
    assert fusion.scores([np.array([1.0]), np.array([4.0])]).tolist() == [3.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "sum"}, "the rule must be one of average, product. Received: 'sum'"),
        ({"weights": (1, 1, 1)}, "there must be a weight for each run"),
        ({"weights": (1, 0)}, "each weight"),
        ({"temperatures": (1, -1)}, "each temperature"),
    ],
)
def test_what_cannot_be(changes, message):
    with pytest.raises(ConfigError, match=message):
        Fusion(**{"weights": (1, 1), "temperatures": (1, 1), **changes})


def test_runs_that_answer_something_else():
    video = ModelConfig(task="video")
    for model, names, message in (
        (ModelConfig(task="frames"), "ab", "a and b cannot be fused: they are of tasks video and"),
        (video, "abc", "their classes differ: only b has 'c'"),
        (video, "ba", "they are in another order"),
    ):
        with pytest.raises(DataError, match=message):
            expect_alike(["a", "b"], [video, model], ["ab", names])
