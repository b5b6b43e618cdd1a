"""A training step with `pipeline.models.layers.TimeDistributed` against Keras' own layer."""

import dataclasses
import os
import statistics
import time
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from jsonargparse.typing import PositiveInt
from keras import layers

from pipeline.config import BackboneConfig, ClipConfig, FramesConfig, RunConfig, expect
from pipeline.config.parser import ConfigParser
from pipeline.models.layers import BatchNormalization, InputStage
from pipeline.models.recognizer import build_recognizer
from pipeline.training.optimizer import compile_model

NUM_CLASSES = 10
WARM_UP = 3


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and compares."""
    parser = ConfigParser(
        "A training step against Keras' TimeDistributed.", prog="benchmark.py step"
    )
    parser.add_argument("--batch-size", type=PositiveInt, default=8, help="Clips in a step.")
    parser.add_argument("--frames", type=PositiveInt, default=16, help="Of a clip, at least 4.")
    parser.add_argument("--size", type=PositiveInt, default=64, help="Height and width, pixels.")
    parser.add_argument("--repeats", type=PositiveInt, default=10, help="Steps; the median counts.")
    options = parser.parse(arguments)
    expect(options.frames >= 4, "--frames must be at least 4, half of them padding", options.frames)
    compare_steps(
        batch_size=options.batch_size,
        num_frames=options.frames,
        size=options.size,
        repeats=options.repeats,
    )


def compare_steps(*, batch_size: int, num_frames: int, size: int, repeats: int) -> None:
    """Prints times and outputs of both networks side by side."""
    config = RunConfig(frames=FramesConfig(size=size), clip=ClipConfig(num_frames=num_frames))
    filters = ", ".join(map(str, config.backbone.filters))
    print(
        f"A training step on {batch_size} clips of {num_frames} frames of {size} x {size}.\n"
        f"Conv2D blocks of {filters} filters, LSTM of {config.temporal.units} units; "
        f"{_software()}.\n"
        "\n"
        "  clipline  pipeline.models.layers.TimeDistributed around the whole CNN\n"
        "  keras     keras.layers.TimeDistributed around each layer of it, as in tutorials\n"
        "  ratio     keras / clipline\n"
    )
    keras.utils.set_random_seed(0)
    models = build_recognizer(config, NUM_CLASSES), build_as_in_tutorials(config)
    for model in models:
        compile_model(model, config, steps=100)
    full = clips(batch_size, num_frames, size)
    half = {**full, "mask": np.tile(np.arange(num_frames) < num_frames / 2, (batch_size, 1))}

    print(f"{'milliseconds':<44} {'clipline':>10} {'keras':>10} {'ratio':>8}")
    _print_row("first step, with tracing", [milliseconds(model, full) for model in models])
    times = median_times(models, full, repeats)
    _print_row(f"step, median of {repeats}", times)
    times = median_times(models, half, repeats)
    _print_row("step, half of the frames being padding", times)

    copy_weights(*models)
    ours, theirs = (model.predict_on_batch(full) for model in models)
    padded = models[0].predict_on_batch(half)
    print("\nlargest difference of logits at inference")
    print(f"{'clipline and keras, with the same weights':<44} {np.abs(ours - theirs).max():>10.1e}")
    difference = np.abs(padded - unpadded_logits(models[0], config, half)).max()
    print(f"{'clipline, padded and unpadded clips':<44} {difference:>10.1e}")


def _software() -> str:
    devices = [
        tf.config.experimental.get_device_details(device)["device_name"]
        for device in tf.config.list_physical_devices("GPU")
    ]
    hardware = ", ".join(devices) or f"{os.cpu_count()} CPU cores"
    return f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {hardware}"


def _print_row(name: str, times: Sequence[float]) -> None:
    ours, theirs = times
    print(f"{name:<44} {ours:>10,.1f} {theirs:>10,.1f} {theirs / ours:>8.1f}", flush=True)


def build_as_in_tutorials(config: RunConfig) -> keras.Model:
    """The network of `build_recognizer` for the default blocks, each layer wrapped by Keras."""
    size, length = config.frames.size, config.clip.num_frames
    frames = layers.Input((length, size, size, 3), dtype="uint8", name="frames")
    mask = layers.Input((length,), dtype="bool", name="mask")
    x = InputStage(config.model.input, gain=config.model.difference_gain)(frames)
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
    shape = (batch_size, num_frames, size, size, 3)
    frames = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    return {"frames": frames, "mask": np.ones((batch_size, num_frames), bool)}


def median_times(
    models: Sequence[keras.Model], batch: dict[str, np.ndarray], repeats: int
) -> list[float]:
    """Milliseconds of a step of each; they take turns, so that all meet the same conditions."""
    turns = [[milliseconds(model, batch) for model in models] for _ in range(WARM_UP + repeats)]
    return [statistics.median(times) for times in zip(*turns[WARM_UP:], strict=True)]


def milliseconds(model: keras.Model, batch: dict[str, np.ndarray]) -> float:
    labels = np.eye(NUM_CLASSES)[np.arange(len(batch["mask"])) % NUM_CLASSES]
    start = time.perf_counter()
    model.train_on_batch(batch, labels)
    return (time.perf_counter() - start) * 1000


def unpadded_logits(
    model: keras.Model, config: RunConfig, batch: dict[str, np.ndarray]
) -> np.ndarray:
    """Logits of the real frames alone, of which every clip has as many."""
    length = int(batch["mask"][0].sum())
    config = dataclasses.replace(config, clip=ClipConfig(num_frames=length))
    short = build_recognizer(config, NUM_CLASSES)
    short.set_weights(model.get_weights())
    return short.predict_on_batch({name: value[:, :length] for name, value in batch.items()})
