import dataclasses
import functools

import keras
import numpy as np
import pytest

from pipeline.config import BackboneConfig, ClipConfig, FramesConfig, RunConfig, TemporalConfig
from pipeline.errors import DataError
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.models.temporal import summarise

CONFIG = RunConfig(
    frames=FramesConfig(size=16),
    clip=ClipConfig(num_frames=6),
    backbone=BackboneConfig(filters=(4, 8)),
    temporal=TemporalConfig(units=8),
)
CLASSES = 3


def configured(**sections):
    changed = {
        name: dataclasses.replace(getattr(CONFIG, name), **values)
        for name, values in sections.items()
    }
    return dataclasses.replace(CONFIG, **changed)


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
    "rgb": configured(model={"streams": ("rgb",)}),
    "difference": configured(model={"streams": ("difference",)}),
    "normalisation after": configured(backbone={"normalisation": "after"}),
    "no normalisation": configured(backbone={"normalisation": "off", "normalise_features": False}),
    "last": configured(temporal={"pooling": "last"}),
    "max": configured(temporal={"pooling": "max"}),
    "attention": configured(temporal={"pooling": "attention"}),
    "bilstm": configured(temporal={"kind": "bilstm"}),
    "bilstm, last": configured(temporal={"kind": "bilstm", "pooling": "last"}),
    "gru": configured(temporal={"kind": "gru"}),
    "conv1d_lstm": configured(temporal={"kind": "conv1d_lstm"}),
    "mean of features": configured(temporal={"kind": "mean"}),
    "two layers": configured(temporal={"layers": 2}),
    "all dropouts": configured(
        temporal={"dropout": 0.5, "input_dropout": 0.5, "recurrent_dropout": 0.5}
    ),
    "two streams": configured(model={"streams": ("rgb", "difference")}),
    "a backbone of its own": dataclasses.replace(
        configured(model={"streams": ("rgb", "difference")}),
        backbones={"rgb": BackboneConfig(filters=(6,), grid=2, normalise_features=False)},
    ),
    "rgb_difference": configured(model={"streams": ("rgb_difference",)}),
    "global average": configured(backbone={"grid": 1}),
    "regularised": configured(backbone={"spatial_dropout": 0.2}, model={"l1": 1e-4, "l2": 1e-4}),
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
def test_the_static_twin_for_export_gives_the_same_logits(config):
    model = trained(config)
    twin = build_recognizer(config, CLASSES, for_export=True)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(logits(model, batch()), logits(twin, batch()), atol=1e-5)


def test_a_stream_has_its_own_backbone_or_that_of_all():
    model = trained(VARIANTS["a backbone of its own"])
    widths = {s: model.get_layer(f"{s}_features").output.shape[-1] for s in ("rgb", "difference")}
    assert widths == {"rgb": 2 * 2 * 6, "difference": 4 * 4 * 8}
    names = {layer.name for layer in model.get_layer("rgb_temporal").layers}
    assert "normalise" not in names


def test_a_model_of_before_has_the_names_of_now(tmp_path):
    """`rgb_difference` was called `both`."""
    config = VARIANTS["rgb_difference"]
    model = build_recognizer(config, CLASSES)
    wanted = logits(model, batch())
    model.get_layer("rgb_difference_input").kind = "both"
    for layer in model.layers:
        layer.name = layer.name.replace("rgb_difference", "both")
    model.save(tmp_path / "model.keras")
    loaded = load_recognizer(tmp_path / "model.keras", config, CLASSES)
    np.testing.assert_array_equal(logits(loaded, batch()), wanted)
    names = {layer.name for layer in loaded.layers if layer.name.startswith("rgb_difference")}
    assert names == {f"rgb_difference_{part}" for part in ("input", "features", "temporal")}


def test_a_black_frame_is_a_frame():
    model = trained(CONFIG)
    inputs = batch(lengths=(6,))
    inputs["frames"][0, 3:] = 0
    masked = {**inputs, "mask": np.arange(6)[None] < 3}
    assert not np.allclose(logits(model, inputs), logits(model, masked), atol=1e-4)


def layer_names(config):
    model = build_recognizer(config, CLASSES)
    cnn = model.get_layer("difference_features").layer.get_layer("cnn")
    return [type(layer).__name__ for layer in cnn.layers]


def test_normalisation_stands_where_the_config_says():
    block = slice(0, 4)
    conv, norm, relu, pool = "Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"
    assert layer_names(CONFIG)[block] == [conv, norm, pool, relu]
    after, off = (configured(backbone={"normalisation": where}) for where in ("after", "off"))
    assert layer_names(after)[block] == [conv, relu, norm, pool]
    assert layer_names(off)[:3] == [conv, pool, relu]


def test_the_features_keep_a_coarse_grid():
    def features(grid, size):
        config = dataclasses.replace(
            configured(backbone={"grid": grid}), frames=FramesConfig(size=size)
        )
        return build_recognizer(config, CLASSES).get_layer("difference_features").output.shape[-1]

    # Two blocks leave a quarter of the side: 4 of 16 and 11 of 44 cells; 8 filters a cell.
    assert features(grid=4, size=16) == 4 * 4 * 8
    assert features(grid=4, size=44) == 4 * 4 * 8
    assert features(grid=1, size=44) == 8
    assert features(grid=99, size=44) == 11 * 11 * 8


def test_penalties_count_convolutions_lstm_and_head():
    model = build_recognizer(configured(model={"l2": 1e-3}), CLASSES)
    assert len(model.losses) == 2 + 2 + 1
    assert not build_recognizer(CONFIG, CLASSES).losses


def test_frames_smaller_than_the_blocks_can_halve_are_no_error():
    blocks = configured(backbone={"filters": (2, 2, 2, 2, 2)})
    config = dataclasses.replace(blocks, frames=FramesConfig(size=8))
    assert build_recognizer(config, CLASSES).output_shape == (None, CLASSES)


def test_a_damaged_model_file(tmp_path):
    build_recognizer(RunConfig(frames=FramesConfig(size=16)), 2).save(tmp_path / "whole.keras")
    data = (tmp_path / "whole.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut.keras: not a model of a run, or damaged"):
        load_recognizer(tmp_path / "cut.keras")
    with pytest.raises(DataError, match="none.keras: missing. Train again"):
        load_recognizer(tmp_path / "none.keras")


def test_a_bilstm_reads_the_real_frames_both_ways():
    """With the same weights both ways, a clip shown backwards changes their places."""
    config = configured(temporal={"kind": "bilstm", "pooling": "last"})
    features, mask = keras.Input((6, 3)), keras.Input((6,), dtype="bool")
    network = keras.Model([features, mask], summarise(features, mask, config, unroll=True))
    weights = network.get_weights()
    network.set_weights(weights[:3] * 2)
    sequence = np.random.default_rng(0).normal(size=(1, 6, 3)).astype(np.float32)
    real = np.arange(6)[None] < 4
    turned = np.concatenate([sequence[:, 3::-1], sequence[:, 4:]], axis=1)
    forwards, backwards = np.split(network([sequence, real]), 2, axis=1)
    again = np.split(network([turned, real]), 2, axis=1)
    np.testing.assert_allclose(again, [backwards, forwards], atol=1e-6)
    assert np.abs(forwards - backwards).max() > 1e-3
