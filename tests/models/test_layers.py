"""Layers on clips: what they compute, and that padding has no part in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.config import FramesConfig, ModelConfig, RunConfig, TemporalConfig
from pipeline.models.individuals import Individuals
from pipeline.models.layers import BatchNormalization, InputStage, TimeDistributed
from pipeline.models.recurrent import UnrolledGRU, UnrolledLSTM
from pipeline.models.sequence import (
    AttentionPooling,
    FrameStatistics,
    ReverseFrames,
    TemporalPooling,
    ZeroPadding,
)
from pipeline.models.tcn import DilatedResidual, convolve, correct
from pipeline.streams import STREAMS

B, T = 3, 5


@pytest.fixture
def rng():
    return np.random.default_rng(0)


MASK = np.arange(T) < np.array([[5], [2], [1]])
"""Of clips of 5, 2 and 1 real frames."""
ONES = np.ones((B, T, 4), np.float32)


def small_cnn():
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ]
    )


def test_time_distributed_equals_that_of_keras_at_inference(rng):
    x = rng.normal(size=(B, T, 8, 8, 3)).astype(np.float32)
    for layer in (small_cnn(), layers.Conv2D(4, 3), layers.Dense(7)):
        ours, theirs = TimeDistributed(layer), layers.TimeDistributed(layer)
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
        assert ours.compute_output_shape(x.shape) == tuple(theirs(x).shape)
    # Training reaches the wrapped layer once a step.
    x = rng.normal(loc=2.0, size=(8, T, 4)).astype(np.float32)
    layer = TimeDistributed(layers.BatchNormalization(momentum=0.9))
    layer(x, training=True)
    np.testing.assert_allclose(layer.layer.moving_mean, 0.1 * x.mean(axis=(0, 1)), atol=1e-5)
    dropout = TimeDistributed(layers.Dropout(0.5))
    assert (dropout(x, training=True).numpy() == 0).any()
    np.testing.assert_array_equal(dropout(x, training=False), x)
    # Clips of clips, of a layer that does not say its shape.
    x = rng.normal(size=(2, B, T, 4)).astype(np.float32)
    double = layers.Wrapper(layers.Dense(2))
    double.call = lambda inputs: 2 * double.layer(inputs)
    nested = TimeDistributed(TimeDistributed(double))
    np.testing.assert_allclose(nested(x), 2 * double.layer(x), atol=1e-6)
    # It is built again of its arguments.
    options = {"skip_padding": False, "dtype": "mixed_bfloat16", "name": "each"}
    layer = TimeDistributed(layers.Dense(2), **options)
    again = TimeDistributed.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert not again.skip_padding


def test_padding_is_not_computed_and_reaches_neither_outputs_nor_statistics(rng):
    """Padded frames give zeros, and real ones the same as alone."""
    x = rng.normal(size=(B, T, 8, 8, 3)).astype(np.float32)
    for skip_padding in (True, False):
        layer = TimeDistributed(small_cnn(), skip_padding=skip_padding)
        outputs = layer(x, mask=MASK).numpy()
        np.testing.assert_allclose(outputs[MASK], layer.layer(x[MASK]).numpy(), atol=1e-6)
        assert (outputs[~MASK] == 0).all()
    x = rng.normal(size=(B, T, 4)).astype(np.float32)
    spoilt = np.where(MASK[..., None], x, 1e6).astype(np.float32)
    layer = TimeDistributed(BatchNormalization())
    clean = layer(x, mask=MASK, training=True).numpy()
    mean = layer.layer.moving_mean.numpy()
    layer.layer.moving_mean.assign(np.zeros(4))
    np.testing.assert_array_equal(layer(spoilt, mask=MASK, training=True), clean)
    # A second step with the same batch, from 0 again, must give the same average.
    np.testing.assert_allclose(layer.layer.moving_mean, mean, atol=1e-6)
    seen = []
    spy = layers.Lambda(lambda x: seen.append(x.shape[0]) or x, output_shape=lambda shape: shape)
    TimeDistributed(spy)(ONES, mask=MASK)
    assert seen[-1] == MASK.sum() == 8


def test_a_mask_that_does_not_fit_is_refused():
    """Also where its size is known late."""
    layer = TimeDistributed(layers.Dense(2))
    message = r"mask must be \(B, T\) of the inputs, \(3, 5\). Received: \("
    for shape in ((B, T - 1), (B - 1, T), (B * T,), (B, T, 1)):
        with pytest.raises(ValueError, match=message):
            layer(ONES, mask=np.ones(shape, bool))
    layer = TimeDistributed(layers.Dense(2))
    layer.build((None, T, 4))
    sizes = [tf.TensorSpec((None, T, 4)), tf.TensorSpec((None, T), tf.bool)]
    call = tf.function(lambda x, mask: layer(x, mask=mask), input_signature=sizes)
    clips = tf.ones((B, T, 4))
    assert call(clips, tf.ones((B, T), tf.bool)).shape == (B, T, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="mask must be"):
        call(clips, tf.ones((B - 1, T), tf.bool))


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_outputs_are_of_the_dtype_of_the_layer(policy, skip_padding):
    layer = TimeDistributed(layers.Dense(2), skip_padding=skip_padding, dtype=policy)
    spec = layer.compute_output_spec(keras.KerasTensor((B, T, 4), layer.compute_dtype))
    for given in (None, MASK):
        found = layer(ONES, mask=given)
        assert found.dtype == spec.dtype == layer.compute_dtype
    assert layer.layer.kernel.dtype == "float32"


@pytest.mark.parametrize("shape", [(16, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_equals_keras_in_training(affine, shape, rng):
    x = tf.constant(rng.normal(3, 2, size=shape).astype(np.float32))
    weights = tf.constant(rng.normal(size=shape).astype(np.float32))
    found = []
    for kind in (BatchNormalization, layers.BatchNormalization):
        layer = kind(momentum=0.0, scale=affine, center=affine, beta_initializer="random_normal")
        layer.build(x.shape)
        if affine:
            layer.gamma.assign([1, -2, 3, 0.5, 1])
            layer.beta.assign([0, 1, 2, 3, 4])
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            total = tf.reduce_sum(outputs * weights)
        gradients = tape.gradient(total, [x, *(w.value for w in layer.trainable_weights)])
        found.append([outputs, layer.moving_mean, layer.moving_variance, *gradients])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("policy", ["float64", "float16", "mixed_float16", "mixed_bfloat16"])
def test_batch_normalisation_of_images_in_any_precision(policy, rng):
    x = rng.normal(3, 2, size=(8, 4, 4, 2))
    ours, theirs = (
        kind(momentum=0.0, dtype=policy) for kind in (BatchNormalization, layers.BatchNormalization)
    )
    found = ours(keras.ops.cast(x, ours.compute_dtype), training=True)
    assert found.dtype == ours.compute_dtype
    assert ours.moving_variance.dtype == ours.variable_dtype
    rough = 0.05 if policy == "mixed_bfloat16" else 1e-2
    expected = theirs(keras.ops.cast(x, theirs.compute_dtype), training=True)
    np.testing.assert_allclose(*(keras.ops.cast(y, "float32") for y in (found, expected)), rough)
    np.testing.assert_allclose(ours.moving_variance, x.var(axis=(0, 1, 2)), rtol=1e-2)


def test_batch_normalisation_averages_its_batches_without_a_trace_of_the_start(rng):
    """It is right from the first step on; before it changes nothing; frozen, it keeps all."""
    for shape in ((64, 4), (4, 4, 4, 4)):
        x = rng.normal(3, 2, size=shape).astype(np.float32)
        np.testing.assert_allclose(BatchNormalization(epsilon=0.0)(x), x, atol=1e-6)
        layer = BatchNormalization(momentum=0.99)
        trained = layer(x, training=True)
        np.testing.assert_allclose(layer(x, training=False), trained, atol=1e-3)
        layer.trainable = False
        before = layer.get_weights()
        layer(x + 5, training=True)
        for old, new in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    batches = rng.normal(3, 2, size=(10, 64, 4)).astype(np.float32)
    layer = BatchNormalization(momentum=0.9, epsilon=0.0)
    for batch in batches:
        layer(batch, training=True)
    weights = 0.9 ** np.arange(9, -1, -1)
    weights /= weights.sum()
    mean = np.tensordot(weights, batches.mean(axis=1), 1)
    variance = np.tensordot(weights, batches.var(axis=1), 1)
    expected = (batches[0] - mean) / np.sqrt(variance)
    np.testing.assert_allclose(layer(batches[0], training=False), expected, atol=1e-4)
    with pytest.raises(ValueError, match="renorm must be False"):
        BatchNormalization(renorm=True)
    assert not BatchNormalization.from_config(layer.get_config()).renorm


def test_input_stage_scales_and_differences():
    frames = np.zeros((1, 3, 1, 1, 3), np.uint8)
    frames[0, :, 0, 0, 0] = [0, 255, 204]
    for kind, places, wanted in (
        ("rgb", [0], [[-1], [1], [0.6]]),
        ("difference", [0], [[0], [2], [-0.4]]),
        ("rgb_difference", [0, 3], [[-1, 0], [1, 2], [0.6, -0.4]]),
    ):
        red = InputStage(kind, gain=2.0)(frames).numpy()[0, :, 0, 0, places]
        np.testing.assert_allclose(red.T, wanted, atol=1e-6)
    # It names its shape.
    for kind, stream in STREAMS.items():
        stage, shape = InputStage(kind), (2, 4, *stream.image.shape(FramesConfig(size=8, pose=2)))
        found = stage(np.zeros(shape, stream.image.dtype))
        assert stage.compute_output_shape(shape) == tuple(found.shape), kind


# Layers on the frames of a clip.

RNG = np.random.default_rng(0)
FIRST = np.array([[[1.0], [3.0], [100.0]], [[-5.0], [-1.0], [-3.0]]], np.float32)
FIRST_MASK = np.array([[True, True, False], [True, True, True]])


def test_real_frames_are_pooled_kept_or_reversed_and_attention_weighs_them():
    for layer, wanted in (
        (TemporalPooling("mean"), [[2.0], [-3.0]]),
        (TemporalPooling("max"), [[3.0], [-1.0]]),
        (TemporalPooling("last"), [[3.0], [-3.0]]),
        (ZeroPadding(), [[[1.0], [3.0], [0.0]], [[-5.0], [-1.0], [-3.0]]]),
        (ReverseFrames(), [[[3.0], [1.0], [100.0]], [[-3.0], [-1.0], [-5.0]]]),
    ):
        np.testing.assert_allclose(layer(FIRST, mask=FIRST_MASK), wanted)
    layer = AttentionPooling(4)
    pooled = layer(FIRST, mask=FIRST_MASK).numpy()
    spoilt = np.where(FIRST_MASK[..., None], FIRST, 7.0).astype(np.float32)
    np.testing.assert_array_equal(layer(spoilt, mask=FIRST_MASK).numpy(), pooled)
    assert 1 < pooled[0, 0] < 3
    layer.score.kernel.assign(np.zeros((4, 1)))  # all frames alike: the mean
    np.testing.assert_allclose(layer(FIRST, mask=FIRST_MASK).numpy(), [[2.0], [-3.0]])
    # Statistics are of real frames; the gradient of those of a still clip is a number.
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
SEEN = np.arange(5) < np.array([[1], [3], [5]])


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
            outputs = layer(x, mask=SEEN, training=True)
            seen = tf.where(SEEN[..., None], outputs, 0) if return_sequences else outputs
            total = tf.reduce_sum(seen**2)
        trained = [weight.value for weight in layer.trainable_weights]
        found.append([outputs, *tape.gradient(total, [x, *trained])])
    assert ours.compute_output_shape(SEQUENCE.shape) == found[0][0].shape
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)
    again = unrolled.from_config(ours.get_config())
    assert again(SEQUENCE, mask=SEEN).shape == found[0][0].shape


def test_dropout_is_one_draw_a_clip_or_between_frames_and_penalties_spare_the_bias():
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
    # Recurrent dropout is between frames, in training alone.
    for kind in (UnrolledLSTM, UnrolledGRU):
        layer = kind(50, recurrent_dropout=0.5)
        mask = np.ones((3, 5), bool)
        calm = [layer(SEQUENCE, mask=mask).numpy() for _ in range(2)]
        np.testing.assert_array_equal(*calm)
        assert np.abs(layer(SEQUENCE, mask=mask, training=True) - calm[0]).max() > 1e-3
        one, its_mask = SEQUENCE[:, :1], mask[:, :1]
        found = [layer(one, mask=its_mask, training=training) for training in (True, False)]
        np.testing.assert_array_equal(*found)
    # Penalties are of the weights, but not of the bias.
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
    # A layer is built again as it was.
    cost = keras.regularizers.L2(0.5)
    layer = DilatedResidual(4, 2, causal=True, dropout=0.3, regularizer=cost, name="it")
    again = DilatedResidual.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build(LONG.shape)
    assert len(again.losses) == 2


# Who comes first of the individuals of a clip.

ALL = slice(None)
LEFT, RIGHT = (7, ALL, -0.3, 0.5), (9, ALL, 0.2, 0.25)


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
    assert own_numbers(clip(LEFT, RIGHT)) == own_numbers(clip(RIGHT, LEFT)) == [7, 9]
    np.testing.assert_array_equal(ordered(clip(LEFT, RIGHT)), ordered(clip(RIGHT, LEFT)))
    assert own_numbers(clip(RIGHT, LEFT), is_sorted=False) == [9, 7]
    c = (5, ALL, 0.4, 0.1)
    for three in ((LEFT, RIGHT, c), (c, LEFT, RIGHT), (RIGHT, c, LEFT)):
        assert own_numbers(clip(*three), 3) == [7, 9, 5]
    # Where the others are is told in sizes of the first.
    found = ordered(clip(RIGHT, LEFT))[:, 4:]
    np.testing.assert_allclose(found, [[(0.2 + 0.3) / 0.5, 0]] * 4, rtol=1e-6)
    gone = ordered(clip(LEFT, (9, slice(2, 4), 0.2, 0.25)))[:, 4:]
    assert not gone[:2].any()
    assert gone[2:].any(axis=1).all()
    np.testing.assert_array_equal(ordered(clip(LEFT), 1), [[7, 1]] * 4)  # alone, it has no place
    # Who is there for a moment comes last.
    moment, half = ((9, slice(0, end), -0.4, 0.25) for end in (1, 2))
    assert own_numbers(clip(moment, LEFT)) == [7, 9]
    assert own_numbers(clip(half, LEFT)) == [9, 7]
    nobody = (0, slice(0, 0), 0, 0)
    assert own_numbers(clip(nobody, RIGHT)) == [9, 0]
    # Padding does not count.
    late = (9, slice(3, 4), -0.4, 0.25)
    long = (7, slice(0, 3), 0.3, 0.5)
    features = np.concatenate([clip(long, late), clip((7, ALL, -9, 1), (9, ALL, -8, 1))], axis=1)
    assert own_numbers(features) == [7, 0]
    moved = features.copy()
    moved[:, 4:] = 0
    np.testing.assert_array_equal(ordered(moved)[:4], ordered(features)[:4])
