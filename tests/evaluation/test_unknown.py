"""Videos of classes that a run does not know."""

import dataclasses
import shutil

import numpy as np
import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.videos import open_data
from pipeline.errors import DataError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.predictions import check_frames, predict
from pipeline.evaluation.unknown import open_unknown, unknown_test
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.preparation import prepare
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, write_calibration
from pipeline.video import write_video


@pytest.fixture(scope="module")
def strangers(blob_videos, tmp_path_factory):
    """The videos of the class `left`, and noise: of a group in training and of one that is new."""
    root = tmp_path_factory.mktemp("strangers") / "videos"
    shutil.copytree(blob_videos / "left", root / "left")
    (root / "noise").mkdir()
    rng = np.random.default_rng(0)
    for name in ("g00 7", "g05 7", "new_g77 7", "new_g78 7"):
        frames = rng.integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
        write_video(root / "noise" / f"{name}.avi", frames, fps=10, codec="FFV1")
    return root


def prepared(videos, **settings):
    config = PrepareConfig(
        source="folder",
        path=str(videos),
        out=str(videos.parent / "store"),
        group_regex=r"g\d+",
        fps=10,
        **{"size": 32, "workers": 1, "overwrite": True, **settings},
    )
    return prepare(config).store.path


def test_other_classes_count_unless_their_group_was_in_training(
    blob_run, blob_store, strangers, tmp_path
):
    run = Run(shutil.copytree(blob_run.folder, tmp_path / "run"))
    write_calibration(run, Calibration(logit_threshold=99.0, num_videos=1))
    found = evaluate(run, unknown=prepared(strangers))["unknown"]
    assert found["classes"] == ["noise"]
    assert found["num_videos"] == 3, "all but that of the group g05, which was trained on"
    assert found["rejected"] == 1
    config, store = run.config(), prepared(strangers)
    model = load_recognizer(run.model_file)
    known = predict(model, blob_store, config, "test").video_logits.max(axis=1)
    others = []
    for split in open_data(store, config.frames).num_videos:
        each = predict(model, open_data(store, config.frames), config, split)
        logits = zip(each.video_logits, each.videos, each.groups, strict=True)
        others += [row.max() for row, name, group in logits if "noise" in name and group != "g05"]
    higher = [float(a > b) for a in known for b in others]
    assert found["auroc"] == pytest.approx(np.mean(higher), abs=1e-6)
    assert 0 < found["auroc"] < 1, "else it says little"


def test_a_table_of_one_class(hasty_run, strangers, tmp_path):
    table = tmp_path / "noise.csv"
    videos = sorted((strangers / "noise").iterdir())
    table.write_text("path,label\n" + "".join(f"{video},noise\n" for video in videos))
    found = evaluate(hasty_run, unknown=table)["unknown"]
    assert (found["classes"], found["num_videos"]) == (["noise"], 4)


def test_a_table_of_one_video(hasty_run, strangers, tmp_path):
    table = tmp_path / "noise.csv"
    table.write_text(f"path,label\n{strangers / 'noise' / 'new_g77 7.avi'},noise\n")
    assert evaluate(hasty_run, unknown=table)["unknown"]["num_videos"] == 1


def test_what_the_run_does_not_take_may_differ(hasty_run, strangers, monkeypatch):
    """Its own data set has flow, which its model does without."""
    config = hasty_run.config()
    with_flow = dataclasses.replace(config, frames=dataclasses.replace(config.frames, flow=True))
    monkeypatch.setattr(Run, "config", lambda _: with_flow)
    data = open_unknown(hasty_run, prepared(strangers))
    takes_it = dataclasses.replace(config.model, streams=("rgb", "flow"))
    monkeypatch.setattr(Run, "config", lambda _: dataclasses.replace(with_flow, model=takes_it))
    with pytest.raises(DataError, match="other frames .* instead of .* with optical flow"):
        check_frames(hasty_run, data)


def test_there_must_be_such_videos(hasty_run, blob_store, strangers):
    with pytest.raises(DataError, match="of classes that the run does not know, it knows all"):
        evaluate(hasty_run, unknown=blob_store.path)
    with pytest.raises(DataError, match="prepared with other frames than the run was trained on"):
        evaluate(hasty_run, unknown=prepared(strangers, size=48))
    for name in ("g00 7", "new_g77 7", "new_g78 7"):
        (strangers / "noise" / f"{name}.avi").rename(strangers.parent / f"{name}.avi")
    with pytest.raises(DataError, match="of unknown classes and of groups .* got none"):
        evaluate(hasty_run, unknown=prepared(strangers))


def test_figures_by_hand():
    known, scores = np.array([9.0, 8.0, 4.0]), {"b": [5.0], "a": [-3.0, 8.5]}
    found = unknown_test(known, scores, Calibration(logit_threshold=5.0))
    assert found["classes"] == ["a", "b"]
    assert found["num_videos"] == 3
    assert found["auroc"] == pytest.approx((3 + 2 + 1) / 9), "of each known one, those below it"
    assert found["rejected"] == pytest.approx(1 / 3)
    assert unknown_test(known, scores, Calibration())["rejected"] == 0
