"""Training on several devices at once: two halves of the CPU, in a process of its own."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

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


def test_two_devices_take_the_steps_of_one_that_adds_up_the_same_halves(
    blob_config, blob_store, tmp_path
):
    """Only the order of a sum would differ, and two numbers have one sum."""
    config = dataclasses.replace(
        blob_config,
        augment=NO_AUGMENT,
        backbone=BackboneConfig(filters=(8, 16), normalisation="off", normalise_features=False),
        train=TrainConfig(epochs=2, batch_size=6, precision="float32", keep="last"),
    )
    two = Run(tmp_path / "two")
    ended = train_on_two_devices(config, two.folder)
    assert ended.returncode == 0, ended.stderr
    halves = dataclasses.replace(config.train, batch_size=3, accumulate=2)
    one = train(dataclasses.replace(config, train=halves), tmp_path / "one")
    expected = load_recognizer(one.model_file).get_weights()
    for wanted, got in zip(expected, load_recognizer(two.model_file).get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(blob_config, blob_store, tmp_path):
    config = dataclasses.replace(blob_config, train=TrainConfig(batch_size=7))
    ended = train_on_two_devices(config, tmp_path / "run")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "train.batch_size must be a multiple of the 2 devices that share a batch. Received: 7; "
        "try 8"
    )
    assert not (tmp_path / "run").exists()


AVERAGES = """
import tensorflow as tf
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
import keras
import numpy as np
from pipeline.config import RunConfig
from pipeline.models.layers import BatchNormalization
from pipeline.training.cluster import Cluster
from pipeline.training.ctrl_c import CtrlC
from pipeline.training.optimizer import compile_model
from pipeline.training.trainer import Trainer
cluster = Cluster(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
with cluster.strategy.scope():
    inputs = keras.Input((3,))
    dropped = keras.layers.Dropout(0.5)(BatchNormalization(momentum=0.5)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(dropped))
    metrics = compile_model(model, RunConfig(), 4)
rng = np.random.default_rng(0)
targets = np.eye(2, dtype="float32")[rng.integers(2, size=32)]
clips = rng.normal(size=(32, 3)).astype("float32"), targets
batches = tf.data.Dataset.from_tensor_slices(clips).repeat().batch(4)
Trainer(model, metrics, cluster).fit(
    lambda **_: batches, None, epochs=range(1), steps=4, callbacks=[], ctrl_c=CtrlC()
)
for variable in model.variables:
    copies = cluster.strategy.experimental_local_results(variable.value)
    one, other = (copy.numpy() for copy in copies)
    print(variable.name, int(np.array_equal(one, other)), float(np.abs(one).sum()))
means = clips[0][:32].reshape(4, 8, 3)
moving = sum(0.5 ** (4 - step) * means[step].mean(axis=0) for step in range(4))
print("expected", float(np.abs(moving).sum()))
"""


def test_averages_are_the_same_on_all_devices_and_dropout_is_not():
    done = subprocess.run([sys.executable, "-c", AVERAGES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    same = {name: bool(int(is_same)) for name, is_same, _ in lines[:-1]}
    assert not same.pop("seed_generator_state")
    assert same.keys() > {"kernel", "moving_mean", "moving_variance", "steps"}
    assert all(same.values())
    (moving,) = (float(total) for name, _, total in lines[:-1] if name == "moving_mean")
    assert moving == pytest.approx(float(lines[-1][1]), rel=1e-4)
