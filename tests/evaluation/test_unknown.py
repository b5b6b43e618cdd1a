"""Videos of classes that a run does not know."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import FramesConfig
from pipeline.dataset.videos import open_data
from pipeline.errors import DataError
from pipeline.evaluation.predictions import check_frames, predict
from pipeline.evaluation.unknown import open_unknown, score_unknown, unknown_test
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from tests.evaluation.conftest import copy_of


def test_other_classes_count_unless_their_group_was_in_training(
    evaluated_right, blob_store, strangers
):
    found = evaluated_right.metrics()["test"]["unknown"]
    assert found["classes"] == ["noise"]
    assert found["num_videos"] == 3, "all but that of the group g05, which was trained on"
    assert found["rejected"] == 1
    config, model = evaluated_right.config(), load_recognizer(evaluated_right.model_file)
    known = predict(model, blob_store, config, "test").video_logits.max(axis=1)
    others, store = [], open_data(strangers / "store", config.frames)
    for split in store.num_videos:
        each = predict(model, store, config, split)
        logits = zip(each.video_logits, each.videos, each.groups, strict=True)
        others += [row.max() for row, name, group in logits if "noise" in name and group != "g05"]
    higher = [float(a > b) for a in known for b in others]
    assert found["auroc"] == pytest.approx(np.mean(higher), abs=1e-6)
    assert 0 < found["auroc"] < 1, "else it says little"


def test_tables(hasty_run, blob_store, strangers, tmp_path):
    config, model = hasty_run.config(), load_recognizer(hasty_run.model_file)

    def scores(*names, group):
        table = tmp_path / f"{len(names)}{group}.csv"
        rows = [f"{strangers / 'videos/noise' / name}.avi,noise,{group}" for name in names]
        table.write_text("\n".join(["path,label,group", *rows]))
        data = open_unknown(hasty_run, table)
        return score_unknown(model, data, config, blob_store, hasty_run.class_names())

    assert len(scores("g00 7", "g05 7", "new_g77 7", group="")["noise"]) == 3
    assert len(scores("new_g77 7", group="")["noise"]) == 1
    with pytest.raises(DataError, match="of unknown classes and of groups .* got none"):
        scores("g05 7", group="g05")


def test_there_must_be_such_videos(hasty_run, blob_store, strangers, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="of classes that the run does not know, it knows all"):
        open_unknown(hasty_run, blob_store.path)
    config = hasty_run.config()
    other = copy_of(hasty_run, tmp_path / "run", frames=FramesConfig(fps=10, size=48))
    with pytest.raises(DataError, match="prepared with other frames than the run was trained on"):
        open_unknown(other, strangers / "store")
    # Its own data set may have flow, which its model does without.
    with_flow = dataclasses.replace(config, frames=dataclasses.replace(config.frames, flow=True))
    monkeypatch.setattr(Run, "config", lambda _: with_flow)
    data = open_unknown(hasty_run, strangers / "store")
    takes_it = dataclasses.replace(config.model, streams=("rgb", "flow"))
    monkeypatch.setattr(Run, "config", lambda _: dataclasses.replace(with_flow, model=takes_it))
    with pytest.raises(DataError, match="other frames .* instead of .* with optical flow"):
        check_frames(hasty_run, data)


def test_figures_by_hand():
    known, scores = np.array([9.0, 8.0, 4.0]), {"b": [5.0], "a": [-3.0, 8.5]}
    found = unknown_test(known, scores, Calibration(logit_threshold=5.0))
    assert found["classes"] == ["a", "b"]
    assert found["num_videos"] == 3
    assert found["auroc"] == pytest.approx((3 + 2 + 1) / 9), "of each known one, those below it"
    assert found["rejected"] == pytest.approx(1 / 3)
    assert unknown_test(known, scores, Calibration())["rejected"] == 0
