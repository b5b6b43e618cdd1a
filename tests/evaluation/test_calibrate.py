"""Fitting on the validation videos of a run."""

import dataclasses
import json
import shutil

import pytest

from pipeline.config import EvaluateConfig
from pipeline.config.file import save_config
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.predictions import predict
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration
from pipeline.tasks.task import task_of


@pytest.fixture
def run(hasty_run, tmp_path):
    return Run(shutil.copytree(hasty_run.folder, tmp_path / "run"))


def test_validation_videos_alone_are_what_it_is_fitted_on(run, blob_store):
    found = calibrate(run)
    assert read_calibration(run) == found
    predictions = predict(load_recognizer(run.model_file), blob_store, run.config(), "val")
    logits, labels = predictions.video_logits, predictions.labels
    assert found.num_videos == len(labels) == 16
    assert found.clip_seconds == 1.2, "of 12 frames are most"
    task = task_of(run.config().model)
    wanted = task.fit_temperature(logits, labels)
    assert found.temperature == pytest.approx(wanted, rel=1e-3)
    assert found.temperature != pytest.approx(1, abs=0.01)
    least = task.score(logits).min()
    assert found.logit_threshold == pytest.approx(least), "0.95 of 16 is all of them, rounded up"


def test_the_configuration_chooses_how_much_evidence_an_answer_takes(run):
    def logit_threshold(**settings):
        config = dataclasses.replace(run.config(), evaluate=EvaluateConfig(**settings))
        save_config(config, run.config_file)
        return calibrate(run).logit_threshold

    assert logit_threshold(unknown="off") is None
    of_all = logit_threshold(unknown_target=1.0)
    assert logit_threshold(unknown_target=0.5) > of_all
    assert logit_threshold(unknown="precision", unknown_target=0.01) == of_all


def test_without_validation_nothing_is_fitted(run, store_without_validation):
    assert calibrate(run).num_videos
    config = dataclasses.replace(run.config(), data=str(store_without_validation.path))
    save_config(config, run.config_file)
    environment = json.loads(run.environment_file.read_text())
    environment["data_fingerprint"] = store_without_validation.fingerprint
    run.environment_file.write_text(json.dumps(environment))

    assert calibrate(run) == Calibration(clip_seconds=1.2) == read_calibration(run)
