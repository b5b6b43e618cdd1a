import keras
import numpy as np
import pytest

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
        clip=ClipConfig(num_frames=4),
        model=ModelConfig(streams=("rgb",), l2=1e-4),
        backbone=BackboneConfig(name=name, weights="none", **backbone),
        temporal=TemporalConfig(units=4),
    )


@pytest.fixture
def saved_network(tmp_path):
    path = tmp_path / "network.keras"
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2)(inputs)).save(path)
    return str(path)


@pytest.fixture(params=["cnn", "efficientnet_lite0", "MobileNetV3Small", "a file"])
def name(request, saved_network):
    return saved_network if request.param == "a file" else request.param


def batch(num_frames):
    frames = np.random.default_rng(0).integers(0, 256, (2, num_frames, 32, 32, 3), dtype=np.uint8)
    return {"frames": frames, "mask": np.arange(num_frames) < np.array([[num_frames], [2]])}


def logits(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def test_every_kind_gives_flat_features_on_a_coarse_grid(name):
    backbone = build_backbone(run_config(name, grid=2), "rgb", SHAPE)
    features = backbone(np.zeros((3, *SHAPE), np.float32))
    assert features.shape[0] == 3
    assert len(features.shape) == 2
    network = next(layer for layer in backbone.layers if isinstance(layer, keras.Model))
    _, height, _, filters = network.output_shape
    assert features.shape[1] == filters * min(height, 2) ** 2


def test_a_recogniser_of_every_kind_is_saved_and_has_a_static_twin(name, tmp_path):
    config = run_config(name, trainable=1)
    model = build_recognizer(config, 3)
    model(batch(4), training=True)
    wanted = logits(model, batch(4))
    model.save(tmp_path / "model.keras")
    loaded = load_recognizer(tmp_path / "model.keras", config, 3)
    np.testing.assert_array_equal(logits(loaded, batch(4)), wanted)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    twin = build_recognizer(config, 3, for_export=True)
    twin.set_weights(loaded.get_weights())
    np.testing.assert_allclose(logits(twin, batch(4)), wanted, atol=1e-4)


def test_a_pretrained_backbone_sees_pixels(tmp_path):
    inputs = keras.Input((1, 1, 3))
    keras.Model(inputs, keras.layers.Flatten()(inputs)).save(tmp_path / "same.keras")
    backbone = build_backbone(run_config(str(tmp_path / "same.keras")), "difference", (1, 1, 3))
    pixels = backbone(np.array([[[[-1, 0, 3]]]], np.float32))
    np.testing.assert_allclose(pixels, [[0, 127.5, 255]])


def test_momentum_and_penalty_hold_for_pretrained_backbones_too():
    backbone = build_backbone(run_config("MobileNetV3Small", momentum=0.7), "rgb", SHAPE)
    layers = list(layers_of(backbone))
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.momentum for layer in norms} == {0.7}
    assert len(backbone.losses) == len(convolutions) > 10
    assert all(layer.kernel_regularizer for layer in convolutions)


def test_what_is_frozen_is_said_by_the_config():
    assert not build_backbone(run_config("cnn", trainable="none"), "rgb", SHAPE).trainable_weights


def test_the_nearest_name_is_proposed():
    with pytest.raises(ConfigError, match=r"backbone.name MobilNetV2 .* mean MobileNetV2\?"):
        build_backbone(run_config("MobilNetV2"), "rgb", SHAPE)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "MobileNetV2", "some.keras"])
def test_six_channels_are_for_the_cnn_alone(name):
    with pytest.raises(ConfigError, match=r"3 channels.* has 6.* --model.streams rgb,difference"):
        build_backbone(run_config(name), "rgb_difference", (32, 32, 6))
