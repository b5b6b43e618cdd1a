"""A training step against that of Keras' own TimeDistributed, and of PyTorch."""

import dataclasses
import functools
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.cli.benchmarks.measuring import in_turn
from pipeline.cli.script import Parser, positive
from pipeline.config import BackboneConfig, ClipConfig, FramesConfig, RunConfig, expect
from pipeline.models.layers import BatchNormalization, InputStage
from pipeline.models.recognizer import build_recognizer
from pipeline.training.guards import faster_precision
from pipeline.training.optimizer import compile_model

NUM_CLASSES = 10
WARM_UP = 3
CLIPLINE, KERAS = "clipline float32", "keras float32"

Step = Callable[[dict[str, np.ndarray], np.ndarray], object]
"""Trains on a batch and its one-hot targets."""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and compares."""
    parser = Parser(
        "A training step against Keras' TimeDistributed and PyTorch.",
        "benchmark step",
        "--repeats 10",
    )
    parser.add_argument("--batch-size", type=positive, default=8, help="Clips in a step.")
    parser.add_argument("--frames", type=positive, default=16, help="Of a clip, at least 4.")
    parser.add_argument("--size", type=positive, default=64, help="Height and width, pixels.")
    parser.add_argument("--repeats", type=positive, default=10, help="Steps; the median counts.")
    options = parser.parse(arguments)
    expect(options.frames >= 4, "--frames must be at least 4, half of them padding", options.frames)
    compare_steps(options.batch_size, options.frames, options.size, options.repeats)


def compare_steps(batch_size: int, num_frames: int, size: int, repeats: int) -> None:
    """Prints times of all networks side by side, and how far their outputs agree."""
    config = RunConfig(frames=FramesConfig(size=size), clip=ClipConfig(num_frames=num_frames))
    filters = ", ".join(map(str, config.backbone.filters))
    print(
        f"A training step on {batch_size} clips of {num_frames} frames of {size} x {size}.\n"
        f"Conv2D blocks of {filters} filters, LSTM of {config.temporal.units} units; "
        f"{_software()}.\n"
        "\n"
        "  clipline  the network of train.py, in float32 and by train.precision auto\n"
        "  keras     keras.layers.TimeDistributed around each layer of it, as in tutorials\n"
        "  pytorch   the same network, channels last, where torch is installed; autocast\n"
    )
    keras.utils.set_random_seed(0)
    models = _models(config)
    steps = {name: model.train_on_batch for name, model in models.items()} | _pytorch(config)
    full = clips(batch_size, num_frames, size)
    half = {**full, "mask": np.tile(np.arange(num_frames) < num_frames / 2, (batch_size, 1))}

    print(f"{'milliseconds':<28} {'first step':>10} {'median':>8} {'half padding':>12}")
    runs = milliseconds(steps, full, 1 + WARM_UP + repeats)
    padded = milliseconds({name: steps[name] for name in models}, half, WARM_UP + repeats)
    for name in steps:
        median = statistics.median(runs[name][1 + WARM_UP :])
        half_padding = "-"
        if name in padded:
            half_padding = f"{statistics.median(padded[name][WARM_UP:]):,.1f}"
        print(f"{name:<28} {runs[name][0]:>10,.0f} {median:>8,.1f} {half_padding:>12}")

    ours, theirs = models[CLIPLINE], models[KERAS]
    copy_weights(ours, theirs)
    logits = [model.predict_on_batch(full) for model in (ours, theirs)]
    difference = np.abs(logits[0] - logits[1]).max()
    print(f"\nlargest difference of logits at inference, with the same weights: {difference:.1e}")


def _models(config: RunConfig) -> dict[str, keras.Model]:
    """The networks in Keras by name, compiled."""
    models = {CLIPLINE: build_recognizer(config, NUM_CLASSES)}
    faster, _ = faster_precision()
    if faster != "float32":
        train = dataclasses.replace(config.train, precision=faster)
        faster_config = dataclasses.replace(config, train=train)
        models[f"clipline {faster}"] = build_recognizer(faster_config, NUM_CLASSES)
    models[KERAS] = build_as_in_tutorials(config)
    for model in models.values():
        compile_model(model, config, steps=100)
    return models


def _pytorch(config: RunConfig) -> dict[str, Step]:
    try:
        from pipeline.cli.benchmarks.pytorch import training_step
    except ModuleNotFoundError:
        return {}
    return {
        "pytorch float32": training_step(config, NUM_CLASSES, bfloat16=False),
        "pytorch bfloat16": training_step(config, NUM_CLASSES, bfloat16=True),
    }


def _software() -> str:
    devices = [
        tf.config.experimental.get_device_details(device)["device_name"]
        for device in tf.config.list_physical_devices("GPU")
    ]
    hardware = ", ".join(devices) or f"{os.cpu_count()} CPU cores"
    return f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {hardware}"


def build_as_in_tutorials(config: RunConfig) -> keras.Model:
    """The network of `build_recognizer` for the default blocks, each layer wrapped by Keras."""
    size, length = config.frames.side, config.clip.num_frames
    frames = layers.Input((length, size, size, 3), dtype="uint8", name="frames")
    mask = layers.Input((length,), dtype="bool", name="mask")
    x = InputStage(config.model.streams[0], gain=config.model.difference_gain)(frames)
    for layer in _frame_layers(config.backbone):
        x = layers.TimeDistributed(layer)(x)
    x = layers.Dropout(config.temporal.dropout)(x)
    x = layers.LSTM(config.temporal.units, return_sequences=True)(x, mask=mask)
    x = layers.GlobalAveragePooling1D()(x, mask=mask)
    x = layers.Dropout(config.model.dropout)(x)
    return keras.Model({"frames": frames, "mask": mask}, layers.Dense(NUM_CLASSES)(x))


def _frame_layers(config: BackboneConfig) -> Iterator[layers.Layer]:
    for filters in config.filters:
        yield layers.Conv2D(filters, 3, padding="same", use_bias=False)
        yield layers.BatchNormalization(momentum=config.momentum)
        yield layers.ReLU()
        yield layers.MaxPooling2D(2, padding="same")
    yield layers.Flatten()
    yield layers.BatchNormalization(momentum=config.momentum)


def copy_weights(ours: keras.Model, theirs: keras.Model) -> None:
    """Gives their layers the weights of ours, the moving statistics as ours come into use."""
    for source, target in zip(_leaves(ours), _leaves(theirs), strict=True):
        weights = source.get_weights()
        if isinstance(source, BatchNormalization):
            gamma, beta, mean, variance, steps = weights
            share = 1 - source.momentum**steps
            weights = [gamma, beta, mean / share, variance / share]
        target.set_weights(weights)


def _leaves(layer: layers.Layer) -> Iterator[layers.Layer]:
    """The layers that have weights of their own, in order."""
    if isinstance(layer, layers.TimeDistributed):
        yield from _leaves(layer.layer)
    elif isinstance(layer, keras.Model):
        for part in layer.layers:
            yield from _leaves(part)
    elif layer.weights:
        yield layer


def clips(batch_size: int, num_frames: int, size: int) -> dict[str, np.ndarray]:
    """Random clips without padding."""
    shape = (batch_size, num_frames, size, size, 3)
    frames = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    return {"frames": frames, "mask": np.ones((batch_size, num_frames), bool)}


def milliseconds(
    steps: Mapping[str, Step], batch: dict[str, np.ndarray], repeats: int
) -> dict[str, list[float]]:
    """Times of the steps of each, in milliseconds."""
    labels = np.arange(len(batch["mask"])) % NUM_CLASSES
    targets = np.eye(NUM_CLASSES, dtype=np.float32)[labels]
    runs = in_turn([functools.partial(step, batch, targets) for step in steps.values()], repeats)
    times = ([1000 * seconds for seconds, _ in each] for each in runs)
    return dict(zip(steps, times, strict=True))
