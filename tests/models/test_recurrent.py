"""Recurrent layers for export compute what those of Keras do."""

import keras
import numpy as np
import pytest

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
