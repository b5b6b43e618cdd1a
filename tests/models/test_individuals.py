"""Who comes first of the individuals of a clip."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline.models.individuals import Individuals


def clip(*individuals, frames=4):
    """Features (1, T, P K) of individuals: a number of their own, then there, x, y and size."""
    rows = np.zeros((1, frames, len(individuals), 5), np.float32)
    for number, (own, seen, x, size) in enumerate(individuals):
        rows[0, seen, number] = (own, 1, x, 0.1, size)
    return rows.reshape(1, frames, -1)


ALL = slice(None)
A, B = (7, ALL, -0.3, 0.5), (9, ALL, 0.2, 0.25)


def ordered(features, number=2, real=4, *, is_sorted=True):
    mask = tf.constant([[frame < real for frame in range(features.shape[1])]])
    layer = Individuals(number, is_sorted=is_sorted)
    found = layer(tf.constant(features), mask=mask).numpy()[0]
    assert found.shape == layer.compute_output_shape(features.shape)[1:]
    return found


def own_numbers(features, number=2, **options):
    """In the first frame, by place."""
    return ordered(features, number, **options)[0, : 2 * number : 2].tolist()


def test_they_are_in_order_from_the_left():
    assert own_numbers(clip(A, B)) == own_numbers(clip(B, A)) == [7, 9]
    np.testing.assert_array_equal(ordered(clip(A, B)), ordered(clip(B, A)))
    assert own_numbers(clip(B, A), is_sorted=False) == [9, 7]


def test_who_is_there_for_a_moment_comes_last():
    moment = (9, slice(0, 1), -0.4, 0.25)
    assert own_numbers(clip(moment, A)) == [7, 9]
    half = (9, slice(0, 2), -0.4, 0.25)
    assert own_numbers(clip(half, A)) == [9, 7]
    nobody = (0, slice(0, 0), 0, 0)
    assert own_numbers(clip(nobody, B)) == [9, 0]


def test_padding_does_not_count():
    late = (9, slice(3, 4), -0.4, 0.25)
    long = (7, slice(0, 3), 0.3, 0.5)
    features = np.concatenate([clip(long, late), clip((7, ALL, -9, 1), (9, ALL, -8, 1))], axis=1)
    assert own_numbers(features) == [7, 0]
    moved = features.copy()
    moved[:, 4:] = 0
    np.testing.assert_array_equal(ordered(moved)[:4], ordered(features)[:4])


def test_where_the_others_are_is_told_in_sizes_of_the_first():
    found = ordered(clip(B, A))[:, 4:]
    np.testing.assert_allclose(found, [[(0.2 + 0.3) / 0.5, 0]] * 4, rtol=1e-6)
    gone = ordered(clip(A, (9, slice(2, 4), 0.2, 0.25)))[:, 4:]
    assert not gone[:2].any()
    assert gone[2:].any(axis=1).all()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_three_of_them(order):
    c = (5, ALL, 0.4, 0.1)
    assert own_numbers(clip(*((A, B, c)[number] for number in order)), 3) == [7, 9, 5]


def test_one_stays_and_has_no_place():
    found = ordered(clip(A), 1)
    np.testing.assert_array_equal(found, [[7, 1]] * 4)
