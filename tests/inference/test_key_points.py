"""Runs that see key points, of stand-ins for the networks or of tables, from preparing on."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, AugmentConfig, Change, ClipConfig, ModelConfig
from pipeline.dataset.preview import write_contact_sheets
from pipeline.errors import ConfigError
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.annotate import annotate
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.explanation_files import draw_strip, write_heat_video
from pipeline.inference.export import export
from pipeline.inference.many import predict_many
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.models.recognizer import build_recognizer
from pipeline.native_log import silent_native_log
from pipeline.pose.models import DETECTOR, LANDMARKS
from pipeline.prepare.prepared import open_store
from pipeline.run import Run
from pipeline.training.fit import train
from pipeline.video import LiveVideo, VideoReader, iter_frames, probe, write_video
from tests.conftest import prepared
from tests.inference.commands import SCRIPTS, classify
from tests.inference.videos import predictions_of
from tests.key_points.tables import NAMES, write_deeplabcut, write_sleap_h5
from tests.runs import changed, drawn_run

CLASSES = {"left", "right", "unknown"}


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
    run = train(config, folder / "run")
    export(run)
    evaluate(run)


def expect_answers_of_evaluation(run, classifier, videos):
    """And right ones: the direction of motion was learned."""
    assert run.metrics()["test"]["video"]["top1"] >= 0.9
    for line in predictions_of(run):
        answer = classifier.predict(videos / line["video"])
        assert answer.label == line["predicted"] or not answer.known
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)


# Of stand-ins.


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
    """The folder of a run, its data, and the networks, which are in the user's cache."""
    folder = made("people", partial(make_people, changed(small_config, {"train.epochs": 10})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def people_run(people):
    return Run(people / "run")


@pytest.fixture(scope="module")
def walk(people):
    return people / "videos" / "left" / "g01 0.avi"


def test_people_who_walk_are_classified_as_by_evaluation(people, people_run, walk, tmp_path):
    """Timelines and streams of them at least say something, and are drawn."""
    store = open_store(people / "store")
    assert store.frames.pose == 1
    assert store.report["pose"] == {"mean_flag": pytest.approx(0.9, abs=1e-3), "few": []}
    report = (store.path / "data_report.md").read_text(encoding="utf-8")
    assert "Mean flag of the key points of all frames: 0.90" in report
    expect_answers_of_evaluation(people_run, Classifier(people_run), people / "videos")
    timeline = make_timeline(Classifier(people_run), walk, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= CLASSES
    annotate(timeline, tmp_path / "out.avi", each=[people_run.config().frames])
    assert probe(tmp_path / "out.avi", count_frames=True).num_frames == 10
    with LiveVideo(str(walk)) as live:
        *_, result = classify_stream(Classifier(people_run), live, every=8, window_seconds=0.8)
    assert result.prediction.label in CLASSES


def test_a_run_has_the_models_with_it(people_run, walk, tmp_path):
    def classified(folder):
        words = [sys.executable, SCRIPTS / "classify.py", walk, "--run", folder, "--json"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "empty")}
        environment.pop("CLIPLINE_POSE_MODELS", None)  # of runs that this process has opened
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        return done.returncode, done.stdout, done.stderr

    moved = Run(tmp_path / "elsewhere")
    moved.folder.mkdir()
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(people_run.folder / name, moved.folder / name)
    code, _, error = classified(moved.folder)
    assert code == 2
    assert "To get the models of poses: " in error
    assert "Traceback" not in error
    shutil.copytree(people_run.pose, moved.pose)
    code, out, error = classified(moved.folder)
    assert code == 0, error
    assert json.loads(out)["top"] == Classifier(people_run).predict(walk).as_json()["top"]


@pytest.mark.parametrize("streams", [("pose",), ("rgb", "pose")])
def test_it_is_explained_by_people(people_run, walk, tmp_path, streams):
    run = people_run
    if len(streams) > 1:
        config = changed(run.config(), {"model.streams": list(streams)})
        run = drawn_run(config, tmp_path / "run", exported=False)
        build_recognizer(run.config(), 2).save(run.model_file)  # Drawn weights saturate here.
    # Where nothing was learned, it may be that all speaks against the one class, or the other.
    each = (explain(run, walk, label) for label in ("left", "right"))
    explanation = next(found for found in each if found.strips[0].people.heat.max() > 0)
    (strip,) = explanation.strips
    assert (strip.heat is None) == (len(streams) == 1)
    assert strip.people.frames.shape == (8, *next(iter_frames(walk)).shape)
    np.testing.assert_allclose(strip.people.frames[-1], list(iter_frames(walk))[9])
    assert strip.people.heat.shape == (8, 1, 13)
    assert strip.people.heat.max() == pytest.approx(1)
    draw_strip(explanation, tmp_path / "why.png")
    write_heat_video(explanation, tmp_path / "why.avi")
    assert probe(tmp_path / "why.avi", count_frames=True).num_frames == 10


# Of tables.

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
    """The folder of a run and its data."""
    return made("animals", partial(make_animals, changed(small_config, {"train.epochs": 15})))


@pytest.fixture(scope="module")
def tables(animals):
    return animals / "tables"


@pytest.fixture(scope="module")
def run(animals):
    return Run(animals / "run")


@pytest.fixture(scope="module")
def classifier(run, tables):
    return Classifier(run, key_points=tables)


@pytest.fixture(scope="module")
def mouse(animals):
    return animals / "videos" / "left" / "left g01.avi"


def test_animals_are_classified_as_by_evaluation(run, classifier, animals):
    expect_answers_of_evaluation(run, classifier, animals / "videos")
    assert read_bundle(run).frames.key_points == NAMES
    paths = [str(animals / "videos" / line["video"]) for line in predictions_of(run)]
    for path, other in predict_many(classifier, paths, workers=1):
        assert other.as_json() == classifier.predict(path).as_json()


def test_a_timeline_with_its_video(run, classifier, mouse, tmp_path):
    timeline = make_timeline(classifier, mouse, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= CLASSES
    frames = run.config().frames
    annotate(timeline, tmp_path / "with.avi", each=[frames], tables=classifier.tables)
    annotate(timeline, tmp_path / "without.avi")
    with VideoReader(tmp_path / "with.avi") as one, VideoReader(tmp_path / "without.avi") as other:
        differ = [
            np.abs(with_points.astype(int) - without).max() > 90
            for with_points, without in zip(one.frames(), other.frames(), strict=True)
        ]
    assert differ == [True] * 20


def test_pictures_and_points_are_fused(run, hasty_run, people_run, mouse, walk, tables):
    for each, video in ((run, mouse), (people_run, walk)):
        both, *alone = (
            dict(Classifier(runs, key_points=tables).predict(video).top)["left"]
            for runs in ([each, hasty_run], each, hasty_run)
        )
        assert both == pytest.approx(np.mean(alone), abs=1e-5)


def test_a_preview_draws_what_is_seen_and_pictures_alone_are_mixed(run, people_run, tmp_path):
    for each, augment in ((run, AugmentConfig()), (people_run, NO_AUGMENT)):
        config = dataclasses.replace(each.config(), augment=augment)
        store = open_store(Path(config.data))
        files = write_contact_sheets(store, config, tmp_path, num_videos=1, num_augmented=1)
        assert [path.suffix for path in files] == [".png", ".png"]
    mixing = AugmentConfig(mixup=Change(strength=0.2))
    with pytest.raises(ConfigError, match="mix pictures, which the stream pose does not see"):
        dataclasses.replace(people_run.config(), augment=mixing)


def test_without_a_table_there_is_no_answer(run, hasty_run, mouse, tables):
    """The command says what is missing."""
    for use in (
        lambda: Classifier(run).predict(mouse),
        lambda: Classifier(run).predict(np.zeros((9, 8, 8, 3), np.uint8)),
        lambda: explain(run, mouse),
    ):
        with pytest.raises(ConfigError, match="this run takes key points from tables"):
            use()
    with (
        LiveVideo(str(mouse)) as live,
        pytest.raises(ConfigError, match="from tables, and a stream has none"),
    ):
        next(classify_stream(Classifier(run), live))
    videos = (mouse, mouse.with_name("left g02.avi"))
    for options, reason in (
        ((), "this run takes key points from tables of DeepLabCut or SLEAP: add --key-points and"),
        (("--key-points", "none"), "--key-points: none is not there"),
        (("--key-points", __file__), f"--key-points: {__file__} is the table of one video"),
    ):
        assert reason in classify(*videos, "--run", run.folder, *options).mistake
    none = classify(mouse, "--run", hasty_run.folder, "--key-points", tables).mistake
    assert "--key-points is for runs that were trained on tables: leave it out" in none


def test_the_command_takes_tables(run, classifier, mouse, tables, tmp_path):
    options = ("--run", run.folder, "--key-points")
    done = classify(mouse, "--json", *options, tables)
    assert (done.code, done.errors) == (0, "")
    found = json.loads(done.output)
    assert found == classifier.predict(mouse).as_json()
    table = tables / "labels.v1.000_left g01.analysis.h5"
    renamed = shutil.copy(mouse, tmp_path / "none.avi")
    assert json.loads(classify(renamed, "--json", *options, table).output)["top"] == found["top"]
    done = classify(mouse, renamed, *options, tables)
    assert done.code == 1
    assert "none.avi: no table of key points for it in " in done.errors
    other = mouse.with_name("left g02.avi")
    done = classify(mouse, other, "--timeline", *options, tables, "--window", "0.8")
    assert (done.code, done.errors) == (0, "")
    assert done.output.count("0:00") >= 2
