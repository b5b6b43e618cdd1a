"""A run whose frames go through a network of others, from training to classifying."""

import dataclasses
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.config import NO_AUGMENT, BackboneConfig, ModelConfig, TrainConfig
from pipeline.config.file import load_config, save_config
from pipeline.dataset.videos import open_of_run
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.answering import answer
from pipeline.evaluation.predictions import open_run_data
from pipeline.evaluation.unknown import open_unknown, score_unknown
from pipeline.experiments.runs import _is_other
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.export import export
from pipeline.inference.fused import Fused, write_fused
from pipeline.inference.occlusion import HidingStream
from pipeline.inference.seen_video import SeenVideo
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.training.features import _backbone_mark, cached_features
from pipeline.training.fit import train
from pipeline.training.preflight import overfit_one_batch
from pipeline.training.run_folder import is_unfinished
from pipeline.video import LiveVideo
from tests.conftest import prepared
from tests.inference.commands import classify
from tests.inference.videos import predictions_of
from tests.networks import KERNEL, write_onnx, write_tflite
from tests.runs import changed, drawn_run

HALF = {"mean": (127.5,), "std": (127.5,)}
CLASSES = {"left", "right", "unknown"}


def configured(blob_config, folder, name):
    """A run on the data set in a folder, with one of the networks there."""
    return dataclasses.replace(
        blob_config,
        data=str(folder / "data"),
        augment=NO_AUGMENT,
        model=ModelConfig(streams=("rgb",), dropout=0),
        backbone=BackboneConfig(name=str(folder / name), trainable="none", **HALF),
        train=dataclasses.replace(blob_config.train, epochs=8, cache_features=True),
    )


def make(blob_config, store, folder):
    """The same network for LiteRT, ONNX and Keras, a data set, and a run of a file that is gone."""
    folder.mkdir()
    write_tflite(folder / "network.tflite")
    write_onnx(folder / "network.onnx")
    network = keras.Sequential(
        [
            keras.layers.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(5, 3, 8, activation="relu", use_bias=False),
        ]
    )
    network.layers[-1].set_weights([KERNEL])
    network.save(folder / "network.keras")
    shutil.copytree(store.path, folder / "data")
    shutil.copy(folder / "network.tflite", folder / "moved.tflite")
    run = train(configured(blob_config, folder, "moved.tflite"), folder / "run")
    (folder / "moved.tflite").unlink()
    export(run)
    answer(run, "test")


@pytest.fixture(scope="module")
def files(blob_config, blob_store, made, tmp_path_factory):
    found = made("network of others", partial(make, blob_config, blob_store))
    files = Path(shutil.copytree(found, tmp_path_factory.mktemp("others") / "files"))
    run = Run(files / "run")
    save_config(changed(run.config(), {"data": str(files / "data")}), run.config_file)
    return files


@pytest.fixture(scope="module")
def run(files):
    return Run(files / "run")


@pytest.fixture(scope="module")
def config(blob_config, files):
    return configured(blob_config, files, "network.tflite")


@pytest.fixture(scope="module")
def video(blob_videos):
    return blob_videos / "left" / "g01 0.avi"


def left_of(run, video, **options):
    return dict(Classifier(run, **options).predict(video).top)["left"]


@pytest.mark.parametrize(("kind", "flip"), [("tflite", 0.0), ("onnx", 0.5)])
def test_its_features_are_those_of_the_same_network_of_keras(config, files, kind, flip):
    found = []
    for name, settings in ((f"network.{kind}", HALF), ("network.keras", {})):
        backbone = BackboneConfig(name=str(files / name), trainable="none", **settings)
        augment = dataclasses.replace(NO_AUGMENT, flip=flip)
        each, data = open_of_run(dataclasses.replace(config, backbone=backbone, augment=augment))
        recognizer = build_recognizer(each, 2)
        (file,) = cached_features(recognizer, each, data).files.values()
        found.append(file.features)
    assert found[0].shape[1:] == (2 if flip else 1, 80)  # a mirror only where it is asked for
    np.testing.assert_allclose(*found, atol=1e-4)


def test_features_are_stored_once_whatever_the_file_is_called(run, config, capsys):
    """Those of graphs keep their names of before there were networks of others."""
    assert list(_backbone_mark(BackboneConfig(name="network.keras"))) == [
        *("name", "weights", "trainable", "learning_rate_factor", "filters", "normalisation"),
        *("momentum", "spatial_dropout", "grid", "normalise_features"),
    ]
    each, data = open_of_run(run.config())
    named, _ = open_of_run(config)
    assert each.backbone_of("rgb").name != named.backbone_of("rgb").name
    cached_features(build_recognizer(each, 2), each, data)
    capsys.readouterr()
    cached_features(build_recognizer(named, 2), named, data)
    assert "features of" not in capsys.readouterr().out
    other = changed(named, {"backbone.mean": [0.0]})
    cached_features(build_recognizer(other, 2), other, data)
    assert "features of" in capsys.readouterr().out


def expect_answers_of_evaluation(run, videos, every, **options):
    for line in predictions_of(run)[::every]:
        found = left_of(run, videos / line["video"], **options)
        assert found == pytest.approx(float(line["left"]), abs=2e-3)


def test_classifying_says_what_evaluation_does(run, video, blob_videos):
    """Timelines and streams at least say something."""
    expect_answers_of_evaluation(run, blob_videos, 3)
    expect_answers_of_evaluation(run, blob_videos, 5, runtime="keras")
    timeline = make_timeline(Classifier(run), video, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= CLASSES
    with LiveVideo(str(video)) as live:
        *_, result = classify_stream(Classifier(run), live, every=8, window_seconds=0.8)
    assert result.prediction.label in CLASSES


def test_exports_and_fused_runs_have_the_network_with_them(run, hasty_run, video, tmp_path):
    for kind, runtime, most in (("savedmodel", "savedmodel", 2e-3), ("litert-int8", "auto", 0.1)):
        found = left_of(export(run, kind, num_clips=4).run, video, runtime=runtime)
        assert found == pytest.approx(left_of(run, video), abs=most)
    moved = Run(Path(shutil.copytree(run.folder, tmp_path / "moved")))
    both = Fused(
        rule="average",
        weights=(1.0, 1.0),
        temperatures=(1.0, 1.0),
        calibration=Calibration(),
        runs=(str(moved.folder), str(hasty_run.folder)),
    )
    write_fused(both, Run(tmp_path / "run"))
    shutil.rmtree(moved.folder)
    found = dict(Classifier(Run(tmp_path / "run")).predict(video).top)
    assert found == pytest.approx(dict(Classifier([run, hasty_run]).predict(video).top), abs=1e-5)


def test_a_run_classifies_elsewhere_and_without_tensorflow(run, files, video, tmp_path):
    for kind in ("tflite", "onnx"):
        folder = tmp_path / kind
        (folder / "backbones").mkdir(parents=True)
        for name in ("model.tflite", "bundle.json"):
            shutil.copy(run.folder / name, folder / name)
        missing = classify(video, "--run", folder).mistake
        assert "backbones: the network of the stream rgb is not there. Copy it from" in missing
        shutil.copy(files / f"network.{kind}", folder / "backbones" / f"rgb.{kind}")
    code = f"""
import sys
from pipeline import Classifier
for kind in ("tflite", "onnx"):
    print(dict(Classifier.load({str(tmp_path)!r} + "/" + kind).predict({str(video)!r}).top)["left"])
sys.exit("tensorflow" in sys.modules)
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = list(map(float, done.stdout.split()))
    assert found == pytest.approx([left_of(run, video)] * 2, abs=1e-5)


def test_what_does_not_fit_the_bundle_is_refused(run, tmp_path):
    moved = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    write_onnx(moved.backbones / "rgb.onnx", mean_over=(2, 3))
    (moved.backbones / "rgb.tflite").unlink()
    with pytest.raises(DataError, match=r"takes 80 features of the stream rgb, and .* gives 5"):
        Classifier(moved)
    content = json.loads(run.bundle_file.read_bytes())
    usual = content["foreign"]["rgb"]
    for stream, changes, problem in (
        ("../rgb", {}, "foreign must name streams of model.streams"),
        ("rgb", {"std": []}, "must both be one number"),
        ("rgb", {"grid": 0}, "backbone.grid must be at least 1"),
        ("rgb", {"channels": "grb"}, "foreign.rgb.channels: expected one of auto, rgb, bgr"),
    ):
        content["foreign"] = {stream: {**usual, **changes}}
        moved.bundle_file.write_text(json.dumps(content))
        with pytest.raises(DataError, match=problem):
            Classifier(moved)


def test_beside_a_network_of_the_graph(config, flow_store, blob_videos, tmp_path):
    """The flow goes through a CNN of the graph that is frozen, the frames through the file."""
    both = dataclasses.replace(
        changed(config, {"clip.views": 1, "temporal.kind": "gru", "temporal.units": 4}),
        data=str(shutil.copytree(flow_store.path, tmp_path / "data")),
        model=ModelConfig(streams=("rgb", "flow"), dropout=0),
        backbones={"flow": BackboneConfig(filters=(4,), trainable="none")},
    )
    run = drawn_run(both, tmp_path / "run")
    answer(run, "test")
    expect_answers_of_evaluation(run, blob_videos, 5)


def test_a_training_that_was_stopped_goes_on(run, config, tmp_path):
    """And before it, the preflight learns from the stored features."""
    assert overfit_one_batch(*open_of_run(config)) > 0
    copy = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    copy.litert_file.unlink()
    begun = load_config(copy.config_file)
    assert begun.backbone.name != copy.config().backbone_of("rgb").name
    assert is_unfinished(copy, begun, copy.environment()["data_fingerprint"])
    assert not _is_other(copy, begun)  # nor does a cross-validation begin anew


def test_other_classes_are_told_by_features(run, blob_videos, tmp_path):
    rows = [("noise", "g05", "train"), ("left", "g06", "train"), ("left", "g07", "test")]
    lines = ["path,label,group,split"]
    for label, take, split in rows:
        lines.append(f"{blob_videos}/left/{take} 0.avi,{label},new {take},{split}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    store = prepared("csv", tmp_path / "table.csv", tmp_path / "store")
    others, config = open_unknown(run, store), run.config()
    model = load_recognizer(run.model_file, config, 2)
    scores = score_unknown(model, others, config, open_run_data(run), run.class_names())
    assert [(name, len(found)) for name, found in scores.items()] == [("noise", 1)]


def test_it_is_explained_by_hiding(run, video):
    (strip,) = explain(run, video, "left").strips
    assert strip.heat.shape == (8, 32, 32)
    seen = SeenVideo(run, video)
    clip, network = seen.clip(seen.middle), seen.networks["rgb"]
    heat = HidingStream(seen.model, "rgb", seen.config, network).heat(clip, 0)
    place = number, row, column = np.unravel_index(np.abs(heat).argmax(), heat.shape)
    still = np.rint(clip["frames"].mean(axis=0)).astype(np.uint8)
    cell = np.ix_(*(np.arange(32) * 6 // 32 == each for each in (row, column)))
    hidden = clip["frames"].copy()
    hidden[number][cell] = still[cell]

    def logits(frames):
        rows, mask = network(frames), np.arange(8) < len(frames)
        features = np.pad(rows, ((0, 8 - len(rows)), (0, 0)))
        inputs = {"rgb_features": features[None], "mask": mask[None]}
        return seen.model.predict_on_batch(inputs)[0]

    lost = logits(clip["frames"])[0] - logits(hidden)[0]
    assert abs(lost) > 1e-4
    assert heat[place] == pytest.approx(lost, abs=1e-5)
    shorter = np.delete(clip["frames"], 2, axis=0)
    found = seen.logits(np.delete(seen.middle, 2))
    np.testing.assert_allclose(found, logits(shorter), atol=1e-5)


def test_what_such_a_network_cannot_do_and_settings_that_do_not_fit(config):
    file = config.backbone.name
    for changes, message in (
        ({"train": TrainConfig()}, r"are stored: --backbone.trainable none --train.cache_f"),
        ({"backbone": BackboneConfig(name=file)}, r"--backbone.trainable none. Received: 'all'"),
        ({"model": ModelConfig(streams=("difference",))}, r"as they are.* --backbone.difference.n"),
        ({"model": ModelConfig(streams=("flow",))}, r"as they are.* --backbone.flow.name cnn"),
    ):
        with pytest.raises(ConfigError, match=message):
            dataclasses.replace(config, **changes)
    missing, _ = open_of_run(changed(config, {"backbone.name": "no.onnx"}))
    with pytest.raises(ConfigError, match="backbone.name no.onnx: there is no such file"):
        build_recognizer(missing, 2)
    for settings, problem in (
        ({"name": "cnn", **HALF}, "are for .tflite and .onnx files"),
        ({"name": "cnn", "channels": "bgr"}, "are for .tflite and .onnx files"),
        ({"name": "a.onnx", "mean": (1.0,)}, "must both be one number, or one for red"),
        ({"name": "a.onnx", "mean": (1.0,) * 2, "std": (1.0,) * 2}, "must both be one number"),
        ({"name": "a.onnx", "mean": (1.0,), "std": (0.0,)}, "and std above 0"),
        ({"name": "a.onnx", "weights": "my.h5"}, "backbone.weights is for networks other than"),
    ):
        with pytest.raises(ConfigError, match=problem):
            BackboneConfig(**settings)
