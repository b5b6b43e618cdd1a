"""A run that sees key points, from preparing to classifying, with stand-ins for the networks."""

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from pipeline.config import (
    NO_AUGMENT,
    AugmentConfig,
    Change,
    ClipConfig,
    ModelConfig,
    TemporalConfig,
)
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.preview import write_contact_sheets
from pipeline.errors import ConfigError
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.annotate import annotate
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.explanation_files import draw_strip, write_heat_video
from pipeline.inference.export import export
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.native_log import silent_native_log
from pipeline.pose.models import DETECTOR, LANDMARKS
from pipeline.prepare.preparation import prepare
from pipeline.run import Run
from pipeline.training.fit import train
from pipeline.video import LiveVideo, iter_frames, probe, write_video

SCRIPTS = Path(__file__).parents[2] / "scripts"


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


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A user's cache with two networks in place of those of BlazePose."""
    cache = tmp_path_factory.mktemp("cache")
    folder = cache / "clipline" / "pose"
    folder.mkdir(parents=True)
    for model, function, size in ((DETECTOR, detect, 224), (LANDMARKS, look, 256)):
        spec = tf.TensorSpec((1, size, size, 3), tf.float32)
        concrete = tf.function(function, autograph=False).get_concrete_function(spec)
        with silent_native_log():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
            (folder / model.name).write_bytes(converter.convert())
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(cache)
    yield cache
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Sixteen groups of two videos, in which something goes to the left, or to the right."""
    root = tmp_path_factory.mktemp("walks") / "videos"
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
    return root


@pytest.fixture(scope="module")
def store(cache, videos, tmp_path_factory):
    config = PrepareConfig(
        source="folder",
        path=str(videos),
        out=str(tmp_path_factory.mktemp("pose") / "store"),
        group_regex=r"g\d+",
        test_groups=("g00", "g01", "g02", "g03"),
        val_fraction=0.2,
        fps=10,
        size=16,
        pose=True,
        people=1,
        workers=1,
    )
    return prepare(config).store


@pytest.fixture(scope="module")
def config(blob_config, store):
    return dataclasses.replace(
        blob_config,
        data=str(store.path),
        clip=ClipConfig(num_frames=8, views=1),
        model=ModelConfig(streams=("pose",), dropout=0),
        augment=NO_AUGMENT,
        temporal=TemporalConfig(units=16, dropout=0),
        train=dataclasses.replace(blob_config.train, epochs=10),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    run = train(config, tmp_path_factory.mktemp("runs") / "pose")
    export(run)
    evaluate(run)
    return run


def test_what_is_stored_is_what_others_read(store):
    data = tfds.builder_from_directory(str(store.path)).as_dataset(split="test")
    example = next(iter(data.take(1).as_numpy_iterator()))
    assert example["pose"].shape == (len(example["frames"]), 1, 33, 7)
    assert example["pose"].dtype == np.float16
    assert store.frames.pose == 1
    assert store.report["pose"]["mean_flag"] == pytest.approx(0.9, abs=1e-3)
    assert store.report["pose"]["few"] == []
    assert "Mean flag of the key points of all frames: 0.90" in store.path.joinpath(
        "data_report.md"
    ).read_text(encoding="utf-8")


def test_the_direction_of_motion_is_learned(run):
    assert run.metrics()["test"]["video"]["top1"] >= 0.9


def test_classifying_says_what_evaluation_does(run, videos):
    with (run.report / "test_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    classifier = Classifier(run)
    for line in lines:
        answer = classifier.predict(videos / line["video"])
        assert answer.label == line["predicted"] or not answer.known
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)


def test_timelines_streams_and_annotated_videos(run, videos, tmp_path):
    video = videos / "left" / "g01 0.avi"
    timeline = make_timeline(Classifier(run), video, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= {"left", "right", "unknown"}
    annotate(timeline, tmp_path / "out.avi", each=[run.config().frames])
    assert probe(tmp_path / "out.avi", count_frames=True).num_frames == 10
    with LiveVideo(str(video)) as live:
        *_, result = classify_stream(Classifier(run), live, every=8, window_seconds=0.8)
    assert result.prediction.label in ("left", "right", "unknown")


def classify(run, video, cache):
    words = [sys.executable, SCRIPTS / "classify.py", video, "--run", run.folder, "--json"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    environment.pop("CLIPLINE_POSE_MODELS", None)  # of runs that this process has opened
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_a_run_has_the_models_with_it(run, videos, tmp_path):
    video = videos / "left" / "g01 0.avi"
    moved = Run(tmp_path / "elsewhere")
    moved.folder.mkdir()
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(run.folder / name, moved.folder / name)
    code, _, error = classify(moved, video, tmp_path / "empty")
    assert code == 2
    assert "To get the models of poses: " in error
    assert "Traceback" not in error
    shutil.copytree(run.pose, moved.pose)
    code, out, error = classify(moved, video, tmp_path / "empty")
    assert code == 0, error
    assert json.loads(out)["top"] == Classifier(run).predict(video).as_json()["top"]


def test_pictures_and_numbers_are_fused(run, hasty_run, videos):
    video = videos / "left" / "g01 0.avi"
    both = dict(Classifier([run, hasty_run]).predict(video).top)
    each = [dict(Classifier(one).predict(video).top) for one in (run, hasty_run)]
    assert both["left"] == pytest.approx(np.mean([one["left"] for one in each]), abs=1e-5)


def test_a_preview_draws_what_the_network_sees(config, store, tmp_path):
    config = dataclasses.replace(config, frames=store.frames)
    files = write_contact_sheets(store, config, tmp_path, num_videos=1, num_augmented=1)
    assert [path.suffix for path in files] == [".png", ".png"]


@pytest.mark.parametrize("streams", [("pose",), ("rgb", "pose")])
def test_it_is_explained_by_people(run, config, videos, tmp_path, streams):
    video = videos / "left" / "g01 0.avi"
    if len(streams) > 1:
        model = dataclasses.replace(config.model, streams=streams)
        brief = dataclasses.replace(config.train, epochs=1)
        run = train(dataclasses.replace(config, model=model, train=brief), tmp_path / "run")
    explanation = explain(run, video)
    (strip,) = explanation.strips
    assert (strip.heat is None) == (len(streams) == 1)
    assert strip.people.frames.shape == (8, *next(iter_frames(video)).shape)
    np.testing.assert_allclose(strip.people.frames[-1], list(iter_frames(video))[9])
    assert strip.people.heat.shape == (8, 1, 13)
    assert strip.people.heat.max() == pytest.approx(1)
    draw_strip(explanation, tmp_path / "why.png")
    write_heat_video(explanation, tmp_path / "why.avi")
    assert probe(tmp_path / "why.avi", count_frames=True).num_frames == 10


def test_what_has_no_meaning_for_numbers(config):
    mixing = AugmentConfig(mixup=Change(strength=0.2))
    with pytest.raises(ConfigError, match="mix pictures, which the stream pose does not see"):
        dataclasses.replace(config, augment=mixing)
