import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline.config import FramesConfig
from pipeline.models.layers import BatchNormalization, InputStage, TimeDistributed
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


@pytest.mark.parametrize("skip_padding", [True, False])
def test_padded_frames_give_zeros_and_real_ones_the_same_as_alone(skip_padding, rng):
    x = rng.normal(size=(B, T, 8, 8, 3)).astype(np.float32)
    layer = TimeDistributed(small_cnn(), skip_padding=skip_padding)
    outputs = layer(x, mask=MASK).numpy()
    alone = layer.layer(x[MASK]).numpy()
    np.testing.assert_allclose(outputs[MASK], alone, atol=1e-6)
    assert (outputs[~MASK] == 0).all()


def test_padding_is_not_computed():
    seen = []
    spy = layers.Lambda(lambda x: seen.append(x.shape[0]) or x, output_shape=lambda shape: shape)
    TimeDistributed(spy)(ONES, mask=MASK)
    assert seen[-1] == MASK.sum() == 8


def test_what_padding_holds_reaches_neither_outputs_nor_statistics(rng):
    x = rng.normal(size=(B, T, 4)).astype(np.float32)
    spoilt = np.where(MASK[..., None], x, 1e6).astype(np.float32)
    layer = TimeDistributed(BatchNormalization())
    clean = layer(x, mask=MASK, training=True).numpy()
    mean = layer.layer.moving_mean.numpy()
    layer.layer.moving_mean.assign(np.zeros(4))
    np.testing.assert_array_equal(layer(spoilt, mask=MASK, training=True), clean)
    # A second step with the same batch, from 0 again, must give the same average.
    np.testing.assert_allclose(layer.layer.moving_mean, mean, atol=1e-6)


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


def test_clips_of_clips_of_a_layer_that_does_not_say_its_shape(rng):
    x = rng.normal(size=(2, B, T, 4)).astype(np.float32)
    double = layers.Wrapper(layers.Dense(2))
    double.call = lambda inputs: 2 * double.layer(inputs)
    nested = TimeDistributed(TimeDistributed(double))
    np.testing.assert_allclose(nested(x), 2 * double.layer(x), atol=1e-6)


def test_time_distributed_is_built_again_of_its_arguments():
    options = {"skip_padding": False, "dtype": "mixed_bfloat16", "name": "each"}
    layer = TimeDistributed(layers.Dense(2), **options)
    again = TimeDistributed.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert not again.skip_padding


def test_training_reaches_the_wrapped_layer_once_a_step(rng):
    x = rng.normal(loc=2.0, size=(8, T, 4)).astype(np.float32)
    layer = TimeDistributed(layers.BatchNormalization(momentum=0.9))
    layer(x, training=True)
    np.testing.assert_allclose(layer.layer.moving_mean, 0.1 * x.mean(axis=(0, 1)), atol=1e-5)
    dropout = TimeDistributed(layers.Dropout(0.5))
    assert (dropout(x, training=True).numpy() == 0).any()
    np.testing.assert_array_equal(dropout(x, training=False), x)


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


@pytest.mark.parametrize("shape", [(64, 4), (4, 4, 4, 4)])
def test_batch_normalisation_is_right_from_the_first_step_on(shape, rng):
    """Before it changes nothing; frozen, it keeps its statistics."""
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


def test_batch_normalisation_averages_its_batches_without_a_trace_of_the_start(rng):
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


@pytest.mark.parametrize("kind", STREAMS)
def test_input_stage_names_its_shape(kind):
    stage, image = InputStage(kind), STREAMS[kind].image
    shape = (2, 4, *image.shape(FramesConfig(size=8, pose=2)))
    assert stage.compute_output_shape(shape) == tuple(stage(np.zeros(shape, image.dtype)).shape)
