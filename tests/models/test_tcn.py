"""A temporal convolution sees what its dilations say, and nothing of the padding."""

import keras
import numpy as np
import pytest

from pipeline.config import ModelConfig, RunConfig, TemporalConfig
from pipeline.models.tcn import DilatedResidual, convolve, correct

RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(2, 9, 4)).astype(np.float32)
MASK = np.ones((2, 9), bool)


@pytest.mark.parametrize("dilation", [1, 2, 4, 16])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_convolution_of_keras(causal, dilation):
    layer = DilatedResidual(4, dilation, causal=causal)
    found = layer(SEQUENCE, mask=MASK)
    kernel, bias, project, offset = (RNG.normal(size=each.shape) for each in layer.get_weights())
    layer.set_weights([kernel, bias, project, offset])
    convolution = keras.layers.Conv1D(
        4,
        3,
        dilation_rate=dilation,
        padding="causal" if causal else "same",
        activation="relu",
    )
    convolution.build(SEQUENCE.shape)
    convolution.set_weights([kernel.reshape(3, 4, 4), bias])
    expected = SEQUENCE + convolution(SEQUENCE).numpy() @ project + offset
    found = layer(SEQUENCE, mask=MASK)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def network(length, *, of_stage=convolve, width=4, **temporal):
    config = RunConfig(model=ModelConfig(l2=1e-3), temporal=TemporalConfig(kind="tcn", **temporal))
    sequence, mask = keras.Input((length, width)), keras.Input((length,), dtype="bool")
    return keras.Model([sequence, mask], of_stage(sequence, mask, config))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("stage", [convolve, correct])
@pytest.mark.parametrize("causal", [False, True])
def test_a_frame_reaches_as_far_as_the_dilations_say(causal, stage, layers):
    length, changed = 41, 20
    model = network(length, of_stage=stage, units=16, layers=layers, causal=causal)
    sequence = RNG.normal(size=(1, length, 4)).astype(np.float32)
    other = sequence.copy()
    other[:, changed] += 3 * RNG.normal(size=4)
    mask = np.ones((1, length), bool)
    difference = np.abs(model([sequence, mask]) - model([other, mask])).max(axis=(0, 2))
    reach = 2**layers - 1
    first, last = (0, 2 * reach) if causal else (-reach, reach)
    assert np.flatnonzero(difference).tolist() == [*range(changed + first, changed + last + 1)]


@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_as_what_is_beyond_the_end(causal):
    options = {"units": 4, "layers": 3, "causal": causal}
    model, short = network(9, **options), network(5, **options)
    for weight in model.weights:
        weight.assign(RNG.normal(size=weight.shape))
    short.set_weights(model.get_weights())
    mask = MASK & (np.arange(9) < 5)
    np.testing.assert_allclose(
        model([SEQUENCE, mask])[:, :5], short([SEQUENCE[:, :5], MASK[:, :5]]), rtol=1e-4
    )


def test_dropout_is_of_what_is_added_in_training_alone():
    layer = DilatedResidual(4, 1, dropout=0.9999)
    calm = layer(SEQUENCE, mask=MASK)
    np.testing.assert_array_equal(layer(SEQUENCE, mask=MASK, training=True), SEQUENCE)
    assert np.abs(calm - SEQUENCE).max() > 1e-3
    given = network(9, units=4, input_dropout=0.4).layers
    assert [each.dropout.rate for each in given if isinstance(each, DilatedResidual)] == [0.4]


def test_penalties_are_of_all_weights():
    model = network(9, units=4, layers=2)
    assert len(model.losses) == 1 + 2 * 2


def test_a_layer_is_built_again_as_it_was():
    layer = DilatedResidual(
        4, 2, causal=True, dropout=0.3, regularizer=keras.regularizers.L2(0.5), name="it"
    )
    again = DilatedResidual.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build(SEQUENCE.shape)
    assert len(again.losses) == 2
