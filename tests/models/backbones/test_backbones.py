import keras
import numpy as np
import pytest
from keras import layers

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
)
from pipeline.errors import ConfigError
from pipeline.models.backbones import build_backbone
from pipeline.models.backbones.freezing import layers_of
from pipeline.models.recognizer import build_recognizer, load_recognizer

SHAPE = (32, 32, 3)


def run_config(name, **backbone):
    return RunConfig(
        frames=FramesConfig(size=32),
        clip=ClipConfig(num_frames=3),
        model=ModelConfig(streams=("rgb",), l2=1e-4),
        backbone=BackboneConfig(name=name, weights="none", **backbone),
        temporal=TemporalConfig(units=4),
    )


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


def test_efficientnet_lite_is_a_backbone():
    expect_flat_features(build_backbone(run_config("efficientnet_lite0", grid=2), "rgb", SHAPE))


def test_a_pretrained_backbone_sees_pixels(tmp_path):
    inputs = keras.Input((1, 1, 3))
    keras.Model(inputs, layers.Flatten()(inputs)).save(tmp_path / "same.keras")
    backbone = build_backbone(run_config(str(tmp_path / "same.keras")), "difference", (1, 1, 3))
    pixels = backbone(np.array([[[[-1, 0, 3]]]], np.float32))
    np.testing.assert_allclose(pixels, [[0, 127.5, 255]])


def test_momentum_and_penalty_hold_for_pretrained_backbones_too(saved_network):
    backbone = build_backbone(run_config(saved_network, momentum=0.7), "rgb", SHAPE)
    inside = list(layers_of(backbone))
    norms = [layer for layer in inside if isinstance(layer, layers.BatchNormalization)]
    convolutions = [layer for layer in inside if isinstance(layer, layers.Conv2D)]
    assert [layer.momentum for layer in norms] == [0.7]
    assert len(backbone.losses) == len(convolutions) == 2
    assert all(layer.kernel_regularizer for layer in convolutions)


def test_the_config_says_what_is_frozen_and_the_nearest_name_is_proposed():
    assert not build_backbone(run_config("cnn", trainable="none"), "rgb", SHAPE).trainable_weights
    with pytest.raises(ConfigError, match=r"backbone.name MobilNetV2 .* mean MobileNetV2\?"):
        build_backbone(run_config("MobilNetV2"), "rgb", SHAPE)


def test_six_channels_are_for_the_cnn_alone():
    message = r"3 channels.* has 6.* --model.streams rgb,difference"
    for name in ("efficientnet_lite0", "MobileNetV2", "some.keras"):
        with pytest.raises(ConfigError, match=message):
            build_backbone(run_config(name), "rgb_difference", (32, 32, 6))
