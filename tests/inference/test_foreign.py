"""A run whose frames go through a network of others, from training to classifying."""

import csv
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

from pipeline.config import (
    NO_AUGMENT,
    BackboneConfig,
    ModelConfig,
    TrainConfig,
)
from pipeline.config.file import load_config
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.videos import open_of_run
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.evaluate import evaluate
from pipeline.experiments.runs import _is_other
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.export import export
from pipeline.inference.fused import Fused, write_fused
from pipeline.inference.occlusion import HidingStream
from pipeline.inference.seen_video import SeenVideo
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.preparation import prepare
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.training.features import cached_features
from pipeline.training.fit import train
from pipeline.training.preflight import overfit_one_batch
from pipeline.training.run_folder import is_unfinished
from pipeline.video import LiveVideo
from tests.networks import KERNEL, write_onnx, write_tflite

SCRIPTS = Path(__file__).parents[2] / "scripts"
HALF = {"mean": (127.5,), "std": (127.5,)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same network for LiteRT, ONNX and Keras."""
    folder = tmp_path_factory.mktemp("networks")
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
    return folder


@pytest.fixture(scope="module")
def config(blob_config, files):
    return dataclasses.replace(
        blob_config,
        augment=NO_AUGMENT,
        model=ModelConfig(streams=("rgb",), dropout=0),
        backbone=BackboneConfig(name=str(files / "network.tflite"), trainable="none", **HALF),
        train=dataclasses.replace(blob_config.train, epochs=8, cache_features=True),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """Of a file that is not there any more."""
    folder = tmp_path_factory.mktemp("runs")
    file = Path(shutil.copy(config.backbone.name, folder / "moved.tflite"))
    backbone = dataclasses.replace(config.backbone, name=str(file))
    run = train(dataclasses.replace(config, backbone=backbone), folder / "run")
    file.unlink()
    export(run)
    evaluate(run)
    return run


@pytest.fixture(scope="module")
def video(blob_videos):
    return blob_videos / "left" / "g01 0.avi"


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
@pytest.mark.parametrize("flip", [0.0, 0.5])
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
    each, data = open_of_run(run.config())
    named, _ = open_of_run(config)
    assert each.backbone_of("rgb").name != named.backbone_of("rgb").name
    cached_features(build_recognizer(each, 2), each, data)
    capsys.readouterr()
    cached_features(build_recognizer(named, 2), named, data)
    assert "features of" not in capsys.readouterr().out
    other = dataclasses.replace(named.backbone, mean=(0.0,))
    other = dataclasses.replace(named, backbone=other)
    cached_features(build_recognizer(other, 2), other, data)
    assert "features of" in capsys.readouterr().out


@pytest.mark.parametrize("runtime", ["auto", "keras"])
def test_classifying_says_what_evaluation_does(run, blob_videos, runtime):
    with (run.report / "test_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    classifier = Classifier(run, runtime=runtime)
    for line in lines[::3]:
        answer = classifier.predict(blob_videos / line["video"])
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)


def test_timelines_and_streams(run, video):
    timeline = make_timeline(Classifier(run), video, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= {"left", "right", "unknown"}
    with LiveVideo(str(video)) as live:
        *_, result = classify_stream(Classifier(run), live, every=8, window_seconds=0.8)
    assert result.prediction.label in ("left", "right", "unknown")


@pytest.mark.parametrize("kind", ["onnx", "savedmodel", "litert-int8"])
def test_exports_have_the_network_with_them(run, video, kind):
    exported = export(run, kind)
    runtime = "savedmodel" if kind == "savedmodel" else "auto"
    found, wanted = (
        dict(Classifier(each, runtime=how).predict(video).top)
        for each, how in ((exported.run, runtime), (run, "auto"))
    )
    assert found["left"] == pytest.approx(wanted["left"], abs=0.1 if "int8" in kind else 2e-3)


def classify(folder, video):
    words = [sys.executable, SCRIPTS / "classify.py", video, "--run", folder, "--json"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def fused(run, hasty_run, tmp_path_factory):
    copies = tmp_path_factory.mktemp("fused")
    moved = Run(Path(shutil.copytree(run.folder, copies / "moved")))
    folders = (str(moved.folder), str(hasty_run.folder))
    ones = (1.0, 1.0)
    fused = Fused(
        rule="average", weights=ones, temperatures=ones, calibration=Calibration(), runs=folders
    )
    write_fused(fused, Run(copies / "run"))
    shutil.rmtree(moved.folder)
    return Run(copies / "run")


def test_fused_runs_have_the_network_with_them(run, hasty_run, fused, video):
    done = classify(fused.folder, video)
    assert done.returncode == 0, done.stderr
    both = {each["label"]: each["probability"] for each in json.loads(done.stdout)["top"]}
    assert both == pytest.approx(dict(Classifier([run, hasty_run]).predict(video).top), abs=1e-5)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_run_classifies_elsewhere_and_without_tensorflow(run, files, video, tmp_path, kind):
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(run.folder / name, tmp_path / name)
    done = classify(tmp_path, video)
    assert done.returncode == 2
    assert "backbones: the network of the stream rgb is not there. Copy it from" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "backbones").mkdir()
    shutil.copy(files / f"network.{kind}", tmp_path / "backbones" / f"rgb.{kind}")
    code = f"""
import sys
from pipeline import Classifier
print(dict(Classifier.load({str(tmp_path)!r}).predict({str(video)!r}).top)["left"])
sys.exit("tensorflow" in sys.modules)
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = dict(Classifier(run).predict(video).top)["left"]
    assert float(done.stdout) == pytest.approx(wanted, abs=1e-5)


def test_a_network_of_other_features_is_refused(run, tmp_path):
    moved = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    write_onnx(moved.backbones / "rgb.onnx", mean_over=(2, 3))
    (moved.backbones / "rgb.tflite").unlink()
    with pytest.raises(DataError, match=r"takes 80 features of the stream rgb, and .* gives 5"):
        Classifier(moved)


@pytest.mark.parametrize(
    ("foreign", "problem"),
    [
        ({"../rgb": {}}, "foreign must name streams of model.streams"),
        ({"rgb": {"std": []}}, "must both be one number"),
        ({"rgb": {"grid": 0}}, "backbone.grid must be at least 1"),
        ({"rgb": {"channels": "grb"}}, "foreign.rgb.channels: expected one of auto, rgb, bgr"),
    ],
)
def test_a_bundle_of_somebody_else_is_checked(run, tmp_path, foreign, problem):
    moved = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    content = json.loads(moved.bundle_file.read_bytes())
    usual = content["foreign"]["rgb"]
    content["foreign"] = {stream: {**usual, **changed} for stream, changed in foreign.items()}
    moved.bundle_file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=problem):
        Classifier(moved)


def test_beside_a_network_of_the_graph(config, flow_store, blob_videos, tmp_path):
    """The flow goes through a CNN of the graph that is frozen, the frames through the file."""
    both = dataclasses.replace(
        config,
        data=str(flow_store.path),
        model=ModelConfig(streams=("rgb", "flow"), dropout=0),
        backbones={"flow": BackboneConfig(filters=(4, 8), trainable="none")},
        train=dataclasses.replace(config.train, epochs=3),
    )
    run = train(both, tmp_path / "run")
    for kind in ("litert", "litert-int8"):
        export(run, kind)
    evaluate(run)
    with (run.report / "test_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines[::5]:
        answer = Classifier(run).predict(blob_videos / line["video"])
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)


def test_a_training_that_was_stopped_goes_on(run, tmp_path):
    copy = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    copy.litert_file.unlink()
    begun = load_config(copy.config_file)
    assert begun.backbone.name != copy.config().backbone_of("rgb").name
    assert is_unfinished(copy, begun, copy.environment()["data_fingerprint"])
    assert not _is_other(copy, begun)  # nor does a cross-validation begin anew


def test_the_preflight_learns_from_stored_features(config, blob_store):
    assert overfit_one_batch(*open_of_run(config)) > 0


def test_other_classes_are_told_by_features(run, blob_videos, tmp_path):
    rows = [("noise", "g05", "train"), ("left", "g06", "train"), ("left", "g07", "test")]
    lines = ["path,label,group,split"]
    for label, take, split in rows:
        lines.append(f"{blob_videos}/left/{take} 0.avi,{label},new {take},{split}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    prepared = PrepareConfig(
        source="csv",
        path=str(tmp_path / "table.csv"),
        out=str(tmp_path / "store"),
        fps=10,
        size=32,
        workers=1,
    )
    copy = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    found = evaluate(copy, unknown=prepare(prepared).store.path)["unknown"]
    assert (found["classes"], found["num_videos"]) == (["noise"], 1)


def test_it_is_explained_by_hiding(run, video):
    (strip,) = explain(run, video, "left").strips
    assert strip.heat.shape == (8, 32, 32)
    seen = SeenVideo(run, video)
    clip = seen.clip(seen.middle)
    heat = HidingStream(seen.model, "rgb", seen.config, seen.networks["rgb"]).heat(clip, 0)
    place = number, row, column = np.unravel_index(np.abs(heat).argmax(), heat.shape)
    still = np.rint(clip["frames"].mean(axis=0)).astype(np.uint8)
    cell = np.ix_(*(np.arange(32) * 6 // 32 == each for each in (row, column)))
    hidden = clip["frames"].copy()
    hidden[number][cell] = still[cell]
    logits = [
        seen.model.predict_on_batch(
            {
                "rgb_features": seen.networks["rgb"](frames)[None],
                "mask": np.ones((1, 8), bool),
            }
        )[0, 0]
        for frames in (clip["frames"], hidden)
    ]
    assert abs(logits[0] - logits[1]) > 1e-4
    assert heat[place] == pytest.approx(logits[0] - logits[1], abs=1e-5)
    shorter = np.delete(seen.middle, 2)
    rows = seen.networks["rgb"](np.delete(clip["frames"], 2, axis=0))
    inputs = {"rgb_features": np.pad(rows, ((0, 1), (0, 0)))[None], "mask": np.arange(8)[None] < 7}
    expected = seen.model.predict_on_batch(inputs)[0]
    np.testing.assert_allclose(seen.logits(shorter), expected, atol=1e-5)


def test_what_such_a_network_cannot_do(config):
    file = config.backbone.name
    plain = partial(dataclasses.replace, config)
    with pytest.raises(ConfigError, match=r"are stored: --backbone.trainable none --train.cache_f"):
        plain(train=TrainConfig())
    with pytest.raises(ConfigError, match=r"--backbone.trainable none. Received: 'all'"):
        plain(backbone=BackboneConfig(name=file))
    for stream in ("difference", "flow"):
        with pytest.raises(
            ConfigError, match=rf"frames as they are.* --backbone.{stream}.name cnn"
        ):
            plain(model=ModelConfig(streams=(stream,)))
    missing, _ = open_of_run(plain(backbone=dataclasses.replace(config.backbone, name="no.onnx")))
    with pytest.raises(ConfigError, match="backbone.name no.onnx: there is no such file"):
        build_recognizer(missing, 2)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"name": "cnn", **HALF}, "are for .tflite and .onnx files"),
        ({"name": "cnn", "channels": "bgr"}, "are for .tflite and .onnx files"),
        ({"name": "a.onnx", "mean": (1.0,)}, "must both be one number, or one for red"),
        ({"name": "a.onnx", "mean": (1.0,) * 2, "std": (1.0,) * 2}, "must both be one number"),
        ({"name": "a.onnx", "mean": (1.0,), "std": (0.0,)}, "and std above 0"),
        ({"name": "a.onnx", "weights": "my.h5"}, "backbone.weights is for networks other than"),
    ],
)
def test_settings_that_do_not_fit(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        BackboneConfig(**settings)


def test_stored_features_of_graphs_keep_their_names(config, files):
    """Also where they were stored before there were networks of others."""
    from pipeline.training.features import _backbone_mark

    backbone = BackboneConfig(name=str(files / "network.keras"))
    assert list(_backbone_mark(backbone)) == [
        *("name", "weights", "trainable", "learning_rate_factor", "filters", "normalisation"),
        *("momentum", "spatial_dropout", "grid", "normalise_features"),
    ]
