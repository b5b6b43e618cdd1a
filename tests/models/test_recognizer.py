import functools

import keras
import numpy as np
import pytest

from pipeline.config import BackboneConfig, ClipConfig, FramesConfig, RunConfig, TemporalConfig
from pipeline.errors import DataError
from pipeline.models import temporal as temporal_module
from pipeline.models.recognizer import (
    build_recognizer,
    float32_twin,
    load_recognizer,
    trained_model,
)
from pipeline.models.recurrent import UnrolledGRU
from pipeline.models.temporal import summarise
from pipeline.tasks.task import task_of
from tests.runs import changed

CONFIG = RunConfig(
    frames=FramesConfig(size=16),
    clip=ClipConfig(num_frames=4, sampling="dense"),
    backbone=BackboneConfig(filters=(4,)),
    temporal=TemporalConfig(units=4),
)
CLASSES = 3


def having(**values):
    """A configuration with other values, the dots of whose keys are written as two underscores."""
    return changed(CONFIG, {key.replace("__", "."): value for key, value in values.items()})


def reading(kind, **values):
    """A configuration with another temporal part."""
    parts = {f"temporal__{name}": value for name, value in values.items()}
    task = parts.pop("temporal__task", "auto")
    return having(temporal__kind=kind, model__task=task, **parts)


def batch(lengths=(4, 2, 1), seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (len(lengths), 4, 16, 16, 3), dtype=np.uint8)
    return {"frames": frames, "mask": np.arange(4) < np.array(lengths)[:, None]}


@functools.cache
def trained(config):
    """A model whose moving statistics are those of a batch."""
    keras.utils.set_random_seed(0)
    model = build_recognizer(config, CLASSES)
    model(batch(seed=1), training=True)
    return model


def logits(model, inputs):
    """Of clips, or of their real frames."""
    found = keras.ops.convert_to_numpy(model(inputs, training=False))
    return found[inputs["mask"]] if found.ndim == 3 else found


STAGES = having(
    model__task="frames-multilabel",
    model__streams=["rgb", "difference"],
    temporal__kind="tcn",
    temporal__layers=2,
    temporal__stages=2,
)
OWN_BACKBONE = having(
    model__streams=["rgb", "difference"],
    backbone__rgb__filters=[6],
    backbone__rgb__grid=2,
    backbone__rgb__normalise_features=False,
)
VARIANTS = {
    "lstm, mean": CONFIG,
    "rgb, last, normalisation after": having(
        model__streams=["rgb"], temporal__pooling="last", backbone__normalisation="after"
    ),
    "rgb_difference, max, no normalisation": having(
        model__streams=["rgb_difference"],
        temporal__pooling="max",
        backbone__normalisation="off",
        backbone__normalise_features=False,
    ),
    "attention, global average": having(temporal__pooling="attention", backbone__grid=1),
    "bilstm, last, two layers, all dropouts": having(
        temporal__kind="bilstm",
        temporal__pooling="last",
        temporal__layers=2,
        temporal__dropout=0.5,
        temporal__input_dropout=0.5,
        temporal__recurrent_dropout=0.5,
    ),
    "gru, regularised": having(
        temporal__kind="gru", backbone__spatial_dropout=0.2, model__l1=1e-4, model__l2=1e-4
    ),
    "conv1d_lstm": reading("conv1d_lstm"),
    "mean of features": reading("mean"),
    "statistics of features": reading("stats"),
    "two streams, a backbone of its own": OWN_BACKBONE,
    "tcn, last, causal": reading("tcn", layers=3, pooling="last", causal=True, input_dropout=0.5),
    "frames, bilstm, two layers": reading("bilstm", task="frames", layers=2),
    "frames, gru": reading("gru", task="frames"),
    "frames, tcn, two streams": STAGES,
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_padding_never_reaches_the_logits(config):
    """Neither what stands in it nor how long it is, nor whether the shapes are static."""
    model, inputs = trained(config), batch((3, 2, 1))
    found = logits(model, inputs)
    assert model.output_shape == (None, *([4] if config.model.per_frame else []), CLASSES)
    assert found.dtype == np.float32
    real = inputs["mask"][..., None, None, None]
    spoilt = {**inputs, "frames": np.where(real, inputs["frames"], 255)}
    np.testing.assert_array_equal(logits(model, spoilt), found)
    short = build_recognizer(changed(config, {"clip.num_frames": 3}), CLASSES, for_export=True)
    short.set_weights(model.get_weights())
    shorter = {key: value[:, :3] for key, value in inputs.items()}
    np.testing.assert_allclose(logits(short, shorter), found, atol=1e-5)


def test_grid_normalisation_backbones_and_penalties_are_those_of_the_config():
    def features(grid, size):
        config = having(backbone__filters=[4, 8], backbone__grid=grid, frames__size=size)
        return build_recognizer(config, CLASSES).get_layer("difference_features").output.shape[-1]

    # Two blocks leave a quarter of the side: 4 of 16 and 11 of 44 cells; 8 filters a cell.
    assert features(grid=4, size=16) == 4 * 4 * 8
    assert features(grid=4, size=44) == 4 * 4 * 8
    assert features(grid=1, size=44) == 8
    assert features(grid=99, size=44) == 11 * 11 * 8
    # Frames that are smaller than the blocks can halve are no error.
    config = having(backbone__filters=[2, 2, 2, 2, 2], frames__size=8)
    assert build_recognizer(config, CLASSES).output_shape == (None, CLASSES)

    def kinds(normalisation):
        model = build_recognizer(having(backbone__normalisation=normalisation), CLASSES)
        cnn = model.get_layer("difference_features").layer.get_layer("cnn")
        return [type(layer).__name__ for layer in cnn.layers]

    conv, norm, relu, pool = "Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"
    assert kinds("before") == [conv, norm, pool, relu]
    assert kinds("after") == [conv, relu, norm, pool]
    assert kinds("off") == [conv, pool, relu]
    model = trained(OWN_BACKBONE)
    widths = {s: model.get_layer(f"{s}_features").output.shape[-1] for s in ("rgb", "difference")}
    assert widths == {"rgb": 2 * 2 * 6, "difference": 4 * 4 * 4}
    names = {layer.name for layer in model.get_layer("rgb_temporal").layers}
    assert "normalise" not in names
    model = build_recognizer(having(model__l2=1e-3), CLASSES)
    assert len(model.losses) == 1 + 2 + 1
    assert not trained(CONFIG).losses


def test_files_of_other_models_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(DataError, match="model.keras: missing. Train again"):
        load_recognizer(path)
    clips, frames = reading("gru"), VARIANTS["frames, gru"]
    for saved, wanted in ((clips, frames), (frames, clips)):
        trained(saved).save(path)
        with pytest.raises(DataError, match="does not fit the config.toml beside it"):
            load_recognizer(path, wanted, CLASSES)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    broken = "model.keras: not a model of a run, or damaged. Train again"
    with pytest.raises(DataError, match=broken):
        load_recognizer(path)
    model = build_recognizer(CONFIG, CLASSES)
    model.get_layer("difference_input").kind = "both"  # as of another version
    model.save(path)
    with pytest.raises(DataError, match=broken):
        load_recognizer(path, CONFIG, CLASSES)
    # A stage reads the probabilities of the one before.
    for task, kind in (("frames", "softmax"), ("frames-multilabel", "sigmoid")):
        model = build_recognizer(reading("tcn", task=task, stages=2), CLASSES)
        part = model.get_layer("difference_temporal")
        found = [each for each in part.layers if isinstance(each, keras.layers.Activation)]
        assert [each.activation.__name__ for each in found] == [kind]
    for config in (CONFIG, VARIANTS["frames, gru"]):
        model = trained(config)
        assert trained_model(model, config) is model, "what has one stage is fitted as it is"


def test_only_pictures_are_seen_in_half_precision():
    """1.001 is 1 in bfloat16."""
    config = having(
        model__streams=["rgb", "pose"], frames__pose=2, train__precision="mixed_bfloat16"
    )
    model = build_recognizer(config, CLASSES)
    rgb, pose = (model.get_layer(f"{name}_features") for name in ("rgb", "pose"))
    assert (rgb.output.dtype, pose.output.dtype) == ("bfloat16", "float32")
    numbers = np.full((1, *pose.output.shape[1:]), 1.001, np.float32)
    np.testing.assert_array_equal(pose(numbers), numbers)
    # One of frames has the answers of its twin.
    half = changed(STAGES, {"train.precision": "mixed_bfloat16"})
    model = build_recognizer(half, CLASSES)
    assert model.output.dtype == "float32"
    twin = float32_twin(model, half)
    np.testing.assert_allclose(logits(model, batch()), logits(twin, batch()), atol=0.1)


def test_long_clips_of_frames_have_the_answers_of_short_ones(monkeypatch):
    """Those of layers that are not unrolled, whose outputs can be trained on."""
    config = VARIANTS["frames, gru"]
    unrolled = trained(config)
    monkeypatch.setattr(temporal_module, "MOST_UNROLLED", 0)
    model = build_recognizer(config, CLASSES)
    for network, is_unrolled in ((unrolled, True), (model, False)):
        layers = network.get_layer("difference_temporal").layers
        assert any(isinstance(layer, UnrolledGRU) for layer in layers) == is_unrolled
    model.set_weights(unrolled.get_weights())
    np.testing.assert_allclose(logits(model, batch()), logits(unrolled, batch()), atol=1e-5)
    model.compile("sgd", task_of(config.model).loss())
    targets = np.where(batch()["mask"][..., None], np.eye(CLASSES)[np.zeros((3, 4), int)], -1)
    assert np.isfinite(model.train_on_batch(batch(), targets.astype(np.float32)))
    # A clip shown backwards changes the places of a BiLSTM with the same weights both ways.
    config = reading("bilstm", pooling="last")
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
