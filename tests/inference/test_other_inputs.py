"""Runs that see through external backbones, or key points of people and of animals: all of it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import (
    NO_AUGMENT,
    AugmentConfig,
    BackboneConfig,
    Change,
    ClipConfig,
    ModelConfig,
    TrainConfig,
)
from pipeline.config.file import load_config, save_config
from pipeline.dataset.preview import write_contact_sheets
from pipeline.dataset.videos import data_of_run, resolve
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.predict import predict_split
from pipeline.evaluation.unknown import open_unknown, score_unknown
from pipeline.experiments.runs import _is_other
from pipeline.inference.annotate import annotate
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.explanation_files import draw_strip, write_heat_video
from pipeline.inference.export import export
from pipeline.inference.fused import Fused, write_fused
from pipeline.inference.many import predict_many
from pipeline.inference.occlusion import HidingStream
from pipeline.inference.seen_video import SeenVideo
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.native_log import silent_native_log
from pipeline.pose.models import DETECTOR, LANDMARKS
from pipeline.prepare.prepared import open_prepared
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.training.features import _backbone_mark, cached_features
from pipeline.training.fit import train
from pipeline.training.guards import overfit_one_batch
from pipeline.training.run_folder import is_unfinished, open_run
from pipeline.video import LiveVideo, VideoReader, iter_frames, probe, write_video
from tests.conftest import prepared
from tests.inference.commands import SCRIPTS, classify
from tests.inference.videos import predictions_of
from tests.key_points.tables import NAMES, write_deeplabcut, write_sleap_h5
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
    opened = train(configured(blob_config, folder, "moved.tflite"), folder / "run")
    run = opened.run
    (folder / "moved.tflite").unlink()
    export(opened)
    predict_split(open_run(run), "test")


@pytest.fixture(scope="module")
def run(blob_config, blob_store, made, tmp_path_factory):
    """It lies beside the networks."""
    found = made("external backbone", partial(make, blob_config, blob_store))
    files = Path(shutil.copytree(found, tmp_path_factory.mktemp("others") / "files"))
    run = Run(files / "run")
    save_config(changed(run.config(), {"data": str(files / "data")}), run.config_file)
    return run


@pytest.fixture(scope="module")
def config(blob_config, run):
    return configured(blob_config, run.folder.parent, "network.tflite")


def left_of(run, video, **options):
    return dict(Classifier(run, **options).predict(video).top)["left"]


@pytest.mark.parametrize(("kind", "flip"), [("tflite", 0.0), ("onnx", 0.5)])
def test_its_features_are_those_of_the_same_network_of_keras(config, run, kind, flip):
    found = []
    for name, settings in ((f"network.{kind}", HALF), ("network.keras", {})):
        file = str(run.folder.with_name(name))
        backbone = BackboneConfig(name=file, trainable="none", **settings)
        augment = dataclasses.replace(NO_AUGMENT, flip=flip)
        data, each = resolve(dataclasses.replace(config, backbone=backbone, augment=augment))
        recognizer = build_recognizer(each, 2)
        (file,) = cached_features(recognizer, data, each).features.values()
        found.append(file.features)
    assert found[0].shape[1:] == (2 if flip else 1, 80)  # a mirror only where it is asked for
    np.testing.assert_allclose(*found, atol=1e-4)


def test_features_are_stored_once_whatever_the_file_is_called(run, config, capsys):
    """Those of graphs keep their names of before there were external backbones."""
    assert list(_backbone_mark(BackboneConfig(name="network.keras"))) == [
        *("name", "weights", "trainable", "learning_rate_factor", "filters", "normalisation"),
        *("momentum", "spatial_dropout", "grid", "normalise_features"),
    ]
    data, each = resolve(run.config())
    _, named = resolve(config)
    assert each.backbone_of("rgb").name != named.backbone_of("rgb").name
    cached_features(build_recognizer(each, 2), data, each)
    capsys.readouterr()
    cached_features(build_recognizer(named, 2), data, named)
    assert "features of" not in capsys.readouterr().out
    other = changed(named, {"backbone.mean": [0.0]})
    cached_features(build_recognizer(other, 2), data, other)
    assert "features of" in capsys.readouterr().out


def expect_answers_of_evaluation(run, classifier, videos, every=1):
    for line in predictions_of(run)[::every]:
        answer = classifier.predict(videos / line["video"])
        assert answer.label == line["predicted"] or not answer.known
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)


def expect_timeline_and_stream(classifier, video):
    """They at least say something."""
    timeline = make_timeline(classifier, video, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= CLASSES
    with LiveVideo(str(video)) as live:
        *_, result = classify_stream(classifier, live, every=8, window_seconds=0.8)
    assert result.prediction.label in CLASSES
    return timeline


def test_classifying_says_what_evaluation_does(run, video, blob_videos):
    expect_answers_of_evaluation(run, Classifier(run), blob_videos, every=3)
    expect_answers_of_evaluation(run, Classifier(run, runtime="keras"), blob_videos, every=5)
    expect_timeline_and_stream(Classifier(run), video)


def test_exports_and_fused_runs_have_the_network_with_them(run, hasty_run, video, tmp_path):
    for kind, runtime, most in (("savedmodel", "savedmodel", 2e-3), ("litert-int8", "auto", 0.1)):
        found = left_of(export(open_run(run), kind, num_clips=4).run, video, runtime=runtime)
        assert found == pytest.approx(left_of(run, video), abs=most)
    moved = Run(Path(shutil.copytree(run.folder, tmp_path / "moved")))
    both = Fused(
        rule="average",
        temperatures=(1.0, 1.0),
        calibration=Calibration(),
        runs=(str(moved.folder), str(hasty_run.folder)),
    )
    write_fused(both, Run(tmp_path / "run"))
    shutil.rmtree(moved.folder)
    found = dict(Classifier(Run(tmp_path / "run")).predict(video).top)
    assert found == pytest.approx(dict(Classifier([run, hasty_run]).predict(video).top), abs=1e-5)


def test_a_run_classifies_elsewhere_and_without_tensorflow(run, video, tmp_path):
    for kind in ("tflite", "onnx"):
        folder = tmp_path / kind
        (folder / "backbones").mkdir(parents=True)
        for name in ("model.tflite", "bundle.json"):
            shutil.copy(run.folder / name, folder / name)
        missing = classify(video, "--run", folder).mistake
        assert "backbones: the backbone of the stream rgb is not there. Copy it from" in missing
        network = run.folder.with_name(f"network.{kind}")
        shutil.copy(network, folder / "backbones" / f"rgb.{kind}")
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
    usual = content["external"]["rgb"]
    for stream, changes, problem in (
        ("../rgb", {}, "external must name streams of model.streams"),
        ("rgb", {"std": []}, "must both be one number"),
        ("rgb", {"grid": 0}, "backbone.grid must be at least 1"),
        ("rgb", {"channels": "grb"}, "external.rgb.channels: expected one of auto, rgb, bgr"),
    ):
        content["external"] = {stream: {**usual, **changes}}
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
    predict_split(open_run(run), "test")
    expect_answers_of_evaluation(run, Classifier(run), blob_videos, every=5)


def test_a_training_that_was_stopped_goes_on(run, config, tmp_path):
    """And before it, the preflight learns from the stored features."""
    assert overfit_one_batch(*resolve(config)) > 0
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
    scores = score_unknown(model, others, config, data_of_run(run), run.class_names())
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
    _, missing = resolve(changed(config, {"backbone.name": "no.onnx"}))
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


# Key points of people, by stand-ins for the networks.


def learn(config, folder, **options):
    """Prepares a data set of groups, trains on its key points alone, exports and evaluates."""
    options |= {"group_regex": r"g\d+", "val_fraction": 0.2}
    store = prepared("folder", folder / "videos", folder / "store", **options)
    config = dataclasses.replace(
        changed(config, {"temporal.kind": "lstm", "temporal.units": 16}),
        data=str(store),
        clip=ClipConfig(num_frames=8, views=1),
        model=ModelConfig(streams=("pose",), dropout=0),
        augment=NO_AUGMENT,
    )
    run = train(config, folder / "run").run
    export(open_run(run))
    evaluate(run)


def detect(image):
    """Finds nobody, so that the whole frame is looked at."""
    nothing = tf.reduce_mean(image) * 0
    return tf.zeros((1, 2254, 12)) + nothing, tf.zeros((1, 2254, 1)) - 9 + nothing


def look(image):
    """Somebody whose hips are where it is bright, and who fills the frame."""
    bright = tf.nn.relu(tf.reduce_mean(image, -1)[0] - 0.3) + 1e-6
    places = tf.range(256, dtype=tf.float32)
    x = tf.reduce_sum(bright * places) / tf.reduce_sum(bright)
    y = tf.reduce_sum(bright * places[:, None]) / tf.reduce_sum(bright)
    rows = tf.stack([x, y, 0.0, 4.0, 4.0])[None] + tf.zeros((33, 5))
    shoulders = np.zeros((33, 5), np.float32)
    shoulders[11:13, 1] = -40
    where = tf.constant([[128, 128, 0, 0, 0], [128, 26, 0, 0, 0]] + [[0] * 5] * 4, tf.float32)
    points = tf.reshape(tf.concat([rows + shoulders, where], 0), (1, 195))
    flag = tf.reshape(0.9 + 0 * x, (1, 1))
    return points, flag, flag * 2, flag * 3, tf.zeros((1, 117)) + 0 * x


def write_networks(cache):
    """A user's cache with two networks in place of those of BlazePose."""
    folder = cache / "clipline" / "pose"
    folder.mkdir(parents=True)
    for model, function, size in ((DETECTOR, detect, 224), (LANDMARKS, look, 256)):
        spec = tf.TensorSpec((1, size, size, 3), tf.float32)
        concrete = tf.function(function, autograph=False).get_concrete_function(spec)
        with silent_native_log():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
            (folder / model.name).write_bytes(converter.convert())


def write_walks(root):
    """Sixteen groups of two videos, in which something goes to the left, or to the right."""
    for group in range(16):
        rng = np.random.default_rng(group)
        y, start, speed = rng.integers(24), rng.integers(4), rng.integers(2, 4)
        background = rng.integers(60, size=(4, 5, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        frames = np.stack([background] * 10)
        for number, frame in enumerate(frames):
            x = start + speed * number
            frame[y : y + 8, x : x + 8] = 200
        for label, shown in (("right", frames), ("left", frames[:, :, ::-1])):
            (root / label).mkdir(parents=True, exist_ok=True)
            write_video(root / label / f"g{group:02d} 0.avi", shown, fps=10, codec="FFV1")


def make_people(config, folder):
    write_networks(folder / "cache")
    write_walks(folder / "videos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        groups = ("g00", "g01", "g02", "g03")
        learn(config, folder, test_groups=groups, size=16, pose=True, people=1)


@pytest.fixture(scope="module")
def people(small_config, made):
    """A run and its folder, and one of its videos; the networks are in the user's cache."""
    folder = made("people", partial(make_people, changed(small_config, {"train.epochs": 10})))
    walk = folder / "videos" / "left" / "g01 0.avi"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield SimpleNamespace(folder=folder, run=Run(folder / "run"), walk=walk)


def test_people_who_walk_are_classified_as_by_evaluation(people, tmp_path):
    """Timelines and streams of them at least say something, and are drawn."""
    store = open_prepared(people.folder / "store")
    assert store.frames.pose == 1
    assert store.report["pose"] == {"mean_flag": pytest.approx(0.9, abs=1e-3), "few": []}
    report = (store.path / "data_report.md").read_text(encoding="utf-8")
    assert "Mean flag of the key points of all frames: 0.90" in report
    assert people.run.metrics()["test"]["video"]["top1"] >= 0.9, "the direction was learned"
    expect_answers_of_evaluation(people.run, Classifier(people.run), people.folder / "videos")
    timeline = expect_timeline_and_stream(Classifier(people.run), people.walk)
    annotate(timeline, tmp_path / "out.avi", each=[people.run.config().frames])
    assert probe(tmp_path / "out.avi", count_frames=True).num_frames == 10


def test_a_run_has_the_models_with_it(people, tmp_path):
    def classified(folder):
        words = [sys.executable, SCRIPTS / "classify.py", people.walk, "--run", folder, "--json"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "empty")}
        environment.pop("CLIPLINE_POSE_MODELS", None)  # of runs that this process has opened
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        return done.returncode, done.stdout, done.stderr

    moved = Run(tmp_path / "elsewhere")
    moved.folder.mkdir()
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(people.run.folder / name, moved.folder / name)
    code, _, error = classified(moved.folder)
    assert code == 2
    assert "To get the models of poses: " in error
    assert "Traceback" not in error
    shutil.copytree(people.run.pose, moved.pose)
    code, out, error = classified(moved.folder)
    assert code == 0, error
    assert json.loads(out)["top"] == Classifier(people.run).predict(people.walk).as_json()["top"]


@pytest.mark.parametrize("streams", [("pose",), ("rgb", "pose")])
def test_it_is_explained_by_people(people, tmp_path, streams):
    run = people.run
    if len(streams) > 1:
        config = changed(run.config(), {"model.streams": list(streams)})
        run = drawn_run(config, tmp_path / "run", exported=False)
        build_recognizer(run.config(), 2).save(run.model_file)  # Drawn weights saturate here.
    # Where nothing was learned, it may be that all speaks against the one class, or the other.
    each = (explain(run, people.walk, label) for label in ("left", "right"))
    explanation = next(found for found in each if found.strips[0].people.heat.max() > 0)
    (strip,) = explanation.strips
    assert (strip.heat is None) == (len(streams) == 1)
    assert strip.people.frames.shape == (8, *next(iter_frames(people.walk)).shape)
    np.testing.assert_allclose(strip.people.frames[-1], list(iter_frames(people.walk))[9])
    assert strip.people.heat.shape == (8, 1, 13)
    assert strip.people.heat.max() == pytest.approx(1)
    draw_strip(explanation, tmp_path / "why.png")
    write_heat_video(explanation, tmp_path / "why.avi")
    assert probe(tmp_path / "why.avi", count_frames=True).num_frames == 10


# Key points of tables.

SHAPE = np.array([[4, 0], [3, -2], [3, 2], [-4, 0]])


def make_animals(config, folder):
    """Twelve groups of two videos of noise; the animal of the tables goes left, or right."""
    tables = folder / "tables"
    for group in range(12):
        rng = np.random.default_rng(group)
        for label, step in (("right", 1), ("left", -1)):
            name = f"{label} g{group:02d}"
            path = folder / "videos" / label / f"{name}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, rng.integers(256, size=(20, 48, 64, 3), dtype=np.uint8), fps=20)
            points = np.ones((20, 2, len(NAMES), 3))
            at = rng.uniform([22, 15], [42, 33]) + np.arange(-10, 10)[:, None] * [step, 0]
            points[:, 0, :, :2] = SHAPE + at[:, None]
            points[:, 1] = np.nan  # the other one is never seen
            points[3, 0, rng.integers(4)] = np.nan
            if group % 2:
                write_sleap_h5(tables / f"labels.v1.000_{name}.analysis.h5", points)
            else:
                animals = ("mouse1", "mouse2")
                write_deeplabcut(tables / f"{name}DLC_x_el.csv", points, animals=animals)
    with pytest.MonkeyPatch.context() as patch:  # Nobody fetched the models of poses.
        patch.setenv("XDG_CACHE_HOME", str(folder / "empty cache"))
        patch.delenv("CLIPLINE_POSE_MODELS", raising=False)
        learn(config, folder, test_groups=("g00", "g01"), key_points=str(tables))


@pytest.fixture(scope="module")
def animals(small_config, made):
    """A run, its classifier, its tables and videos, and one of these."""
    folder = made("animals", partial(make_animals, changed(small_config, {"train.epochs": 15})))
    run, tables, videos = (folder / name for name in ("run", "tables", "videos"))
    return SimpleNamespace(
        run=Run(run),
        classifier=Classifier(Run(run), key_points=tables),
        tables=tables,
        videos=videos,
        mouse=videos / "left" / "left g01.avi",
    )


def test_animals_are_classified_as_by_evaluation_and_drawn(animals, tmp_path):
    expect_answers_of_evaluation(animals.run, animals.classifier, animals.videos)
    assert read_bundle(animals.run).frames.key_points == NAMES
    paths = [str(animals.videos / line["video"]) for line in predictions_of(animals.run)]
    for path, other in predict_many(animals.classifier, paths, workers=1):
        assert other.as_json() == animals.classifier.predict(path).as_json()
    timeline = make_timeline(animals.classifier, animals.mouse, window_seconds=0.8)
    frames = animals.run.config().frames
    annotate(timeline, tmp_path / "with.avi", each=[frames], tables=animals.classifier.tables)
    annotate(timeline, tmp_path / "without.avi")
    with VideoReader(tmp_path / "with.avi") as one, VideoReader(tmp_path / "without.avi") as other:
        differ = [
            np.abs(with_points.astype(int) - without).max() > 90
            for with_points, without in zip(one.frames(), other.frames(), strict=True)
        ]
    assert differ == [True] * 20


def test_pictures_and_points_are_fused(animals, people, hasty_run):
    for each, video in ((animals.run, animals.mouse), (people.run, people.walk)):
        both, *alone = (
            dict(Classifier(runs, key_points=animals.tables).predict(video).top)["left"]
            for runs in ([each, hasty_run], each, hasty_run)
        )
        assert both == pytest.approx(np.mean(alone), abs=1e-5)


def test_a_preview_draws_what_is_seen_and_pictures_alone_are_mixed(animals, people, tmp_path):
    for each, augment in ((animals.run, AugmentConfig()), (people.run, NO_AUGMENT)):
        config = dataclasses.replace(each.config(), augment=augment)
        store = open_prepared(Path(config.data))
        files = write_contact_sheets(store, config, tmp_path, num_videos=1, num_augmented=1)
        assert [path.suffix for path in files] == [".png", ".png"]
    mixing = AugmentConfig(mixup=Change(strength=0.2))
    with pytest.raises(ConfigError, match="mix pictures, which the stream pose does not see"):
        dataclasses.replace(people.run.config(), augment=mixing)


def test_without_a_table_there_is_no_answer(animals, hasty_run):
    """The command says what is missing."""
    for use in (
        lambda: Classifier(animals.run).predict(animals.mouse),
        lambda: Classifier(animals.run).predict(np.zeros((9, 8, 8, 3), np.uint8)),
        lambda: explain(animals.run, animals.mouse),
    ):
        with pytest.raises(ConfigError, match="this run takes key points from tables"):
            use()
    with (
        LiveVideo(str(animals.mouse)) as live,
        pytest.raises(ConfigError, match="from tables, and a stream has none"),
    ):
        next(classify_stream(Classifier(animals.run), live))
    videos = (animals.mouse, animals.mouse.with_name("left g02.avi"))
    for options, reason in (
        ((), "this run takes key points from tables of DeepLabCut or SLEAP: add --key-points and"),
        (("--key-points", "none"), "--key-points: none is not there"),
        (("--key-points", __file__), f"--key-points: {__file__} is the table of one video"),
    ):
        assert reason in classify(*videos, "--run", animals.run.folder, *options).mistake
    words = ("--run", hasty_run.folder, "--key-points", animals.tables)
    none = classify(animals.mouse, *words).mistake
    assert "--key-points is for runs that were trained on tables: leave it out" in none


def test_the_command_takes_tables(animals, tmp_path):
    options, mouse = ("--run", animals.run.folder, "--key-points"), animals.mouse
    done = classify(mouse, "--json", *options, animals.tables)
    assert (done.code, done.errors) == (0, "")
    found = json.loads(done.output)
    assert found == animals.classifier.predict(mouse).as_json()
    table = animals.tables / "labels.v1.000_left g01.analysis.h5"
    renamed = shutil.copy(mouse, tmp_path / "none.avi")
    assert json.loads(classify(renamed, "--json", *options, table).output)["top"] == found["top"]
    done = classify(mouse, renamed, *options, animals.tables)
    assert done.code == 1
    assert "none.avi: no table of key points for it in " in done.errors
    other = mouse.with_name("left g02.avi")
    done = classify(mouse, other, "--timeline", *options, animals.tables, "--window", "0.8")
    assert (done.code, done.errors) == (0, "")
    assert done.output.count("0:00") >= 2
