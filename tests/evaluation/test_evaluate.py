"""The evaluation of a run, counted from what it leaves behind; its calibration; and the unknown."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from pipeline.config import EvaluateConfig, FramesConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.videos import check_frames, open_data
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.calibrate import calibrate, fitted
from pipeline.evaluation.evaluate import evaluate, video_result
from pipeline.evaluation.predict import predict
from pipeline.evaluation.results import LengthScore, OrderScores, as_json
from pipeline.evaluation.unknown import open_unknown, score_unknown, unknown_test
from pipeline.frames.chunks import read_index, segment_file
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration, write_calibration
from pipeline.tasks.task import task_of
from pipeline.training.run_folder import open_run
from tests.evaluation.conftest import copy_of
from tests.evaluation.made_up_crossval import made_up
from tests.runs import changed


def read(run, split):
    with (run.report / f"{split}_predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_video_is_predicted_once_and_metrics_are_those_of_the_predictions(
    evaluated, blob_store
):
    model, names = load_recognizer(evaluated.model_file), evaluated.class_names()
    predictions = predict(model, blob_store, evaluated.config(), "test").by_video()
    logits = predictions.logits.astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    lines = read(evaluated, "test")
    assert [line["video"] for line in lines] == sorted(predictions.names)
    assert [names.index(line["predicted"]) for line in lines] == shares.argmax(axis=1).tolist()
    probabilities = [float(line["probability"]) for line in lines]
    np.testing.assert_allclose(probabilities, shares.max(axis=1), atol=1e-4)
    of_classes = [[float(line[name]) for name in names] for line in lines]
    np.testing.assert_allclose(of_classes, shares, atol=1e-6)
    assert evaluated.metrics().keys() == {"test", "train", "val"}
    for split, result in evaluated.metrics().items():
        stored = {
            (f"{row.label}/{row.path.rpartition('/')[2]}", row.group, row.label)
            for row in blob_store.manifest.rows
            if row.split == split
        }
        lines = read(evaluated, split)
        assert len(lines) == len(stored) == result["num_videos"]
        assert {(line["video"], line["group"], line["label"]) for line in lines} == stored
        right = [line["label"] == line["predicted"] for line in lines]
        assert split == "test" or not all(right), "mistakes are needed to tell the numbers apart"
        assert result["video"]["top1"] == pytest.approx(np.mean(right))
        assert result["order"].keys() == {"in_order", "shuffled", "reversed", "pairs"}
        assert result["order"]["in_order"] == result["video"]["top1"]
        low, high = result["video"]["top1_interval95"]
        assert low <= np.mean(right) <= high
        assert result["num_groups"] == len({line["group"] for line in lines})
        assert result["chance"] == 0.5
        for name, row in result["per_class"].items():
            both = sum(line["label"] == line["predicted"] == name for line in lines)
            assert row["num_videos"] == sum(line["label"] == name for line in lines)
            assert row["recall"] == pytest.approx(both / row["num_videos"])


def test_each_view_and_order_is_predicted_from_its_own_clips(hasty_run, blob_store):
    model, config = load_recognizer(hasty_run.model_file), hasty_run.config()
    seen = []
    for order in ("in_order", "reversed"):
        predictions = predict(model, blob_store, config, "test", order=order)
        assert predictions.video.tolist() == np.repeat(range(16), 2).tolist()
        place = np.argsort([clip.name for clip in blob_store.of_split("test")])
        for view, logits in enumerate((predictions.logits[::2], predictions.logits[1::2])):
            clips = evaluation_clips(blob_store, config, "test", view=view, order=order)
            expected = np.concatenate([model(inputs) for inputs, *_ in clips])[place]
            np.testing.assert_allclose(logits, expected, atol=1e-5)
            seen.append(logits)
        labels = np.concatenate([label for _, label, _ in clips])[place]
        np.testing.assert_array_equal(predictions.targets[::2], labels)
    assert not np.allclose(seen[0], seen[1], atol=1e-3)
    assert not np.allclose(seen[0], seen[2], atol=1e-3)


def test_order_and_length_tell_what_a_run_goes_by(evaluated_right, blob_store):
    """One frame does not say where a blob moves to, nor do its neighbours; all frames do."""
    result = evaluated_right.metrics()["test"]
    order = result["order"]
    assert order["in_order"] >= 0.9
    assert order["reversed"] <= 0.1
    assert order["pairs"]["num_videos"] == 16
    assert order["pairs"]["reversed_to_partner"] >= 0.9
    by_length = {each["num_frames"]: each["top1"] for each in result["lengths"]}
    assert list(by_length) == [1, 2, 4, 8]
    assert by_length[1] == 0.5
    assert by_length[8] >= 0.9
    clips = evaluation_clips(blob_store, evaluated_right.config(), "test", most=4)
    masks = [inputs["mask"].numpy() for inputs, *_ in clips]
    assert np.concatenate(masks).sum(axis=1).tolist() == [4] * 16


def test_views_are_averaged_over_logits():
    """One sure view outweighs two unsure ones: no vote, and no mean of probabilities."""
    logits = np.array([[[0.0, 3.0]], [[8.0, 0.0]], [[0.0, 3.0]]], np.float32)
    result = summarised(clips_of(logits, ["g"]))
    assert result["video"]["top1"] == 1
    assert result["clip"]["top1"] == pytest.approx(1 / 3)
    assert (result["num_videos"], result["num_views"]) == (1, 3)
    assert result["video"]["top1_interval95"] is None, "one group has no interval"
    logits = np.random.default_rng(0).normal(size=(3, 40, 8)).astype(np.float32)
    result = summarised(clips_of(logits, ["g"] * 40))
    labels = np.arange(40) % 8
    clips, all_labels = logits.reshape(-1, 8), np.tile(labels, 3)
    for k in (1, 5):
        best = {
            name: np.argsort(-rows)[:, :k]
            for name, rows in (("video", logits.mean(axis=0)), ("clip", clips))
        }
        for name, truth in (("video", labels), ("clip", all_labels)):
            share = (best[name] == truth[:, None]).any(axis=1).mean()
            assert result[name][f"top{k}"] == pytest.approx(share)


def summarised(clips):
    """The result, as JSON has it, of clips by which nothing else was measured."""
    order = OrderScores(0.5, 0.5, 0.5)
    return as_json(video_result(clips, Calibration(), lengths=[LengthScore(1, 0.5)], order=order))


def clips_of(logits, groups):
    """Predictions of clips by their logits (views, videos, classes)."""
    views, videos, classes = logits.shape
    rows = logits.swapaxes(0, 1).reshape(-1, classes)
    video = np.repeat(np.arange(videos), views)
    names = [f"{number:02d}" for number in range(videos)]
    each = made_up(rows, video % classes, range(len(rows)), range(len(rows)), "abcdefgh"[:classes])
    return dataclasses.replace(each, video=video, names=tuple(names), groups=tuple(groups))


def test_probabilities_and_answers_are_those_of_the_calibration(evaluated, hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    before, lines = evaluated.metrics()["test"], read(evaluated, "test")
    least = sorted(float(line["max_logit"]) for line in lines)[6]
    write_calibration(run, Calibration(temperature=4.0, logit_threshold=least, num_videos=9))
    result = as_json(evaluate(run))
    assert run.metrics() == {"test": result}
    found = result["calibration"]
    assert found["error_before"] == before["calibration"]["error_after"] != found["error_after"]
    answered = [line for line in lines if float(line["max_logit"]) >= least]
    assert found["answered"] == pytest.approx(len(answered) / 16, abs=1 / 16 + 1e-9)
    assert result["video"] == before["video"]
    assert before["calibration"]["answered"] == 1
    highest, lower = (
        max(float(line["probability"]) for line in each) for each in (lines, read(run, "test"))
    )
    assert lower < highest


def test_validation_videos_alone_are_what_it_is_fitted_on(hasty_run, blob_store, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    found, config = calibrate(open_run(run)), run.config()
    assert read_calibration(run) == found
    clips = predict(load_recognizer(run.model_file), blob_store, config, "val")
    videos = clips.by_video()
    logits, labels = videos.logits, videos.targets
    assert found.num_videos == len(labels) == 16
    assert found.clip_seconds == 1.2, "of 12 frames are most"
    task = task_of(config.model)
    wanted = task.fit_temperature(logits, labels)
    assert found.temperature == pytest.approx(wanted, rel=1e-3)
    assert found.temperature != pytest.approx(1, abs=0.01)
    least = task.score(logits).min()
    assert found.logit_threshold == pytest.approx(least), "0.95 of 16 is all of them, rounded up"

    def threshold(**settings):
        values = {f"evaluate.{name}": value for name, value in settings.items()}
        return fitted(Calibration(), videos, changed(config, values)).logit_threshold

    assert threshold(unknown="off") is None
    assert threshold(unknown_target=1.0) == pytest.approx(least)
    assert threshold(unknown_target=0.5) > least
    assert threshold(unknown="precision", unknown_target=0.01) == pytest.approx(least)


def test_without_validation_nothing_is_fitted(hasty_run, store_without_validation, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run", data=str(store_without_validation.path))
    with pytest.raises(DataError, match="may have been in training. Train again"):
        evaluate(run, "test")
    environment = run.environment() | {"data_fingerprint": store_without_validation.fingerprint}
    run.environment_file.write_text(json.dumps(environment))
    write_calibration(run, Calibration(logit_threshold=1.0, num_videos=9))
    assert calibrate(open_run(run)) == Calibration(clip_seconds=1.2) == read_calibration(run)
    with pytest.raises(DataError, match="has no val videos. Prepare it with --val-fraction"):
        evaluate(run, "val")


def test_what_cannot_be_evaluated(hasty_run, tmp_path):
    other_frames = {"frames": FramesConfig(fps=10, size=48, jpeg_quality=95)}
    pairs = {"evaluate": EvaluateConfig(order_pairs=(("left", "rihgt"),))}
    for number, (changes, error, message) in enumerate(
        (
            ({"data": "gone"}, DataError, "gone: the data set .* Say where it is now: --data"),
            (other_frames, DataError, r"other frames .* 32 pixels.* instead of .* 48 pixels"),
            (pairs, ConfigError, r"name classes \(left, right\), or none: .* Received: 'rihgt'"),
        )
    ):
        run = copy_of(hasty_run, tmp_path / f"{number}", **changes)
        with pytest.raises(error, match=message):
            evaluate(run)
        assert not run.metrics_file.exists()
    with pytest.raises(DataError, match="none: no trained model here"):
        evaluate(Run(tmp_path / "none"))
    with pytest.raises(ConfigError, match="clip.views must be from 1 to 100"):
        evaluate(hasty_run, views=0)


def test_damaged_files_of_a_run_and_those_of_another(hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    environment = run.environment_file.read_text()
    for content in ('{"test"', "[]"):
        run.environment_file.write_text(environment)
        run.metrics_file.write_text(content)
        with pytest.raises(DataError, match="metrics.json: damaged. Delete it and evaluate again"):
            evaluate(run)
        assert run.metrics_file.read_text() == content
        run.environment_file.write_text(content)
        with pytest.raises(DataError, match="environment.json: damaged. Train again"):
            evaluate(run)
    run.environment_file.unlink()
    with pytest.raises(DataError, match="environment.json is missing"):
        evaluate(run)
    run.environment_file.write_text(environment)
    run.metrics_file.unlink()
    build_recognizer(run.config(), 5).save(run.model_file)
    with pytest.raises(DataError, match="model.keras: does not fit the config.toml beside it"):
        evaluate(run)
    run.class_names_file.write_text('["left", "up"]')
    with pytest.raises(DataError, match="has other classes than the run was trained on"):
        evaluate(run)


def test_as_many_views_as_asked_for_of_a_data_set_that_was_moved_unless_a_file_changed(
    hasty_run, blob_store, tmp_path
):
    run = copy_of(hasty_run, tmp_path / "run", data="gone")
    moved = shutil.copytree(blob_store.path, tmp_path / "moved")
    result = evaluate(run, data=moved, views=1)
    assert (result.num_views, result.num_videos) == (1, 16)
    clip = blob_store.of_split("test")[0]
    shard = segment_file(moved / "frames", clip.frames, 0)
    start, *_ = read_index(moved / "frames", clip.frames).entries[6, 0].tolist()
    content = bytearray(shard.read_bytes())
    content[start] ^= 1
    shard.write_bytes(content)
    told = f"^{re.escape(str(shard))}: damaged. Delete this, and run the same"
    for _ in range(2):
        with pytest.raises(DataError, match=told):
            evaluate(run, data=moved)


# Videos of classes that a run does not know.


def test_other_classes_count_unless_their_group_was_in_training(
    evaluated_right, blob_store, strangers
):
    found = evaluated_right.metrics()["test"]["unknown"]
    assert found["classes"] == ["noise"]
    assert found["num_videos"] == 3, "all but that of the group g05, which was trained on"
    assert found["rejected"] == 1
    config, model = evaluated_right.config(), load_recognizer(evaluated_right.model_file)
    known = predict(model, blob_store, config, "test").by_video().logits.max(axis=1)
    others, store = [], open_data(strangers / "store", config.frames)
    for split in store.num_videos:
        each = predict(model, store, config, split).by_video()
        logits = zip(each.logits, each.names, each.groups, strict=True)
        others += [row.max() for row, name, group in logits if "noise" in name and group != "g05"]
    higher = [float(a > b) for a in known for b in others]
    assert found["auroc"] == pytest.approx(np.mean(higher), abs=1e-6)
    assert 0 < found["auroc"] < 1, "else it says little"


def test_there_must_be_such_videos_in_a_table_or_a_store(
    hasty_run, blob_store, strangers, tmp_path, monkeypatch
):
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
    assert found.classes == ["a", "b"]
    assert found.num_videos == 3
    assert found.auroc == pytest.approx((3 + 2 + 1) / 9), "of each known one, those below it"
    assert found.rejected == pytest.approx(1 / 3)
    assert unknown_test(known, scores, Calibration()).rejected == 0
