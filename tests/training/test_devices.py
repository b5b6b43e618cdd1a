"""Training on several devices at once: two halves of the CPU, in a process of its own."""

import dataclasses
import subprocess
import sys

import numpy as np

from pipeline.config import BackboneConfig, TrainConfig
from pipeline.config.augment import NO_AUGMENT
from pipeline.config.file import save_config
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.training.fit import train

ON_TWO_DEVICES = """
import sys
from pathlib import Path
import tensorflow as tf
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
from pipeline.config.file import load_config
from pipeline.errors import ConfigError
from pipeline.training.cluster import Cluster
from pipeline.training.fit import train
cluster = Cluster(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
try:
    train(load_config(sys.argv[1]), Path(sys.argv[2]), cluster=cluster)
except ConfigError as error:
    sys.exit(str(error))
"""


def train_on_two_devices(config, folder):
    table = folder.parent / "config.toml"
    save_config(config, table)
    command = [sys.executable, "-c", ON_TWO_DEVICES, table, folder]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True)


def losses_and_metrics(run):
    return np.loadtxt(run.history_file, delimiter=",", skiprows=1)[:, 3:]


def test_two_devices_train_as_one(blob_config, blob_store, tmp_path):
    """Without batch normalisation, whose statistics are those of what one device sees."""
    config = dataclasses.replace(
        blob_config,
        augment=NO_AUGMENT,
        backbone=BackboneConfig(filters=(8, 16), normalisation="off", normalise_features=False),
        train=TrainConfig(
            epochs=2,
            batch_size=6,
            accumulate=2,
            averaging=0.5,
            class_weights=True,
            precision="float32",
        ),
    )
    one = train(config, tmp_path / "one")
    two = Run(tmp_path / "two")
    ended = train_on_two_devices(config, two.folder)
    assert ended.returncode == 0, ended.stderr

    np.testing.assert_allclose(losses_and_metrics(two), losses_and_metrics(one), rtol=1e-3)
    expected = load_recognizer(one.model_file).get_weights()
    for wanted, got in zip(expected, load_recognizer(two.model_file).get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(blob_config, blob_store, tmp_path):
    config = dataclasses.replace(blob_config, train=TrainConfig(batch_size=7))
    ended = train_on_two_devices(config, tmp_path / "run")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "train.batch_size must be a multiple of the 2 devices that share a batch. Received: 7; "
        "try 8"
    )
    assert not (tmp_path / "run").exists()
