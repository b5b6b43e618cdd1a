"""Backbones: networks of Keras, those in a file, and what of them is frozen."""

import urllib.request

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.config import BackboneConfig, RunConfig
from pipeline.errors import ConfigError, DataError
from pipeline.models.backbones import build_backbone
from pipeline.models.backbones.applications import APPLICATIONS, application
from pipeline.models.backbones.freezing import freeze, layers_of
from pipeline.models.backbones.keras_file import keras_file
from pipeline.models.layers import BatchNormalization
from pipeline.models.recognizer import build_recognizer, load_recognizer
from tests.runs import changed

SHAPE = (32, 32, 3)


SMALLEST = {"frames.size": 32, "clip.num_frames": 3, "temporal.units": 4}


def run_config(name, **backbone):
    options = {f"backbone.{key}": value for key, value in {"name": name, **backbone}.items()}
    options |= {"backbone.weights": "none", "model.streams": ("rgb",), "model.l2": 1e-4}
    return changed(RunConfig(), SMALLEST | options)


@pytest.fixture
def saved_network(tmp_path):
    path = tmp_path / "network.keras"
    inputs = keras.Input((None, None, 3))
    inner = keras.Sequential([layers.Conv2D(4, 3, strides=2), layers.BatchNormalization()])
    keras.Model(inputs, layers.Conv2D(4, 1)(inner(inputs))).save(path)
    return str(path)


@pytest.mark.parametrize("name", ["cnn", "MobileNetV3Small", "a file"])
def test_a_recogniser_of_every_kind_is_saved(name, saved_network, tmp_path):
    config = run_config(saved_network if name == "a file" else name, trainable=1, grid=2)
    model = build_recognizer(config, 3)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, *SHAPE), dtype=np.uint8)
    clips = {"frames": frames, "mask": np.arange(3) < np.array([[3], [2]])}
    wanted = model(clips, training=False).numpy()
    model.save(tmp_path / "model.keras")
    loaded = load_recognizer(tmp_path / "model.keras", config, 3)
    np.testing.assert_array_equal(loaded(clips, training=False), wanted)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    if name == "a file":
        twin = build_recognizer(config, 3, for_export=True)
        twin.set_weights(loaded.get_weights())
        np.testing.assert_allclose(twin(clips, training=False), wanted, atol=1e-4)
    expect_flat_features(model.get_layer("rgb_features").layer)


def expect_flat_features(backbone):
    """On a coarse grid, of two at each side."""
    network = next(layer for layer in backbone.layers if isinstance(layer, keras.Model))
    _, height, _, filters = network.output_shape
    assert backbone.output_shape == (None, filters * min(height, 2) ** 2)


def test_momentum_penalty_and_pixels_are_for_pretrained_backbones_too(saved_network, tmp_path):
    backbone = build_backbone(run_config(saved_network, momentum=0.7), "rgb", SHAPE)
    inside = list(layers_of(backbone))
    norms = [layer for layer in inside if isinstance(layer, layers.BatchNormalization)]
    convolutions = [layer for layer in inside if isinstance(layer, layers.Conv2D)]
    assert [layer.momentum for layer in norms] == [0.7]
    assert len(backbone.losses) == len(convolutions) == 2
    assert all(layer.kernel_regularizer for layer in convolutions)
    message = r"3 channels.* has 6.* --model.streams rgb,difference"
    for name in ("efficientnet_lite0", "MobileNetV2", "some.keras"):
        with pytest.raises(ConfigError, match=message):
            build_backbone(run_config(name), "rgb_difference", (32, 32, 6))
    expect_flat_features(build_backbone(run_config("efficientnet_lite0", grid=2), "rgb", SHAPE))
    assert not build_backbone(run_config("cnn", trainable="none"), "rgb", SHAPE).trainable_weights
    with pytest.raises(ConfigError, match=r"backbone.name MobilNetV2 .* mean MobileNetV2\?"):
        build_backbone(run_config("MobilNetV2"), "rgb", SHAPE)
    # One that was trained before sees pixels.
    inputs = keras.Input((1, 1, 3))
    keras.Model(inputs, layers.Flatten()(inputs)).save(tmp_path / "same.keras")
    backbone = build_backbone(run_config(str(tmp_path / "same.keras")), "difference", (1, 1, 3))
    pixels = backbone(np.array([[[[-1, 0, 3]]]], np.float32))
    np.testing.assert_allclose(pixels, [[0, 127.5, 255]])


# Networks of Keras.


# The one's preprocessing is BGR less the mean; the other's is within the network.
@pytest.mark.parametrize(
    ("name", "family"), [("VGG16", "vgg16"), ("MobileNetV3Small", "mobilenet_v3")]
)
def test_features_are_those_of_the_application_after_its_preprocessing(name, family, tmp_path):
    plain = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=SHAPE)
    path = tmp_path / "my.weights.h5"
    plain.save_weights(path)
    network = application(BackboneConfig(name=name, weights=str(path)), SHAPE)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    preprocessed = getattr(keras.applications, family).preprocess_input(pixels.copy())
    np.testing.assert_allclose(network(pixels), plain(preprocessed), rtol=1e-4, atol=1e-5)


def test_all_applications_are_known_and_what_they_do_not_take_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(DataError, match="other.weights.h5: not weights of vgg16"):
        application(BackboneConfig(name="VGG16", weights=str(path)), SHAPE)
    with pytest.raises(ConfigError, match="imagenet, none, or a weights file.* no file imagnet"):
        application(BackboneConfig(name="VGG16", weights="imagnet"), SHAPE)
    with pytest.raises(ConfigError, match=r"24 x 24 pixels: .*at least 32x32.* larger --size"):
        application(BackboneConfig(name="VGG16", weights="none"), (24, 24, 3))
    nowhere = urllib.request.ProxyHandler({"https": "http://127.0.0.1:9"})
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(nowhere))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"imagenet: .*https://\S+\.h5.* by hand.*weights none"):
        application(BackboneConfig(name="VGG16"), SHAPE)
    assert len(APPLICATIONS) >= 38
    for name in APPLICATIONS:
        family = getattr(keras.applications, name).__module__.rpartition(".")[2]
        assert hasattr(getattr(keras.applications, family), "preprocess_input"), name


# Those in a file.

SMALL = (8, 8, 3)
SMALL_PIXELS = np.random.default_rng(0).uniform(0, 255, (2, *SMALL)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.keras"


def save(path, shape=SMALL, *steps):
    model = keras.Sequential([layers.Input(shape), *(steps or [layers.Conv2D(4, 3)])])
    model.save(path)
    return model


def load(path, **backbone):
    return keras_file(BackboneConfig(name=str(path), **backbone), SMALL)


def test_features_are_those_of_the_file_at_the_size_of_the_frames(path, tmp_path):
    """With new weights for none, and its own of another file."""
    for shape in (SMALL, (None, None, 3)):
        saved, loaded = save(path, shape), load(path)
        np.testing.assert_array_equal(loaded(SMALL_PIXELS), saved(SMALL_PIXELS))
        assert loaded.output_shape == (None, 6, 6, 4)
        assert loaded.layers[-1].output.shape == (None, 6, 6, 4)
    assert not np.allclose(load(path, weights="none")(SMALL_PIXELS), saved(SMALL_PIXELS))
    other = save(tmp_path / "other.keras")
    other.save_weights(tmp_path / "other.weights.h5")
    loaded = load(path, weights=str(tmp_path / "other.weights.h5"))
    np.testing.assert_array_equal(loaded(SMALL_PIXELS), other(SMALL_PIXELS))


UNFIT = r"input \(.*does not fit the frames \(8, 8, 3\).*--size"


@keras.saving.register_keras_serializable(package="test")
class Own(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_file_that_is_no_network_or_one_that_does_not_fit_is_refused(path):
    """Nor is code in a file run."""
    for shape, step, error, message in (
        ((16, 16, 3), layers.Conv2D(4, 3), ConfigError, UNFIT),
        ((8, 8, 1), layers.Conv2D(4, 3), ConfigError, UNFIT),
        ((8,), layers.Dense(2), DataError, r"one input, of frames .* Received: \[\(8,\)\]"),
        (SMALL, layers.Reshape((64, 3)), DataError, r"one output, of features .* \[\(64, 3\)\]"),
        (SMALL, layers.Lambda(lambda x: x), DataError, "Keras model that can be loaded: .*Lambda"),
    ):
        save(path, shape, step)
        with pytest.raises(error, match=message):
            load(path)
    with pytest.raises(ConfigError, match="none.keras: there is no such file"):
        load(path.with_name("none.keras"))
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="network.keras: not a Keras model that can be loaded"):
        load(path)
    model = Own()
    model(SMALL_PIXELS)
    model.save(path)
    with pytest.raises(DataError, match="expected a functional or sequential Keras model"):
        load(path)


# What is frozen.


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


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, name="inner")

    def call(self, inputs):
        return self.conv(inputs)


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
    # What opens no block: a resolution with nothing to train, a layer of which none is known.
    model = network(layers.Conv2D(4, 3, name="conv"), layers.MaxPooling2D(), layers.Flatten())
    freeze(model, 1)
    assert trained(model) == {"conv/kernel", "conv/bias"}
    model = network(layers.Conv2D(4, 3, name="first"), Subclassed(), block(name="last"))
    freeze(model, 1)
    assert {name.split("/")[-2] for name in trained(model)} >= {"inner"}
    assert not any("first" in name for name in trained(model))
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
