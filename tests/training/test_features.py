"""Training on features that are computed once equals training through the frozen backbone."""

import csv
import dataclasses
import shutil
import threading
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.config import (
    NO_AUGMENT,
    BackboneConfig,
    Change,
    EvaluateConfig,
    ModelConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.clip_batches import evaluation_batches, training_batches
from pipeline.dataset.stored_features import FOLDER, open_features
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.frame_predictions import predict_frames
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.prepare.preparation import prepare
from pipeline.training import features as features_module
from pipeline.training.features import cached_features, on_stored_features, temporal_part
from pipeline.training.fit import train


@pytest.fixture(scope="module")
def config(blob_config, blob_store):
    return dataclasses.replace(
        blob_config,
        frames=blob_store.frames,
        augment=NO_AUGMENT,
        model=ModelConfig(streams=("rgb",), dropout=0.2),
        backbone=BackboneConfig(filters=(4, 8), trainable="none"),
        temporal=TemporalConfig(units=8, dropout=0.2),
        train=TrainConfig(epochs=3, batch_size=10, learning_rate=5e-3, precision="float32"),
    )


def cached(config):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, cache_features=True))


def history(run):
    with run.history_file.open(newline="") as file:
        return [[float(row[key]) for key in ("loss", "val_loss")] for row in csv.DictReader(file)]


def test_it_is_the_same_training(config, tmp_path, capsys):
    through = train(config, tmp_path / "through")
    once = train(cached(config), tmp_path / "once")
    np.testing.assert_allclose(history(once), history(through), rtol=1e-4)
    weights, wanted = (load_recognizer(run.model_file).get_weights() for run in (once, through))
    for weight, other in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-4)
    assert evaluate(once)["video"] == evaluate(through)["video"]
    assert capsys.readouterr().out.count("features of 862 frames") == 1
    train(
        cached(dataclasses.replace(config, split=dataclasses.replace(config.split, folds=4))),
        tmp_path / "fold",
    )
    assert "features of" not in capsys.readouterr().out  # other splits of the same videos


def features_of(config, seed=0):
    keras.utils.set_random_seed(seed)
    model = build_recognizer(config, 2)
    return model, cached_features(model, config, open_data(Path(config.data)))


@pytest.fixture(params=["by LiteRT, as many frames are", "by TensorFlow"])
def either_way(request, monkeypatch, blob_store, flow_store):
    """The backbone computes in each of two ways, and in no other."""
    for store in (blob_store, flow_store):
        shutil.rmtree(store.path / FOLDER, ignore_errors=True)
    by_litert = "LiteRT" in request.param
    monkeypatch.setattr(features_module, "_MANY_FRAMES", 1 if by_litert else 10**9)
    monkeypatch.delattr(features_module, "_by_tensorflow" if by_litert else "_by_litert")


@pytest.mark.usefixtures("either_way")
def test_mirrored_clips_have_the_features_of_mirrored_frames(config, tmp_path):
    flipped = dataclasses.replace(config, augment=dataclasses.replace(NO_AUGMENT, flip=1.0))
    model, features = features_of(flipped)
    part = temporal_part(model, flipped)
    ((clips, labels), *_) = training_batches(open_data(Path(config.data)), flipped).take(1)
    ((taken, same), *_) = training_batches(features, flipped).take(1)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(part(taken), model(clips), atol=1e-5)
    unflipped = next(iter(training_batches(features, config)))[0]
    assert np.abs(part(unflipped) - part(taken)).max() > 1e-3
    assert train(cached(flipped), tmp_path / "run").model_file.is_file()


@pytest.mark.parametrize("task", ["frames", "frames-multilabel"])
def test_windows_of_recordings_have_the_features_of_their_frames(
    recording_config, recording_store, task
):
    """Those that training cuts at random, mirrored and at another speed, and of evaluation."""
    augment = dataclasses.replace(
        NO_AUGMENT, flip=0.5, flip_labels=(("left", "right"),), speed=Change(strength=0.4)
    )
    config = dataclasses.replace(
        recording_config,
        frames=recording_store.frames,
        augment=augment,
        model=dataclasses.replace(recording_config.model, task=task, streams=("rgb",)),
        backbone=BackboneConfig(filters=(4,), trainable="none"),
    )
    model, features = features_of(config)
    part = temporal_part(model, config)
    for batches in (training_batches, partial(evaluation_batches, split="val")):
        ((clips, labels), *_) = batches(recording_store, config).take(1)
        ((taken, same), *_) = batches(features, config).take(1)
        np.testing.assert_array_equal(labels, same)
        np.testing.assert_array_equal(taken["mask"], clips["mask"])
        np.testing.assert_allclose(part(taken), model(clips), atol=1e-5)


def test_answers_at_every_frame_from_stored_features(recording_config, recording_store):
    """Those of the last stage."""
    config = dataclasses.replace(
        recording_config,
        frames=recording_store.frames,
        augment=NO_AUGMENT,
        model=dataclasses.replace(recording_config.model, task="frames", streams=("rgb",)),
        backbone=BackboneConfig(filters=(4,), trainable="none"),
        temporal=TemporalConfig(kind="tcn", units=4, stages=2),
        train=TrainConfig(precision="float32", cache_features=True),
    )
    model, _ = features_of(config)
    part, features = on_stored_features(model, recording_store, config)
    assert part is not model
    found = predict_frames(part, features, config, "test")
    for frames, wanted in zip(
        found, predict_frames(model, recording_store, config, "test"), strict=True
    ):
        np.testing.assert_allclose(frames.logits, wanted.logits, atol=1e-5)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_clips_shown_backwards_have_the_features_of_their_flow(config, flow_store, flip):
    backwards = dataclasses.replace(
        config,
        data=str(flow_store.path),
        frames=flow_store.frames,
        model=ModelConfig(streams=("rgb", "flow")),
        augment=dataclasses.replace(
            NO_AUGMENT, flip=flip, reverse=0.5, reverse_labels=(("left", "right"),)
        ),
        train=TrainConfig(batch_size=48, precision="float32"),
    )
    model, features = features_of(backwards)
    part = temporal_part(model, backwards)
    ((clips, labels), *_) = training_batches(flow_store, backwards).take(1)
    ((taken, same), *_) = training_batches(features, backwards).take(1)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(part(taken), model(clips), atol=1e-5)
    assert [file.shape[1] for file in features.files.values()] == [1 + flip, 2 + 2 * flip]


def evaluated(run):
    """All numbers of calibration and evaluation, with those of each video, in one row."""

    def numbers(value):
        if isinstance(value, dict | list | tuple):
            for each in value.values() if isinstance(value, dict) else value:
                yield from numbers(each)
        elif isinstance(value, int | float):
            yield float(value)

    calibration = calibrate(run)
    result = evaluate(run)
    with (run.report / "test_predictions.csv").open(newline="") as file:
        logits = [float(row["max_logit"]) for row in csv.DictReader(file)]
    return [*numbers(calibration.as_json()), *numbers(result), *logits]


def test_evaluation_on_stored_features_is_the_same(config, flow_store, tmp_path):
    """The order test shows flow backwards, of which no features are stored without `reverse`."""
    pair = (("left", "right"),)
    stored = dataclasses.replace(
        config,
        data=str(flow_store.path),
        model=ModelConfig(streams=("rgb", "flow")),
        augment=dataclasses.replace(NO_AUGMENT, flip=0.5),
        temporal=TemporalConfig(kind="tcn", units=4),
        train=TrainConfig(epochs=1, batch_size=10, cache_features=True),
        evaluate=EvaluateConfig(order_pairs=pair),
    )
    run = train(stored, tmp_path / "run")
    model = load_recognizer(run.model_file)
    assert on_stored_features(model, flow_store, run.config())[0] is not model
    found = evaluated(run)
    shutil.rmtree(flow_store.path / "features")
    np.testing.assert_allclose(evaluated(run), found, atol=1e-5)
    assert on_stored_features(model, flow_store, run.config()) == (model, flow_store)


def test_where_leaks_are_allowed_a_video_keeps_its_own_split(config, blob_store, tmp_path):
    """A group is in training and in the test; its test videos are not trained on."""
    lines = [
        f"{row.path},{row.label},{'g03' if row.group == 'g04' else row.group},{row.split}"
        for row in blob_store.manifest.rows
    ]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,group,split", *lines]))
    store = prepare(
        PrepareConfig(
            source="csv",
            path=str(tmp_path / "table.csv"),
            out=str(tmp_path / "store"),
            fps=10,
            size=32,
            workers=1,
            allow_leaks=True,
        )
    ).store
    groups = [{r.group for r in store.manifest.rows if r.split == s} for s in ("train", "test")]
    assert groups[0] & groups[1]
    _, features = features_of(dataclasses.replace(config, data=str(store.path)))
    for split, number in store.num_videos.items():
        spans = features.spans(split)
        names = {
            row.path.rpartition("/")[2] + row.label
            for row in store.manifest.rows
            if row.split == split
        }
        assert len(spans) == number
        assert {
            span.video.rpartition("/")[2] + store.class_names[span.label] for span in spans
        } == names


def test_other_weights_have_other_features_and_half_a_file_is_none(config):
    _, first = features_of(config, seed=3)
    _, second = features_of(config, seed=4)
    _, again = features_of(config, seed=3)
    path = first.files["rgb_features"].path
    assert path != second.files["rgb_features"].path
    assert again.files == first.files
    path.write_bytes(path.read_bytes()[:-4])
    assert open_features(path) is None
    _, mended = features_of(config, seed=3)
    assert mended.files == first.files
    assert open_features(path)
    assert not [file for file in path.parent.iterdir() if file.suffix not in (".f32", ".json")]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"shape": [1], "spans": [[1]]}'])
def test_features_of_which_nothing_is_known_are_none(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    (tmp_path / "x.f32").write_bytes(bytes(4))
    assert open_features(tmp_path / "x.f32") is None


def test_what_another_process_is_computing_is_waited_for(config, hold, said_of_locks, capsys):
    model, features = features_of(config, seed=5)
    path = features.files["rgb_features"].path
    aside = path.replace(path.with_name("aside"))
    process, found = hold(path), []
    capsys.readouterr()

    def wait():
        found.append(cached_features(model, config, open_data(Path(config.data))))

    thread = threading.Thread(target=wait)
    thread.start()
    said = said_of_locks.get(timeout=60)
    assert said == f"another process is computing {path}: waiting for it"
    aside.replace(path)  # as the other does at its end
    process.communicate()
    thread.join()
    assert [each.files for each in found] == [features.files]
    assert "features of" not in capsys.readouterr().out


def test_it_needs_a_prepared_data_set(config, blob_videos, tmp_path):
    table = tmp_path / "videos.csv"
    rows = [
        f"{path},{path.parent.name},{path.stem[:3]}" for path in sorted(blob_videos.glob("*/*.avi"))
    ]
    table.write_text("\n".join(["path,label,group", *rows]))
    with pytest.raises(ConfigError, match="cache_features needs a prepared data set"):
        train(cached(dataclasses.replace(config, data=str(table))), tmp_path / "run")
    assert not (tmp_path / "run").exists()
