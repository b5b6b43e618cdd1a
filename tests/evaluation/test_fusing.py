"""What several cross-validations say together."""

import numpy as np
import pytest

from pipeline.evaluation.fusing import cross_validated
from pipeline.tasks.exclusive import Exclusive
from tests.evaluation.made_up_crossval import some_answers, write_crossval

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def parts():
    """Of two networks; in the last fold, both are mostly wrong."""
    right = {1: 0.8, 2: 0.8, 3: 0.8, 4: 0.2}
    return {
        name: [some_answers(fold, NAMES, sure=sure, right=share) for fold, share in right.items()]
        for name, sure in (("sure", 8.0), ("unsure", 1.0))
    }


@pytest.fixture(scope="module")
def several(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crossvals")
    return cross_validated(
        [write_crossval(folder / name, NAMES, folds) for name, folds in parts.items()]
    )


def temperature_of(folds):
    parts = (np.concatenate([getattr(each, key) for each in folds]) for key in ("logits", "labels"))
    return Exclusive().fit_temperature(*parts)


def test_answers_of_a_fold_are_divided_by_what_fits_the_others(parts, several):
    for answers, folds in zip(several.each, parts.values(), strict=True):
        for fold in folds:
            temperature = temperature_of([part for part in folds if part is not fold])
            inside = np.array([name in fold.names for name in answers.names])
            expected = Exclusive().probabilities(fold.logits, temperature)
            found = Exclusive().probabilities(answers.logits[inside])
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)


def test_for_other_videos_all_folds_say_the_temperature(parts, several):
    """So one that is too sure of itself does not drown the other."""
    expected = [temperature_of(folds) for folds in parts.values()]
    np.testing.assert_allclose(several.temperatures, expected, rtol=1e-3)
    assert several.temperatures[0] > 3 > several.temperatures[1]
    shares = [Exclusive().probabilities(each.logits).max(axis=1).mean() for each in several.each]
    assert shares[0] == pytest.approx(shares[1], abs=0.1)
