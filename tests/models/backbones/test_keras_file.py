import keras
import numpy as np
import pytest
from keras import layers

from pipeline.config import BackboneConfig
from pipeline.errors import ConfigError, DataError
from pipeline.models.backbones.keras_file import keras_file

SHAPE = (8, 8, 3)
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.keras"


def save(path, shape=SHAPE, *steps):
    model = keras.Sequential([layers.Input(shape), *(steps or [layers.Conv2D(4, 3)])])
    model.save(path)
    return model


def load(path, **backbone):
    return keras_file(BackboneConfig(name=str(path), **backbone), SHAPE)


@pytest.mark.parametrize("shape", [SHAPE, (None, None, 3)])
def test_features_are_those_of_the_file_at_the_size_of_the_frames(path, shape):
    saved, loaded = save(path, shape), load(path)
    np.testing.assert_array_equal(loaded(PIXELS), saved(PIXELS))
    assert loaded.output_shape == (None, 6, 6, 4)
    assert loaded.layers[-1].output.shape == (None, 6, 6, 4)


def test_none_gives_new_weights_and_a_file_gives_its_own(path, tmp_path):
    saved = save(path)
    assert not np.allclose(load(path, weights="none")(PIXELS), saved(PIXELS))
    other = save(tmp_path / "other.keras")
    other.save_weights(tmp_path / "other.weights.h5")
    loaded = load(path, weights=str(tmp_path / "other.weights.h5"))
    np.testing.assert_array_equal(loaded(PIXELS), other(PIXELS))


UNFIT = r"input \(.*does not fit the frames \(8, 8, 3\).*--size"


@pytest.mark.parametrize(
    ("shape", "step", "error", "message"),
    [
        ((16, 16, 3), layers.Conv2D(4, 3), ConfigError, UNFIT),
        ((8, 8, 1), layers.Conv2D(4, 3), ConfigError, UNFIT),
        ((8,), layers.Dense(2), DataError, r"one input, of frames .* Received: \[\(8,\)\]"),
        (SHAPE, layers.Reshape((64, 3)), DataError, r"one output, of features .* \[\(64, 3\)\]"),
        (SHAPE, layers.Lambda(lambda x: x), DataError, "Keras model that can be loaded: .*Lambda"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(path, shape, step, error, message):
    """Nor is code in a file run."""
    save(path, shape, step)
    with pytest.raises(error, match=message):
        load(path)


@keras.saving.register_keras_serializable(package="test")
class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_file_that_is_no_network_is_refused(path):
    with pytest.raises(ConfigError, match="network.keras: there is no such file"):
        load(path)
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="network.keras: not a Keras model that can be loaded"):
        load(path)
    model = Subclassed()
    model(PIXELS)
    model.save(path)
    with pytest.raises(DataError, match="expected a functional or sequential Keras model"):
        load(path)
