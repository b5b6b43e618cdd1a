import keras
import numpy as np
import pytest
from keras import layers

from pipeline.errors import ConfigError
from pipeline.models.backbones.freezing import freeze
from pipeline.models.layers import BatchNormalization


def block(norm=layers.BatchNormalization, name=None):
    """Halves the resolution, padding by itself as MobileNetV2 does."""
    steps = [layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=2), norm(), layers.ReLU()]
    return keras.Sequential(steps, name=name)


def network(*steps, size=16):
    inputs = keras.Input((size, size, 3))
    x = inputs
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x, name="network")


def trained(model):
    return {variable.path for variable in model.trainable_variables}


def squeeze(x):
    weight = layers.Conv2D(4, 1, name="squeeze")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, weight])


def test_the_last_blocks_are_those_at_the_last_resolutions():
    model = network(
        block(name="8"),
        block(name="4"),
        squeeze,
        block(name="2"),
        layers.ZeroPadding2D(1),
        layers.Conv2D(4, 3, name="padded"),
    )
    freeze(model, 1)
    assert {name.split("/")[0] for name in trained(model)} == {"2", "padded"}
    freeze(model, 2)
    assert {name.split("/")[0] for name in trained(model)} == {"4", "squeeze", "2", "padded"}
    freeze(model, 3)
    every = trained(model)
    freeze(model, "all")
    assert trained(model) == every


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, name="inner")

    def call(self, inputs):
        return self.conv(inputs)


def test_what_opens_no_block():
    """A resolution with nothing to train, nor a layer of which none is known."""
    model = network(layers.Conv2D(4, 3, name="conv"), layers.MaxPooling2D(), layers.Flatten())
    freeze(model, 1)
    assert trained(model) == {"conv/kernel", "conv/bias"}
    model = network(layers.Conv2D(4, 3, name="first"), Subclassed(), block(name="last"))
    freeze(model, 1)
    assert {name.split("/")[-2] for name in trained(model)} >= {"inner"}
    assert not any("first" in name for name in trained(model))


def test_all_and_more_than_all():
    model = network(block(), block())
    with pytest.raises(ConfigError, match=r"at most 2: network has 2 blocks .* Received: 3"):
        freeze(model, 3)
    model.trainable = False  # as a file had it
    freeze(model, "all")
    assert len(trained(model)) == 8


@pytest.mark.parametrize("norm", [layers.BatchNormalization, BatchNormalization])
@pytest.mark.parametrize(("trainable", "moving"), [("none", []), (1, ["last"])])
def test_frozen_batch_normalisation_stays_as_it_is_in_training(norm, trainable, moving):
    backbone = network(block(norm, "first"), block(norm, "last"))
    freeze(backbone, trainable)
    model = keras.Sequential([backbone, layers.GlobalAveragePooling2D(), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = {variable.path: variable.numpy() for variable in backbone.variables}
    images = np.random.default_rng(0).normal(2, 3, (4, 16, 16, 3))
    model.train_on_batch(images, np.ones((4, 1)))
    changed = {
        variable.path.split("/")[0]
        for variable in backbone.variables
        if not np.array_equal(before[variable.path], variable.numpy())
    }
    assert changed == set(moving)
