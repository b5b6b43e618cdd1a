"""A run that sees key points of tables, from preparing to classifying."""

import csv
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import NO_AUGMENT, AugmentConfig, ClipConfig, ModelConfig, TemporalConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.preview import write_contact_sheets
from pipeline.errors import ConfigError
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.annotate import annotate
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.export import export
from pipeline.inference.many import predict_many
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.prepare.preparation import prepare
from pipeline.training.fit import train
from pipeline.video import LiveVideo, VideoReader, write_video
from tests.key_points.tables import NAMES, write_deeplabcut, write_sleap_h5

SCRIPTS = Path(__file__).parents[2] / "scripts"
SHAPE = np.array([[4, 0], [3, -2], [3, 2], [-4, 0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve groups of two videos of noise; the animal of the tables goes left, or right."""
    root = tmp_path_factory.mktemp("animals")
    for group in range(12):
        rng = np.random.default_rng(group)
        for label, step in (("right", 1), ("left", -1)):
            name = f"{label} g{group:02d}"
            path = root / "videos" / label / f"{name}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, rng.integers(256, size=(20, 48, 64, 3), dtype=np.uint8), fps=20)
            points = np.ones((20, 2, len(NAMES), 3))
            at = rng.uniform([22, 15], [42, 33]) + np.arange(-10, 10)[:, None] * [step, 0]
            points[:, 0, :, :2] = SHAPE + at[:, None]
            points[:, 1] = np.nan  # the other one is never seen
            points[3, 0, rng.integers(4)] = np.nan
            tables = root / "tables"
            if group % 2:
                write_sleap_h5(tables / f"labels.v1.000_{name}.analysis.h5", points)
            else:
                animals = ("mouse1", "mouse2")
                write_deeplabcut(tables / f"{name}DLC_x_el.csv", points, animals=animals)
    return root


@pytest.fixture(scope="module")
def store(folder):
    config = PrepareConfig(
        source="folder",
        path=str(folder / "videos"),
        key_points=str(folder / "tables"),
        out=str(folder / "store"),
        group_regex=r"g\d+",
        test_groups=("g00", "g01"),
        val_fraction=0.2,
        fps=10,
        size=32,
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
        train=dataclasses.replace(blob_config.train, epochs=15),
    )


@pytest.fixture(scope="module")
def run(config, folder):
    run = train(config, folder / "run")
    with pytest.MonkeyPatch.context() as patch:  # Nobody fetched the models of poses.
        patch.setenv("XDG_CACHE_HOME", str(folder / "empty cache"))
        patch.delenv("CLIPLINE_POSE_MODELS", raising=False)
        export(run)
    evaluate(run)
    return run


@pytest.fixture(scope="module")
def classifier(run, folder):
    return Classifier(run, key_points=folder / "tables")


def test_the_direction_is_learned_and_classifying_says_what_evaluation_does(
    run, classifier, folder
):
    assert run.metrics()["test"]["video"]["top1"] == 1
    assert read_bundle(run).frames.key_points == NAMES
    with (run.report / "test_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    paths = [str(folder / "videos" / line["video"]) for line in lines]
    for answer, (path, other), line in zip(
        map(classifier.predict, paths),
        predict_many(classifier, paths, workers=1),
        lines,
        strict=True,
    ):
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)
        assert path == answer.path
        assert other.as_json() == answer.as_json()


def test_a_timeline_with_its_video(run, classifier, folder, tmp_path):
    video = folder / "videos" / "left" / "left g01.avi"
    timeline = make_timeline(classifier, video, window_seconds=0.8)
    assert {segment.label for segment in timeline.segments} <= {"left", "right", "unknown"}
    out = tmp_path / "out.avi"
    frames = run.config().frames
    annotate(timeline, out, each=[frames], tables=classifier.tables)
    annotate(timeline, tmp_path / "without.avi")
    with VideoReader(out) as one, VideoReader(tmp_path / "without.avi") as other:
        changed = [
            np.abs(with_points.astype(int) - without).max() > 90
            for with_points, without in zip(one.frames(), other.frames(), strict=True)
        ]
    assert len(changed) == 20
    assert all(changed)


def test_pictures_and_tables_are_fused(run, hasty_run, folder):
    video = folder / "videos" / "left" / "left g01.avi"
    tables = folder / "tables"
    both = dict(Classifier([run, hasty_run], key_points=tables).predict(video).top)
    each = [dict(Classifier(one, key_points=tables).predict(video).top) for one in (run, hasty_run)]
    assert both["left"] == pytest.approx(np.mean([one["left"] for one in each]), abs=1e-5)


def test_without_a_table_there_is_no_answer(run, folder):
    video = folder / "videos" / "left" / "left g01.avi"
    with pytest.raises(ConfigError, match="this run takes key points from tables"):
        Classifier(run).predict(video)
    with pytest.raises(ConfigError, match="this run takes key points from tables"):
        Classifier(run).predict(np.zeros((9, 8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match="this run takes key points from tables"):
        explain(run, video)
    with (
        LiveVideo(str(video)) as live,
        pytest.raises(ConfigError, match="from tables, and a stream has none"),
    ):
        next(classify_stream(Classifier(run), live))


def classify(*words):
    done = subprocess.run(
        [sys.executable, SCRIPTS / "classify.py", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_command_takes_tables(run, hasty_run, classifier, folder, tmp_path):
    video, other = (folder / "videos" / "left" / f"left g0{n}.avi" for n in (1, 2))
    tables, options = folder / "tables", ("--run", run.folder, "--key-points")
    code, out, error = classify(video, "--json", *options, tables)
    assert code == 0, error
    assert json.loads(out) == classifier.predict(video).as_json()
    table = tables / "labels.v1.000_left g01.analysis.h5"
    renamed = shutil.copy(video, tmp_path / "none.avi")
    assert (
        json.loads(classify(renamed, "--json", *options, table)[1])["top"] == json.loads(out)["top"]
    )
    code, out, error = classify(video, renamed, *options, tables)
    assert code == 1
    assert "none.avi: no table of key points for it in " in error
    code, out, error = classify(video, other, "--timeline", *options, tables, "--window", "0.8")
    assert code == 0, error
    assert out.count("0:00") >= 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "this run takes key points from tables of DeepLabCut or SLEAP: add --key-points and"),
        (("--key-points", "none"), "--key-points: none is not there"),
        (("--key-points", __file__), f"--key-points: {__file__} is the table of one video"),
    ],
)
def test_the_command_says_what_is_missing(run, folder, options, reason):
    video, other = (folder / "videos" / "left" / f"left g0{n}.avi" for n in (1, 2))
    code, _, error = classify(video, other, "--run", run.folder, *options)
    assert code == 2
    assert reason in error
    assert len(error.splitlines()) == 1


def test_tables_are_for_runs_that_take_them(hasty_run, folder):
    video = folder / "videos" / "left" / "left g01.avi"
    code, _, error = classify(video, "--run", hasty_run.folder, "--key-points", folder / "tables")
    assert code == 2
    assert "--key-points is for runs that were trained on tables: leave it out" in error


def test_a_preview_and_augmented_clips(config, store, tmp_path):
    config = dataclasses.replace(config, frames=store.frames, augment=AugmentConfig())
    files = write_contact_sheets(store, config, tmp_path, num_videos=1, num_augmented=1)
    assert [path.suffix for path in files] == [".png", ".png"]
