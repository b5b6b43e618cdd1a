"""Layers on the frames of a clip: what they compute, and that padding has no part in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipeline.config import ModelConfig, RunConfig, TemporalConfig
from pipeline.models.individuals import Individuals
from pipeline.models.recurrent import UnrolledGRU, UnrolledLSTM
from pipeline.models.sequence import (
    AttentionPooling,
    FrameStatistics,
    ReverseFrames,
    TemporalPooling,
    ZeroPadding,
)
from pipeline.models.tcn import DilatedResidual, convolve, correct

RNG = np.random.default_rng(0)
FIRST = np.array([[[1.0], [3.0], [100.0]], [[-5.0], [-1.0], [-3.0]]], np.float32)
FIRST_MASK = np.array([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (TemporalPooling("mean"), [[2.0], [-3.0]]),
        (TemporalPooling("max"), [[3.0], [-1.0]]),
        (TemporalPooling("last"), [[3.0], [-3.0]]),
        (ZeroPadding(), [[[1.0], [3.0], [0.0]], [[-5.0], [-1.0], [-3.0]]]),
        (ReverseFrames(), [[[3.0], [1.0], [100.0]], [[-3.0], [-1.0], [-5.0]]]),
    ],
    ids=["mean", "max", "last", "zero padding", "reverse"],
)
def test_real_frames_are_pooled_kept_or_reversed(layer, wanted):
    np.testing.assert_allclose(layer(FIRST, mask=FIRST_MASK), wanted)


def test_attention_ignores_padding_and_weighs_frames():
    layer = AttentionPooling(4)
    pooled = layer(FIRST, mask=FIRST_MASK).numpy()
    spoilt = np.where(FIRST_MASK[..., None], FIRST, 7.0).astype(np.float32)
    np.testing.assert_array_equal(layer(spoilt, mask=FIRST_MASK).numpy(), pooled)
    assert 1 < pooled[0, 0] < 3
    layer.score.kernel.assign(np.zeros((4, 1)))  # all frames alike: the mean
    np.testing.assert_allclose(layer(FIRST, mask=FIRST_MASK).numpy(), [[2.0], [-3.0]])


def test_statistics_of_real_frames():
    """The gradient of those of a still clip is a number."""
    sequence = np.array(
        [[1.0, 3.0, 2.0, 6.0, 99.0], [5.0, 9.0, 2.0, 99.0, 99.0], [4.0] + [99.0] * 4]
    )
    mask = np.arange(5) < np.array([[4], [3], [1]])
    found = FrameStatistics()(sequence[..., None].astype(np.float32), mask=mask).numpy()
    wanted = [
        [3.0, np.std([1, 3, 2, 6]), (2 + 1 + 4) / 3, 4.0 - 2.0],
        [16 / 3, np.std([5, 9, 2]), (4 + 7) / 2, 2.0 - 5.0],  # without the middle one
        [4.0, 0.0, 0.0, 0.0],
    ]
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    still = tf.ones((1, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch(still)
        total = tf.reduce_sum(FrameStatistics()(still, mask=tf.ones((1, 3), tf.bool)))
    assert np.isfinite(tape.gradient(total, still)).all()


# Unrolled recurrent layers compute what those of Keras do.

SEQUENCE = RNG.normal(size=(3, 5, 4)).astype(np.float32)
MASK = np.arange(5) < np.array([[1], [3], [5]])


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize(
    ("unrolled", "original"), [(UnrolledLSTM, keras.layers.LSTM), (UnrolledGRU, keras.layers.GRU)]
)
def test_outputs_and_gradients_are_those_of_keras(unrolled, original, return_sequences):
    theirs, ours = (kind(6, return_sequences=return_sequences) for kind in (original, unrolled))
    theirs.build(SEQUENCE.shape)
    weights = [RNG.normal(size=weight.shape) for weight in theirs.get_weights()]
    found, x = [], tf.constant(SEQUENCE)
    for layer in (theirs, ours):
        layer.build(SEQUENCE.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, mask=MASK, training=True)
            seen = tf.where(MASK[..., None], outputs, 0) if return_sequences else outputs
            total = tf.reduce_sum(seen**2)
        trained = [weight.value for weight in layer.trainable_weights]
        found.append([outputs, *tape.gradient(total, [x, *trained])])
    assert ours.compute_output_shape(SEQUENCE.shape) == found[0][0].shape
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)
    again = unrolled.from_config(ours.get_config())
    assert again(SEQUENCE, mask=MASK).shape == found[0][0].shape


def test_dropout_is_one_draw_a_clip():
    layer = UnrolledLSTM(1, return_sequences=True, dropout=0.5)
    seen = []
    layer.project = lambda inputs: seen.append(inputs) or ops.zeros((len(inputs), 4))
    ones = np.ones((2, 3, 100), np.float32)
    layer(ones, mask=np.ones((2, 3), bool), training=True)
    (dropped,) = seen
    clips = np.reshape(dropped, (2, 3, 100))
    assert set(np.unique(clips)) == {0, 2}
    assert (clips == clips[:, :1]).all()
    assert (clips[0] != clips[1]).any()
    layer(ones, mask=np.ones((2, 3), bool), training=False)
    assert (seen[1].numpy() == 1).all()


@pytest.mark.parametrize("kind", [UnrolledLSTM, UnrolledGRU])
def test_recurrent_dropout_is_between_frames_in_training_alone(kind):
    layer = kind(50, recurrent_dropout=0.5)
    mask = np.ones((3, 5), bool)
    calm = [layer(SEQUENCE, mask=mask).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*calm)
    assert np.abs(layer(SEQUENCE, mask=mask, training=True) - calm[0]).max() > 1e-3
    one, its_mask = SEQUENCE[:, :1], mask[:, :1]
    found = [layer(one, mask=its_mask, training=training) for training in (True, False)]
    np.testing.assert_array_equal(*found)


def test_penalties_are_of_the_weights_but_not_the_bias():
    layer = UnrolledLSTM(6, regularizer=keras.regularizers.L2(1.0))
    for each in (layer, UnrolledLSTM.from_config(layer.get_config())):
        each.build(SEQUENCE.shape)
        kernel, recurrent, _ = each.get_weights()
        assert float(sum(each.losses)) == pytest.approx((kernel**2).sum() + (recurrent**2).sum())


# A temporal convolution sees what its dilations say.

LONG = RNG.normal(size=(2, 9, 4)).astype(np.float32)
WHOLE = np.ones((2, 9), bool)


@pytest.mark.parametrize("dilation", [2, 16])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_convolution_of_keras(causal, dilation):
    layer = DilatedResidual(4, dilation, causal=causal)
    layer.build(LONG.shape)
    kernel, bias, project, offset = (RNG.normal(size=each.shape) for each in layer.get_weights())
    layer.set_weights([kernel, bias, project, offset])
    padding = "causal" if causal else "same"
    convolution = keras.layers.Conv1D(
        4, 3, dilation_rate=dilation, padding=padding, activation="relu"
    )
    convolution.build(LONG.shape)
    convolution.set_weights([kernel.reshape(3, 4, 4), bias])
    expected = LONG + convolution(LONG).numpy() @ project + offset
    np.testing.assert_allclose(layer(LONG, mask=WHOLE), expected, atol=1e-5)


def network(length, *, of_stage=convolve, width=4, **temporal):
    config = RunConfig(model=ModelConfig(l2=1e-3), temporal=TemporalConfig(kind="tcn", **temporal))
    sequence, mask = keras.Input((length, width)), keras.Input((length,), dtype="bool")
    return keras.Model([sequence, mask], of_stage(sequence, mask, config))


@pytest.mark.parametrize("stage", [convolve, correct])
@pytest.mark.parametrize("causal", [False, True])
def test_a_frame_reaches_as_far_as_the_dilations_say(causal, stage):
    length, changed = 41, 20
    model = network(length, of_stage=stage, units=16, layers=3, causal=causal)
    sequence = RNG.normal(size=(1, length, 4)).astype(np.float32)
    other = sequence.copy()
    other[:, changed] += 3 * RNG.normal(size=4)
    mask = np.ones((1, length), bool)
    difference = np.abs(model([sequence, mask]) - model([other, mask])).max(axis=(0, 2))
    reach = 1 + 2 + 4
    first, last = (0, 2 * reach) if causal else (-reach, reach)
    assert np.flatnonzero(difference).tolist() == [*range(changed + first, changed + last + 1)]


@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_as_what_is_beyond_the_end(causal):
    options = {"units": 4, "layers": 3, "causal": causal}
    model, short = network(9, **options), network(5, **options)
    for weight in model.weights:
        weight.assign(RNG.normal(size=weight.shape))
    short.set_weights(model.get_weights())
    mask = WHOLE & (np.arange(9) < 5)
    found = model([LONG, mask])[:, :5]
    np.testing.assert_allclose(found, short([LONG[:, :5], WHOLE[:, :5]]), rtol=1e-4)
    assert len(model.losses) == 1 + 2 * 3, "penalties are of all weights"


def test_dropout_is_of_what_is_added_in_training_alone():
    layer = DilatedResidual(4, 1, dropout=0.9999)
    calm = layer(LONG, mask=WHOLE)
    np.testing.assert_array_equal(layer(LONG, mask=WHOLE, training=True), LONG)
    assert np.abs(calm - LONG).max() > 1e-3
    given = network(9, units=4, input_dropout=0.4).layers
    assert [each.dropout.rate for each in given if isinstance(each, DilatedResidual)] == [0.4]


def test_a_layer_is_built_again_as_it_was():
    cost = keras.regularizers.L2(0.5)
    layer = DilatedResidual(4, 2, causal=True, dropout=0.3, regularizer=cost, name="it")
    again = DilatedResidual.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build(LONG.shape)
    assert len(again.losses) == 2


# Who comes first of the individuals of a clip.

ALL = slice(None)
A, B = (7, ALL, -0.3, 0.5), (9, ALL, 0.2, 0.25)


def clip(*individuals, frames=4):
    """Features (1, T, P K) of individuals: a number of their own, then there, x, y and size."""
    rows = np.zeros((1, frames, len(individuals), 5), np.float32)
    for number, (own, seen, x, size) in enumerate(individuals):
        rows[0, seen, number] = (own, 1, x, 0.1, size)
    return rows.reshape(1, frames, -1)


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
    c = (5, ALL, 0.4, 0.1)
    for three in ((A, B, c), (c, A, B), (B, c, A)):
        assert own_numbers(clip(*three), 3) == [7, 9, 5]


def test_who_is_there_for_a_moment_comes_last():
    moment, half = ((9, slice(0, end), -0.4, 0.25) for end in (1, 2))
    assert own_numbers(clip(moment, A)) == [7, 9]
    assert own_numbers(clip(half, A)) == [9, 7]
    nobody = (0, slice(0, 0), 0, 0)
    assert own_numbers(clip(nobody, B)) == [9, 0]
    # Padding does not count.
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
    np.testing.assert_array_equal(ordered(clip(A), 1), [[7, 1]] * 4)  # alone, it has no place
