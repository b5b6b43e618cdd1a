"""The evaluation of a run, counted once more from what it leaves behind."""

import csv
import dataclasses
import json
import shutil

import matplotlib.image
import numpy as np
import pytest

from pipeline.config import EvaluateConfig, FramesConfig
from pipeline.config.file import save_config
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.evaluate import evaluate, summarise
from pipeline.evaluation.predictions import Predictions, predict
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, write_calibration
from pipeline.tasks.exclusive import Exclusive


def copy_of(run, folder, **changes):
    """A copy of a run, its configuration changed."""
    copy = Run(shutil.copytree(run.folder, folder))
    save_config(dataclasses.replace(run.config(), **changes), copy.config_file)
    return copy


def read(run, split):
    with (run.report / f"{split}_predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def evaluated(hasty_run, tmp_path_factory):
    """A run that makes mistakes, evaluated on two splits."""
    pairs = EvaluateConfig(order_pairs=(("left", "right"),))
    run = copy_of(hasty_run, tmp_path_factory.mktemp("evaluated") / "run", evaluate=pairs)
    return run, {split: evaluate(run, split) for split in ("test", "train")}


def test_metrics_of_every_split_are_kept(evaluated):
    run, results = evaluated
    assert json.loads(run.metrics_file.read_text()) == results
    for result in results.values():
        assert result.keys() == {
            "video",
            "clip",
            "per_class",
            "macro",
            "calibration",
            "lengths",
            "num_videos",
            "num_groups",
            "num_views",
            "chance",
            "order",
        }
        for level in ("video", "clip"):
            both = {"top1", "top5", "top1_interval95", "top5_interval95"}
            assert result[level].keys() == both
        assert result["order"].keys() == {"in_order", "shuffled", "reversed", "pairs"}


@pytest.mark.parametrize("split", ["test", "train"])
def test_every_video_is_predicted_once(evaluated, blob_store, split):
    stored = {
        (f"{row.label}/{row.path.rpartition('/')[2]}", row.group, row.label)
        for row in blob_store.manifest.rows
        if row.split == split
    }
    lines = read(evaluated[0], split)
    assert len(lines) == len(stored) == evaluated[1][split]["num_videos"]
    assert {(line["video"], line["group"], line["label"]) for line in lines} == stored


@pytest.mark.parametrize("split", ["test", "train"])
def test_metrics_are_those_of_the_predictions(evaluated, split):
    result, lines = evaluated[1][split], read(evaluated[0], split)
    right = [line["label"] == line["predicted"] for line in lines]
    assert split == "test" or not all(right), "mistakes are needed to tell the numbers apart"
    assert result["video"]["top1"] == pytest.approx(np.mean(right))
    assert result["order"]["in_order"] == result["video"]["top1"]
    low, high = result["video"]["top1_interval95"]
    assert low <= np.mean(right) <= high
    assert result["num_groups"] == len({line["group"] for line in lines})
    assert result["chance"] == 0.5
    for name, row in result["per_class"].items():
        both = sum(line["label"] == line["predicted"] == name for line in lines)
        assert row["num_videos"] == sum(line["label"] == name for line in lines)
        assert row["recall"] == pytest.approx(both / row["num_videos"])
        assert row["precision"] == pytest.approx(both / sum(x["predicted"] == name for x in lines))


def test_the_probability_is_that_of_the_answer(evaluated, hasty_run, blob_store):
    run, _ = evaluated
    model, config = load_recognizer(run.model_file), run.config()
    predictions = predict(model, blob_store, config, "test")
    logits = predictions.video_logits.astype(float)[np.argsort(predictions.videos)]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    lines = read(run, "test")
    assert [line["video"] for line in lines] == sorted(predictions.videos)
    answers = [run.class_names().index(line["predicted"]) for line in lines]
    assert answers == shares.argmax(axis=1).tolist()
    probabilities = [float(line["probability"]) for line in lines]
    np.testing.assert_allclose(probabilities, shares.max(axis=1), atol=1e-4)
    of_classes = [[float(line[name]) for name in run.class_names()] for line in lines]
    np.testing.assert_allclose(of_classes, shares, atol=1e-6)


def test_the_confusion_matrix_is_drawn_for_each_split(evaluated):
    test, train = (
        matplotlib.image.imread(evaluated[0].report / f"{split}_confusion.png")
        for split in ("test", "train")
    )
    assert test.shape == train.shape
    assert not np.array_equal(test, train)


def test_each_view_and_order_is_predicted_from_its_own_clips(hasty_run, blob_store):
    model, config = load_recognizer(hasty_run.model_file), hasty_run.config()
    seen = []
    for order in ("in_order", "reversed"):
        predictions = predict(model, blob_store, config, "test", order=order)
        assert predictions.logits.shape == (2, 16, 2)
        for view, logits in enumerate(predictions.logits):
            clips = evaluation_clips(blob_store, config, "test", view=view, order=order)
            expected = np.concatenate([model(inputs) for inputs, *_ in clips])
            np.testing.assert_allclose(logits, expected, atol=1e-5)
        labels = np.concatenate([label for _, label, _ in clips])
        np.testing.assert_array_equal(predictions.labels, labels)
        seen += list(predictions.logits)
    assert not np.allclose(seen[0], seen[1], atol=1e-3)
    assert not np.allclose(seen[0], seen[2], atol=1e-3)


def test_reversing_turns_a_direction_into_its_partner(blob_run, blob_store, tmp_path):
    pairs = EvaluateConfig(order_pairs=(("left", "right"),))
    order = evaluate(copy_of(blob_run, tmp_path / "run", evaluate=pairs))["order"]
    assert order["in_order"] >= 0.9
    assert order["reversed"] <= 0.1
    assert order["pairs"]["num_videos"] == 16
    assert order["pairs"]["reversed_to_partner"] >= 0.9


def test_views_are_averaged_over_logits():
    """One sure view outweighs two unsure ones: no vote, and no mean of probabilities."""
    logits = np.array([[[0.0, 3.0]], [[8.0, 0.0]], [[0.0, 3.0]]], np.float32)
    labels = np.array([0])
    result = summarise(
        Predictions(logits, labels, ["v"], ["g"]), ["a", "b"], Calibration(), Exclusive()
    )
    assert result["video"]["top1"] == 1
    assert result["clip"]["top1"] == pytest.approx(1 / 3)
    assert (result["num_videos"], result["num_views"]) == (1, 3)


def test_top_5_at_video_and_at_clip_level():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 40, 8)).astype(np.float32)
    labels = np.arange(40) % 8
    predictions = Predictions(logits, labels, [str(i) for i in range(40)], ["g"] * 40)

    result = summarise(predictions, list("abcdefgh"), Calibration(), Exclusive())

    def share(rows, truth, k):
        ranked = [sorted(range(8), key=lambda c: -row[c])[:k] for row in rows]
        return np.mean([label in best for best, label in zip(ranked, truth, strict=True)])

    videos, clips = logits.mean(axis=0), [row for view in logits for row in view]
    for k in (1, 5):
        assert result["video"][f"top{k}"] == pytest.approx(share(videos, labels, k))
        assert result["clip"][f"top{k}"] == pytest.approx(share(clips, [*labels] * 3, k))
    assert result["video"]["top1_interval95"] is None, "one group has no interval"


def test_as_many_views_as_asked_for(hasty_run, tmp_path):
    result = evaluate(copy_of(hasty_run, tmp_path / "run"), views=5)
    assert result["num_views"] == 5
    with pytest.raises(ConfigError, match="clip.views must be from 1 to 100"):
        evaluate(hasty_run, views=0)


def test_accuracy_by_length_is_that_of_shorter_clips(blob_run, blob_store, tmp_path):
    """One frame does not say where a blob moves to, nor do its neighbours; all frames do."""
    result = evaluate(copy_of(blob_run, tmp_path / "run"))
    by_length = {each["num_frames"]: each["top1"] for each in result["lengths"]}
    assert list(by_length) == [1, 2, 4, 8]
    assert by_length[1] == 0.5
    assert by_length[8] >= 0.9
    masks = [
        inputs["mask"].numpy()
        for inputs, *_ in evaluation_clips(blob_store, blob_run.config(), "test", most=4)
    ]
    assert np.concatenate(masks).sum(axis=1).tolist() == [4] * 16


def test_probabilities_and_answers_are_those_of_the_calibration(evaluated, hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    before, lines_before = evaluated[1]["test"], read(evaluated[0], "test")
    highest = sorted(float(line["probability"]) for line in lines_before)
    least = sorted(float(line["max_logit"]) for line in lines_before)[6]
    write_calibration(run, Calibration(temperature=1.0, logit_threshold=least, num_videos=9))
    found = evaluate(run)["calibration"]
    assert found["error_after"] == found["error_before"] == before["calibration"]["error_after"]
    answered = [line for line in lines_before if float(line["max_logit"]) >= least]
    assert found["answered"] == pytest.approx(len(answered) / 16, abs=1 / 16 + 1e-9)
    write_calibration(run, Calibration(temperature=4.0, num_videos=9))
    result = evaluate(run)
    assert result["video"] == before["video"]
    assert result["calibration"]["answered"] == 1
    assert result["calibration"]["error_after"] != before["calibration"]["error_after"]
    lower = [float(line["probability"]) for line in read(run, "test")]
    assert max(lower) < max(highest)


# Mistakes.


def test_a_run_and_its_data_must_be_there(hasty_run, tmp_path):
    with pytest.raises(DataError, match="none: no trained model here"):
        evaluate(Run(tmp_path / "none"))
    run = copy_of(hasty_run, tmp_path / "run", data=str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone: the data set .* Say where it is now: --data"):
        evaluate(run)


def test_a_data_set_that_was_moved(evaluated, hasty_run, blob_store, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run", data="gone")
    moved = shutil.copytree(blob_store.path, tmp_path / "moved")
    assert evaluate(run, data=moved)["video"] == evaluated[1]["test"]["video"]


@pytest.mark.parametrize("content", ["", '{"test"', "[]", "no JSON"])
def test_damaged_files_of_a_run(hasty_run, tmp_path, content):
    run = copy_of(hasty_run, tmp_path / "run")
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


def test_the_model_of_another_run(hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    config = run.config()
    build_recognizer(config, 5).save(run.model_file)
    with pytest.raises(DataError, match="model.keras: does not fit the config.toml beside it"):
        evaluate(run)


def test_a_shard_whose_bytes_changed_is_named(hasty_run, blob_store, tmp_path):
    moved = shutil.copytree(blob_store.path, tmp_path / "moved")
    (shard,) = moved.glob("clipline-test*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    run = copy_of(hasty_run, tmp_path / "run")
    with pytest.raises(DataError, match=rf"^{shard}: damaged. Delete this, and run the same"):
        evaluate(run, data=moved)
    with pytest.raises(DataError, match=rf"^{shard}: damaged"):
        evaluate(run, data=moved)


def test_a_data_set_prepared_with_other_frames(hasty_run, tmp_path):
    frames = FramesConfig(fps=10, size=48, jpeg_quality=95)
    run = copy_of(hasty_run, tmp_path / "run", frames=frames)
    with pytest.raises(DataError, match=r"other frames .* 32 pixels.* instead of .* 48 pixels"):
        evaluate(run)


def test_a_data_set_prepared_with_other_classes(hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    run.class_names_file.write_text('["left", "up"]')
    with pytest.raises(DataError, match="has other classes than the run was trained on"):
        evaluate(run)


def test_a_data_set_prepared_with_other_videos(hasty_run, store_without_validation, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run", data=str(store_without_validation.path))
    with pytest.raises(DataError, match="may have been in training. Train again"):
        evaluate(run, "test")


def test_a_split_without_videos(hasty_run, store_without_validation, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run", data=str(store_without_validation.path))
    run.environment_file.write_text(
        json.dumps({"data_fingerprint": store_without_validation.fingerprint})
    )
    with pytest.raises(DataError, match="has no val videos. Prepare it with --val-fraction"):
        evaluate(run, "val")


def test_an_order_pair_of_a_class_that_there_is_not(hasty_run, tmp_path):
    pairs = EvaluateConfig(order_pairs=(("left", "rihgt"),))
    run = copy_of(hasty_run, tmp_path / "run", evaluate=pairs)
    message = r"must name classes \(left, right\), or none: .* Received: 'rihgt'"
    with pytest.raises(ConfigError, match=message):
        evaluate(run)
    assert not run.metrics_file.exists()
