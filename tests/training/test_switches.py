"""Switches of a training: precision, class weights, TensorBoard."""

import dataclasses
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import SplitConfig
from pipeline.dataset.clip_batches import batches_for_training, steps_per_epoch
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError
from pipeline.inference.export import export
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.training.fit import train


def configured(config, **changes):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **changes))


def compute_dtype(model):
    return model.get_layer("difference_features").compute_dtype


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_for_training_alone(precision, blob_config, blob_store, tmp_path):
    config = configured(blob_config, epochs=1, precision=precision)
    model = build_recognizer(dataclasses.replace(config, frames=blob_store.frames), 2)
    assert compute_dtype(model) == precision.removeprefix("mixed_")
    assert model.get_layer("difference_temporal").compute_dtype == "float32"
    assert {weight.dtype for weight in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"

    run = train(config, tmp_path / "run")
    assert compute_dtype(load_recognizer(run.model_file)) == "float32"
    assert export(run).difference < 1e-4


def test_class_weights_make_each_class_count_the_same(blob_config, blob_store, tmp_path):
    table = tmp_path / "videos.csv"
    rows = [row for row in blob_store.manifest.rows if row.split == "train"]
    few = sorted({row.group for row in rows})[:4]
    lines = [
        f"{row.path},{row.label},{row.group},train"
        for row in rows
        if row.label == "right" or row.group in few
    ]
    table.write_text("\n".join(("path,label,group,split", *lines)))
    uneven = open_data(table, blob_store.frames, SplitConfig())
    assert uneven.num_videos["train"] == 32  # 8 and 24
    config = configured(blob_config, class_weights=True, batch_size=8)

    epoch = batches_for_training(uneven, config).take(steps_per_epoch(config, uneven))
    total = sum(weights.numpy() @ targets.numpy() for _, targets, weights in epoch)
    np.testing.assert_allclose(total, [16, 16], rtol=1e-5)


def test_tensorboard_gets_the_losses_of_each_epoch(blob_config, blob_store, tmp_path):
    run = train(configured(blob_config, epochs=2, tensorboard=True), tmp_path / "run")
    tags = {"train": set(), "validation": set()}
    for split in tags:
        (file,) = (run.folder / "tensorboard" / split).glob("events.*")
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            tags[split] |= {(value.tag, event.step) for value in event.summary.value}
    for split, found in tags.items():
        assert {("epoch_loss", 0), ("epoch_loss", 1), ("epoch_accuracy", 1)} <= found, split


def test_tensorboard_that_is_not_installed_is_asked_for(blob_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        ConfigError, match=r"needs TensorBoard: .*pip install -e '\.\[tensorboard\]'"
    ):
        train(configured(blob_config, tensorboard=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()
