import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.errors import DataError
from pipeline.models import temporal as temporal_module
from pipeline.models.recognizer import (
    build_recognizer,
    float32_twin,
    load_recognizer,
    trained_model,
)
from pipeline.models.temporal import summarise
from pipeline.tasks.task import task_of

CONFIG = RunConfig(
    frames=FramesConfig(size=16),
    clip=ClipConfig(num_frames=6, sampling="dense"),
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
    """Of clips, or of their real frames."""
    found = keras.ops.convert_to_numpy(model(inputs, training=False))
    return found[inputs["mask"]] if found.ndim == 3 else found


def frames(model=None, **temporal):
    return configured(model={"task": "frames", **(model or {})}, temporal=temporal)


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
    "statistics of features": configured(temporal={"kind": "stats"}),
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
    "tcn": configured(temporal={"kind": "tcn", "layers": 2, "input_dropout": 0.5}),
    "tcn, last": configured(temporal={"kind": "tcn", "layers": 2, "pooling": "last"}),
    "tcn, causal": configured(temporal={"kind": "tcn", "layers": 4, "causal": True}),
}
OF_FRAMES = {
    "lstm": frames(pooling="last"),
    "bilstm, two layers": frames(kind="bilstm", layers=2),
    "gru": frames(kind="gru"),
    "conv1d_lstm": frames(kind="conv1d_lstm"),
    "tcn, causal": frames(kind="tcn", layers=2, causal=True),
    "tcn, two streams": frames(
        {"task": "frames-multilabel", "streams": ("rgb", "difference")},
        kind="tcn",
        layers=2,
        stages=2,
    ),
}
ALL = VARIANTS | {f"frames, {name}": config for name, config in OF_FRAMES.items()}


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
def test_padding_never_reaches_the_logits(config):
    model = trained(config)
    inputs = batch()
    spoilt = {
        **inputs,
        "frames": np.where(inputs["mask"][..., None, None, None], inputs["frames"], 255),
    }
    plain, other = logits(model, inputs), logits(model, spoilt)
    assert model.output_shape == (None, *([6] if config.model.per_frame else []), CLASSES)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
def test_padded_equals_unpadded(config):
    model = trained(config)
    inputs = batch(lengths=(3, 3, 3))
    short_config = dataclasses.replace(config, clip=dataclasses.replace(config.clip, num_frames=3))
    short = build_recognizer(short_config, CLASSES)
    short.set_weights(model.get_weights())
    unpadded = {key: value[:, :3] for key, value in inputs.items()}
    np.testing.assert_allclose(logits(model, inputs), logits(short, unpadded), atol=1e-5)


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
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


def test_a_model_with_a_stream_of_another_version_is_refused(tmp_path):
    config = VARIANTS["rgb_difference"]
    model = build_recognizer(config, CLASSES)
    model.get_layer("rgb_difference_input").kind = "both"
    model.save(tmp_path / "model.keras")
    with pytest.raises(DataError, match="not a model of a run, or damaged. Train again"):
        load_recognizer(tmp_path / "model.keras", config, CLASSES)


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


STAGES = OF_FRAMES["tcn, two streams"]


def test_all_stages_are_trained_and_the_last_one_is_what_the_recognizer_gives():
    model = trained(STAGES)
    whole = trained_model(model, STAGES)
    assert whole.output_shape == (None, 2, 6, CLASSES)
    found = whole(batch(), training=False).numpy()
    np.testing.assert_allclose(found[:, -1][batch()["mask"]], logits(model, batch()), atol=1e-6)
    assert {id(each) for each in whole.weights} == {id(each) for each in model.weights}
    for stage in range(2):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(whole(batch(), training=False)[:, stage, 0] ** 2)
        variables = [each.value for each in whole.trainable_variables]
        gradients = tape.gradient(total, variables)
        names = {each.path for each in whole.trainable_variables if each.path.startswith("head")}
        used = {
            each.path
            for each, gradient in zip(whole.trainable_variables, gradients, strict=True)
            if gradient is not None and np.abs(gradient).max() > 0
        }
        assert names - used == {
            f"head_{number}/{name}" for number in range(stage + 2, 3) for name in ("kernel", "bias")
        }


def test_what_has_one_stage_is_fitted_as_it_is():
    for config in (CONFIG, OF_FRAMES["lstm"], configured(model={"task": "auto"})):
        assert trained_model(trained(config), config) is trained(config)


def test_a_stage_reads_the_probabilities_of_the_one_before():
    for task, kind in (("frames", "softmax"), ("frames-multilabel", "sigmoid")):
        config = frames({"task": task}, kind="tcn", stages=2)
        part = build_recognizer(config, CLASSES).get_layer("difference_temporal")
        found = [each for each in part.layers if isinstance(each, keras.layers.Activation)]
        assert [each.activation.__name__ for each in found] == [kind]


@pytest.mark.parametrize("name", ["lstm", "tcn, two streams"])
def test_a_model_of_frames_survives_saving_and_its_twin(name, tmp_path):
    config = OF_FRAMES[name]
    half = dataclasses.replace(config, train=TrainConfig(precision="mixed_bfloat16"))
    model = build_recognizer(half, CLASSES)
    assert model.output.dtype == "float32"
    twin = float32_twin(model, half)
    twin.save(tmp_path / "model.keras")
    loaded = load_recognizer(tmp_path / "model.keras", config, CLASSES)
    np.testing.assert_array_equal(logits(loaded, batch()), logits(twin, batch()))
    np.testing.assert_allclose(logits(model, batch()), logits(twin, batch()), atol=0.1)


def test_only_pictures_are_seen_in_half_precision():
    """1.001 is 1 in bfloat16."""
    frames = FramesConfig(fps=10, size=16, pose=2)
    train = TrainConfig(precision="mixed_bfloat16")
    config = configured(model={"streams": ("rgb", "pose")})
    model = build_recognizer(dataclasses.replace(config, frames=frames, train=train), CLASSES)
    rgb, pose = (model.get_layer(f"{name}_features") for name in ("rgb", "pose"))
    assert (rgb.output.dtype, pose.output.dtype) == ("bfloat16", "float32")
    numbers = np.full((1, *pose.output.shape[1:]), 1.001, np.float32)
    np.testing.assert_array_equal(pose(numbers), numbers)


def test_a_model_of_clips_is_none_of_frames(tmp_path):
    clips, each = configured(temporal={"kind": "gru"}), OF_FRAMES["gru"]
    for saved, wanted in ((clips, each), (each, clips)):
        trained(saved).save(tmp_path / "model.keras")
        with pytest.raises(DataError, match="does not fit the config.toml beside it"):
            load_recognizer(tmp_path / "model.keras", wanted, CLASSES)


def test_long_clips_of_frames_have_the_answers_of_short_ones(monkeypatch):
    """Those of layers that are not unrolled, whose outputs can be trained on."""
    config = OF_FRAMES["gru"]
    unrolled = trained(config)
    monkeypatch.setattr(temporal_module, "MOST_UNROLLED", 0)
    model = build_recognizer(config, CLASSES)
    model.set_weights(unrolled.get_weights())
    np.testing.assert_allclose(logits(model, batch()), logits(unrolled, batch()), atol=1e-5)
    model.compile("sgd", task_of(config.model).loss())
    targets = np.where(batch()["mask"][..., None], np.eye(CLASSES)[np.zeros((3, 6), int)], -1)
    assert np.isfinite(model.train_on_batch(batch(), targets.astype(np.float32)))


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
