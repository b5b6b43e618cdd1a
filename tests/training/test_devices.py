"""Training on several devices at once: two halves of the CPU, in a process of its own."""

import dataclasses
import subprocess
import sys

import pytest

from pipeline.config.augment import NO_AUGMENT
from pipeline.config.file import save_config
from pipeline.run import Run
from pipeline.training.fit import train
from tests.runs import changed, expect_same

ON_TWO_DEVICES = """
import sys
from pathlib import Path
import tensorflow as tf
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
import keras
import numpy as np
from pipeline.config import RunConfig
from pipeline.config.file import load_config
from pipeline.errors import ConfigError
from pipeline.models.layers import BatchNormalization
from pipeline.training.cluster import Cluster
from pipeline.training.ctrl_c import CtrlC
from pipeline.training.fit import train
from pipeline.training.optimizer import compile_model
from pipeline.training.trainer import Trainer
cluster = Cluster(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
for name in ("uneven", "whole"):
    folder = Path(sys.argv[1]) / name
    try:
        train(load_config(f"{folder}.toml"), folder, cluster=cluster)
    except ConfigError as error:
        print("refused", name, error)
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
    print("variable", variable.name, int(np.array_equal(one, other)), float(np.abs(one).sum()))
means = clips[0][:32].reshape(4, 8, 3)
moving = sum(0.5 ** (4 - step) * means[step].mean(axis=0) for step in range(4))
print("expected", float(np.abs(moving).sum()))
"""


@pytest.fixture
def two(tiny_config, tmp_path):
    """A configuration by the name of its run on two devices.

    Without batch normalisation, whose statistics are those of what one device sees.
    """
    plain = {"backbone.normalisation": "off", "backbone.normalise_features": False}
    config = dataclasses.replace(changed(tiny_config, plain), augment=NO_AUGMENT)
    values = {"train.accumulate": 2, "train.averaging": 0.5, "train.class_weights": True}
    found = {
        "whole": changed(config, values),
        "uneven": changed(config, {"train.batch_size": 7}),
    }
    for name, each in found.items():
        save_config(each, tmp_path / f"{name}.toml")
    return found


def test_two_devices_train_as_one(two, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    (refused,) = (line for line in said if line.startswith("refused"))
    assert refused == (
        "refused uneven train.batch_size must be a multiple of the 2 devices that share a batch. "
        "Received: 7; try 8"
    )
    assert not (tmp_path / "uneven").exists()

    one = train(two["whole"], tmp_path / "one")
    expect_same(Run(tmp_path / "whole"), one, rtol=1e-3, atol=1e-4)

    # Averages are the same on all devices, and dropout is not.
    variables = [line.split()[1:] for line in said if line.startswith("variable")]
    same = {name: bool(int(is_same)) for name, is_same, _ in variables}
    assert not same.pop("seed_generator_state")
    assert same.keys() > {"kernel", "moving_mean", "moving_variance", "steps"}
    assert all(same.values())
    (moving,) = (float(total) for name, _, total in variables if name == "moving_mean")
    assert moving == pytest.approx(float(said[-1].split()[1]), rel=1e-4)
