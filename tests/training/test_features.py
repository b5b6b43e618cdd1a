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

from pipeline.config import NO_AUGMENT
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.clip_batches import evaluation_batches, training_batches
from pipeline.dataset.stored_features import FOLDER, open_features
from pipeline.dataset.videos import open_data, open_of_run
from pipeline.errors import ConfigError
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.frame_predictions import predict_frames
from pipeline.models.recognizer import build_recognizer, load_recognizer, trained_model
from pipeline.prepare.preparation import prepare
from pipeline.training import features as features_module
from pipeline.training.features import cached_features, on_stored_features, temporal_part
from pipeline.training.fit import train
from tests.runs import changed, drawn_run, expect_same

FROZEN = {"backbone.trainable": "none", "model.streams": ("rgb",)}
LEFT_IS_RIGHT = (("left", "right"),)


@pytest.fixture(scope="module")
def data(tiny_store, tmp_path_factory):
    """A copy of the data set, in which features may be stored."""
    return shutil.copytree(tiny_store.path, tmp_path_factory.mktemp("features") / "store")


@pytest.fixture(scope="module")
def config(tiny_config, data):
    config = dataclasses.replace(tiny_config, augment=NO_AUGMENT)
    return open_of_run(changed(config, {**FROZEN, "data": str(data)}))[0]


def cached(config):
    return changed(config, {"train.cache_features": True})


def test_it_is_the_same_training(config, tmp_path, capsys):
    """With mirrored clips; and features are those of all splits of the same videos."""
    values = {"augment.flip": 0.5, "model.dropout": 0.2, "temporal.dropout": 0.2}
    config = changed(config, values)
    through = train(config, tmp_path / "through")
    once = train(cached(config), tmp_path / "once")
    expect_same(once, through, rtol=1e-4, atol=1e-4)
    assert capsys.readouterr().out.count("features of 96 frames") == 1
    features_of(changed(cached(config), {"split.folds": 4}), seed=config.seed)
    assert "features of" not in capsys.readouterr().out


def features_of(config, seed=0):
    keras.utils.set_random_seed(seed)
    model = build_recognizer(config, 2)
    return model, cached_features(model, config, open_of_run(config)[1])


@pytest.mark.parametrize(
    ("most_frames", "other_way", "flip"), [(1, "_by_tensorflow", 1.0), (10**9, "_by_litert", 0.0)]
)
def test_clips_that_are_mirrored_or_backwards_have_the_features_of_their_frames(
    config, data, most_frames, other_way, flip, monkeypatch
):
    """The backbone computes in one of two ways, many frames by LiteRT, and in no other."""
    shutil.rmtree(data / FOLDER, ignore_errors=True)
    monkeypatch.setattr(features_module, "_MANY_FRAMES", most_frames)
    monkeypatch.delattr(features_module, other_way)
    values = {"model.streams": ("rgb", "flow"), "train.batch_size": 8, "augment.flip": flip}
    turned = {"augment.reverse": 0.5, "augment.reverse_labels": LEFT_IS_RIGHT}
    config = changed(config, {**values, **turned})
    model, features = features_of(config)
    store, part = open_data(data), temporal_part(model, config)
    ((clips, labels), *_) = training_batches(store, config).take(1)
    ((taken, same), *_) = training_batches(features, config).take(1)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(part(taken), model(clips), atol=1e-5)
    assert [file.shape[1] for file in features.files.values()] == [1 + flip, 2 + 2 * flip]


def test_windows_of_recordings_have_the_features_of_their_frames(
    recording_config, recording_store, tmp_path
):
    """Those that training cuts at random, mirrored and at another speed, and of evaluation."""
    values = {
        **FROZEN,
        "data": str(shutil.copytree(recording_store.path, tmp_path / "store")),
        "clip.num_frames": 8,
        "clip.shrink": 2,
        "temporal.units": 4,
        "temporal.stages": 2,
        "augment.flip": 0.5,
        "augment.flip_labels": LEFT_IS_RIGHT,
        "augment.speed.strength": 0.4,
        "train.cache_features": True,
    }
    plain = dataclasses.replace(recording_config, augment=NO_AUGMENT)
    config, store = open_of_run(changed(plain, values))
    model, features = features_of(config)
    part, whole = temporal_part(model, config), trained_model(model, config)
    for batches in (training_batches, partial(evaluation_batches, split="val")):
        ((clips, labels), *_) = batches(store, config).take(1)
        ((taken, same), *_) = batches(features, config).take(1)
        np.testing.assert_array_equal(labels, same)
        np.testing.assert_array_equal(taken["mask"], clips["mask"])
        np.testing.assert_allclose(part(taken), whole(clips), atol=1e-5)

    part, features = on_stored_features(model, store, config)
    assert part is not model
    found = predict_frames(part, features, config, "test")
    for frames, wanted in zip(found, predict_frames(model, store, config, "test"), strict=True):
        np.testing.assert_allclose(frames.logits, wanted.logits, atol=1e-5)


def evaluated(run):
    """All numbers of calibration and evaluation, with those of each video, in one row."""
    found = keras.tree.flatten([calibrate(run).as_json(), evaluate(run)])
    with (run.report / "test_predictions.csv").open(newline="") as file:
        logits = [float(row["max_logit"]) for row in csv.DictReader(file)]
    return [*(each for each in found if isinstance(each, int | float)), *logits]


def test_evaluation_on_stored_features_is_the_same(config, data, tmp_path):
    """The order test shows flow backwards, of which no features are stored without `reverse`."""
    values = {
        "model.streams": ("rgb", "flow"),
        "augment.flip": 0.5,
        "evaluate.order_pairs": LEFT_IS_RIGHT,
    }
    run = drawn_run(changed(cached(config), values), tmp_path / "run", exported=False)
    model, store = load_recognizer(run.model_file), open_data(data)
    cached_features(model, run.config(), store)
    assert on_stored_features(model, store, run.config())[0] is not model
    found = evaluated(run)
    shutil.rmtree(data / FOLDER)
    np.testing.assert_allclose(evaluated(run), found, atol=1e-5)
    assert on_stored_features(model, store, run.config()) == (model, store)


def test_where_leaks_are_allowed_a_video_keeps_its_own_split(config, tiny_store, tmp_path):
    """A group is in training and in the test; its test videos are not trained on."""
    table = tmp_path / "table.csv"
    content = (tiny_store.path.parent / "table.csv").read_text()
    table.write_text(content.replace("g03,train", "g06,train"))
    values = {"fps": 5, "size": 16, "workers": 1, "allow_leaks": True}
    out = str(tmp_path / "store")
    store = prepare(PrepareConfig(source="csv", path=str(table), out=out, **values)).store
    groups = [{r.group for r in store.manifest.rows if r.split == s} for s in ("train", "test")]
    assert groups[0] & groups[1]
    _, features = features_of(changed(config, {"data": out}))
    for split, number in store.num_videos.items():
        spans = features.spans(split)
        assert len(spans) == number
        assert {(span.video, store.class_names[span.label]) for span in spans} == {
            (row.path, row.label) for row in store.manifest.rows if row.split == split
        }


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


def test_features_of_which_nothing_is_known_are_none(tmp_path):
    (tmp_path / "x.f32").write_bytes(bytes(4))
    for content in ("{", "[]", "{}", '{"shape": [1], "spans": [[1]]}'):
        (tmp_path / "x.json").write_text(content)
        assert open_features(tmp_path / "x.f32") is None, content


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


def test_it_needs_a_prepared_data_set(config, tiny_store, tmp_path):
    table = {"data": str(tiny_store.path.parent / "table.csv")}
    with pytest.raises(ConfigError, match="cache_features needs a prepared data set"):
        train(changed(cached(config), table), tmp_path / "run")
    assert not (tmp_path / "run").exists()
