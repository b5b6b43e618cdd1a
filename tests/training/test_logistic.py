"""Logistic regression: the weights of scikit-learn, and a penalty that folds over groups choose."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipeline.training.logistic import PENALTIES, Problem, choose_penalty, fit, shortened

rng = np.random.default_rng(0)
LABELS = np.arange(60) % 3
INPUTS = rng.normal(size=(60, 8)) + np.eye(3, 8)[LABELS]
PROBLEM = Problem(INPUTS, np.eye(3)[LABELS], np.ones(60), np.arange(60).astype(str), True)


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_it_is_logistic_regression(penalty):
    kernel, bias = fit(PROBLEM, penalty)
    wanted = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=1000).fit(INPUTS, LABELS)
    np.testing.assert_allclose(kernel.T, wanted.coef_, atol=1e-3)
    np.testing.assert_allclose(bias - bias.mean(), wanted.intercept_, atol=1e-3)


def test_of_several_labels_each_is_one():
    several = dataclasses.replace(PROBLEM, exclusive=False)
    kernel, bias = fit(several, 10.0)
    wanted = LogisticRegression(C=1 / 10, tol=1e-8, max_iter=1000).fit(INPUTS, LABELS == 1)
    np.testing.assert_allclose(kernel[:, 1], wanted.coef_[0], atol=1e-3)
    np.testing.assert_allclose(bias[1], wanted.intercept_[0], atol=1e-3)


def test_weights_count_rows():
    twice = fit(PROBLEM.part(np.r_[:60, :20]), 10.0)
    weighted = fit(dataclasses.replace(PROBLEM, weights=np.r_[np.full(20, 2.0), np.ones(40)]), 10.0)
    np.testing.assert_allclose(twice[0], weighted[0], atol=1e-4)


def test_rows_of_fewer_numbers_give_the_same_head():
    wide = np.hstack([INPUTS, rng.normal(size=(60, 5000)), np.zeros((60, 2))]).astype(np.float32)
    problem = dataclasses.replace(PROBLEM, inputs=wide.astype(float))
    short, back = shortened(wide)
    assert short.shape[1] <= 60
    kernel, bias = fit(dataclasses.replace(problem, inputs=short), 10.0)
    wanted, wanted_bias = fit(problem, 10.0)
    np.testing.assert_allclose(wide.T @ (back @ kernel), wanted, atol=1e-3)
    np.testing.assert_allclose(bias, wanted_bias, atol=1e-3)


def test_the_penalty_is_chosen_on_groups_that_were_not_seen():
    """Rows of a group are alike, down to a mark that says nothing of others."""
    groups = np.arange(60) // 3 % 20
    noise = rng.normal(size=(20, 30))[groups] * 3
    labels = rng.integers(3, size=20)[groups]
    unlearnable = Problem(noise, np.eye(3)[labels], np.ones(60), groups.astype(str), True)
    assert choose_penalty(unlearnable) >= 100
    known = dataclasses.replace(unlearnable, groups=np.arange(60).astype(str))
    assert choose_penalty(known) < 10
    assert choose_penalty(dataclasses.replace(PROBLEM, groups=np.full(60, "a"))) in PENALTIES
