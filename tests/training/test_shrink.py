"""A run that reads the frames of its data set at a part of their size."""

import csv

import numpy as np
import pytest

from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.dataset.videos import open_of_run
from pipeline.errors import ConfigError
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import readings_of
from pipeline.inference.explain import explain
from pipeline.inference.timeline import make_timeline
from tests.runs import changed, drawn_run


@pytest.fixture(scope="module")
def config(blob_config):
    return changed(blob_config, {"clip.shrink": 2, "backbone.filters": (4,), "temporal.units": 4})


def test_from_training_to_classifying(config, hasty_run, blob_videos, tmp_path):
    run = drawn_run(config, tmp_path / "run")
    evaluate(run)
    with (run.report / "test_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    classifier = Classifier(run)
    for line in lines[:6]:
        found = dict(classifier.predict(blob_videos / line["video"]).top)
        assert found["left"] == pytest.approx(float(line["left"]), abs=2e-3)
    video = blob_videos / "left" / "g00 0.avi"
    assert make_timeline(classifier, video, window_seconds=0.8).segments
    explanation = explain(run, video)
    (strip,) = explanation.strips
    assert strip.frames.shape[1:] == (*strip.heat.shape[1:], 3) == (16, 16, 3)
    both = Classifier([run, hasty_run])
    (reading,) = readings_of(both.bundles)
    assert [frames.size for frames in reading.frames] == [32], "a frame is stored once for both"
    assert both.predict(video).known


def test_frames_are_means_of_what_is_stored(config, blob_config):
    small, large = (
        next(iter(evaluation_batches(open_of_run(each)[1], each, "val")))[0]["frames"].numpy()
        for each in (open_of_run(config)[0], open_of_run(blob_config)[0])
    )
    assert small.shape[2:] == (16, 16, 3)
    halves = large.reshape(*large.shape[:2], 16, 2, 16, 2, 3).mean((3, 5))
    assert np.abs(halves - small).mean() < 3
    for shrink in (3, 8):
        with pytest.raises(ConfigError, match="clip.shrink"):
            open_of_run(changed(config, {"clip.shrink": shrink}))
