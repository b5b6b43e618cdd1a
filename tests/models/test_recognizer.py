import dataclasses
import functools

import keras
import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig, RunConfig
from pipeline.errors import DataError
from pipeline.models.recognizer import build_recognizer, load_recognizer

CONFIG = RunConfig(
    frames=FramesConfig(size=16),
    clip=ClipConfig(num_frames=6),
    model=ModelConfig(filters=(4, 8), units=8),
)
CLASSES = 3


def configured(**kwargs):
    return dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **kwargs))


def batch(lengths=(6, 3, 1), seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (len(lengths), 6, 16, 16, 3), dtype=np.uint8)
    mask = np.arange(6) < np.array(lengths)[:, None]
    return {"frames": frames, "mask": mask}


@functools.cache
def trained(config):
    """A model whose moving statistics are those of two batches."""
    keras.utils.set_random_seed(0)
    model = build_recognizer(config, CLASSES)
    for seed in range(2):
        model(batch(seed=seed), training=True)
    return model


def logits(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


VARIANTS = {
    "default": CONFIG,
    "rgb": configured(input="rgb"),
    "difference": configured(input="difference"),
    "normalisation after": configured(normalisation="after"),
    "no normalisation": configured(normalisation="off", normalise_features=False),
    "last": configured(pooling="last"),
    "max": configured(pooling="max"),
    "global average": configured(grid=1),
    "regularised": configured(spatial_dropout=0.2, l1=1e-4, l2=1e-4),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_padding_never_reaches_the_logits(config):
    model = trained(config)
    inputs = batch()
    spoilt = {
        **inputs,
        "frames": np.where(inputs["mask"][..., None, None, None], inputs["frames"], 255),
    }
    plain, other = logits(model, inputs), logits(model, spoilt)
    assert plain.shape == (3, CLASSES)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_padded_equals_unpadded(config):
    model = trained(config)
    inputs = batch(lengths=(3, 3, 3))
    short_config = dataclasses.replace(config, clip=ClipConfig(num_frames=3))
    short = build_recognizer(short_config, CLASSES)
    short.set_weights(model.get_weights())
    unpadded = {key: value[:, :3] for key, value in inputs.items()}
    np.testing.assert_allclose(logits(model, inputs), logits(short, unpadded), atol=1e-5)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_a_loaded_model_gives_the_same_logits(config, tmp_path):
    model = trained(config)
    model.save(tmp_path / "model.keras")
    loaded = load_recognizer(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(model, batch()), logits(loaded, batch()))


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_the_static_twin_for_export_gives_the_same_logits(config):
    model = trained(config)
    twin = build_recognizer(config, CLASSES, for_export=True)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(logits(model, batch()), logits(twin, batch()), atol=1e-5)


def test_a_black_frame_is_a_frame():
    model = trained(CONFIG)
    inputs = batch(lengths=(6,))
    inputs["frames"][0, 3:] = 0
    masked = {**inputs, "mask": np.arange(6)[None] < 3}
    assert not np.allclose(logits(model, inputs), logits(model, masked), atol=1e-4)


def layer_names(config):
    model = build_recognizer(config, CLASSES)
    return [type(layer).__name__ for layer in model.get_layer("frame_features").layer.layers]


def test_normalisation_stands_where_the_config_says():
    block = slice(0, 4)
    conv, norm, relu, pool = "Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"
    assert layer_names(CONFIG)[block] == [conv, norm, relu, pool]
    assert layer_names(configured(normalisation="after"))[block] == [conv, relu, norm, pool]
    assert layer_names(configured(normalisation="off"))[:3] == [conv, relu, pool]


def test_the_features_keep_a_coarse_grid():
    def features(grid, size):
        config = dataclasses.replace(configured(grid=grid), frames=FramesConfig(size=size))
        return build_recognizer(config, CLASSES).get_layer("frame_features").output.shape[-1]

    # Two blocks leave a quarter of the side: 4 of 16 and 11 of 44 cells; 8 filters a cell.
    assert features(grid=4, size=16) == 4 * 4 * 8
    assert features(grid=4, size=44) == 4 * 4 * 8
    assert features(grid=1, size=44) == 8
    assert features(grid=99, size=44) == 11 * 11 * 8


def test_penalties_count_convolutions_lstm_and_head():
    model = build_recognizer(configured(l2=1e-3), CLASSES)
    assert len(model.losses) == 2 + 2 + 1
    assert not build_recognizer(CONFIG, CLASSES).losses


def test_frames_smaller_than_the_blocks_can_halve_are_no_error():
    config = dataclasses.replace(configured(filters=(2, 2, 2, 2, 2)), frames=FramesConfig(size=8))
    assert build_recognizer(config, CLASSES).output_shape == (None, CLASSES)


def test_a_damaged_model_file(tmp_path):
    build_recognizer(RunConfig(frames=FramesConfig(size=16)), 2).save(tmp_path / "whole.keras")
    data = (tmp_path / "whole.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut.keras: not a model of a run, or damaged"):
        load_recognizer(tmp_path / "cut.keras")
    with pytest.raises(DataError, match="none.keras: missing. Train again"):
        load_recognizer(tmp_path / "none.keras")
