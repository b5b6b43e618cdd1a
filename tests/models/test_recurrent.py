"""Unrolled recurrent layers compute what those of Keras do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipeline.models.recurrent import UnrolledGRU, UnrolledLSTM

RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(3, 5, 4)).astype(np.float32)
MASK = np.arange(5) < np.array([[1], [3], [5]])


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize(
    ("unrolled", "original"), [(UnrolledLSTM, keras.layers.LSTM), (UnrolledGRU, keras.layers.GRU)]
)
def test_outputs_are_those_of_keras(unrolled, original, return_sequences):
    keras_layer = original(6, return_sequences=return_sequences)
    expected = keras_layer(SEQUENCE, mask=MASK)
    layer = unrolled(6, return_sequences=return_sequences)
    layer(SEQUENCE, mask=MASK)
    weights = [RNG.normal(size=weight.shape) for weight in keras_layer.get_weights()]
    for each in (keras_layer, layer):
        each.set_weights(weights)
    expected = keras_layer(SEQUENCE, mask=MASK).numpy()
    found = layer(SEQUENCE, mask=MASK).numpy()
    assert found.shape == layer.compute_output_shape(SEQUENCE.shape) == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)
    again = unrolled.from_config(layer.get_config())
    assert again(SEQUENCE, mask=MASK).shape == expected.shape


@pytest.mark.parametrize(
    ("unrolled", "original"), [(UnrolledLSTM, keras.layers.LSTM), (UnrolledGRU, keras.layers.GRU)]
)
def test_gradients_are_those_of_keras(unrolled, original):
    found = []
    weights = None
    for kind in (unrolled, original):
        layer = kind(6, return_sequences=True)
        layer.build(SEQUENCE.shape)
        weights = weights or [RNG.normal(size=weight.shape) for weight in layer.get_weights()]
        layer.set_weights(weights)
        x = tf.constant(SEQUENCE)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.where(MASK[..., None], layer(x, mask=MASK, training=True), 0)
            total = tf.reduce_sum(outputs**2)
        found.append(tape.gradient(total, [x, *(w.value for w in layer.trainable_weights)]))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


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
    one = SEQUENCE[:, :1], mask[:, :1]
    np.testing.assert_array_equal(
        layer(one[0], mask=one[1], training=True), layer(one[0], mask=one[1])
    )


def test_penalties_are_of_the_weights_but_not_the_bias():
    layer = UnrolledLSTM(6, regularizer=keras.regularizers.L2(1.0))
    layer.build(SEQUENCE.shape)
    kernel, recurrent, _ = layer.get_weights()
    assert float(sum(layer.losses)) == pytest.approx((kernel**2).sum() + (recurrent**2).sum())
    again = UnrolledLSTM.from_config(layer.get_config())
    again.build(SEQUENCE.shape)
    assert len(again.losses) == 2
