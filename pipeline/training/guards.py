"""Guards against trainings that fail or mislead: before one begins, and while it goes on.

The precision, the memory, what is installed, a batch learned by heart; and honest alarms.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import keras
import tensorflow as tf

from pipeline.config import NO_AUGMENT, RunConfig, TrainConfig
from pipeline.config.file import load_config
from pipeline.dataset.clip_batches import size_of_batch, steps_per_epoch, training_batches
from pipeline.errors import ConfigError, PipelineError
from pipeline.manifest.rows import Row
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.tasks.task import task_of
from pipeline.text import command, extra, listed, one_line
from pipeline.training.cluster import Cluster
from pipeline.training.features import fitted_part
from pipeline.training.optimizer import compile_model

Precision = Literal["float32", "mixed_bfloat16"]
_CPU_FLAGS = Path("/proc/cpuinfo")


def decide_precision(config: RunConfig, begun: Path | None = None) -> RunConfig:
    """A run whose precision is decided; what was decided is printed.

    Args:
        config: The run. Only a `train.precision` of `auto` is decided.
        begun: The configuration of a training that goes on, which keeps its precision on another
            machine; None: a new one, which takes the faster one of this machine.
    """
    if config.train.precision != "auto":
        return config
    if begun:
        precision, why = load_config(begun).train.precision, "as it was begun"
    elif config.train.cache_features:
        # Nothing is trained with fewer bits, and the model that is kept computes in float32, too.
        precision, why = "float32", "as the features are stored"
    else:
        precision, why = faster_precision()
    print(f"precision: {precision}, {why}", flush=True)
    return dataclasses.replace(config, train=dataclasses.replace(config.train, precision=precision))


def faster_precision() -> tuple[Precision, str]:
    """The precision in which this machine trains faster, and why.

    A CPU needs AMX for it: with AVX512-BF16 alone, a convolutional network takes 1.2 times the time
    of float32 (four blocks forward and backward, oneDNN held to that instruction set).
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        if all(each.get("compute_capability", (0, 0)) >= (8, 0) for each in details):
            return "mixed_bfloat16", "for which this GPU has tensor cores"
        return "float32", "as this GPU has no tensor cores for bfloat16"
    if _has_amx() and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0":
        return "mixed_bfloat16", "for which this processor has AMX"
    return "float32", "as this processor has no AMX"


def _has_amx() -> bool:
    try:
        return "amx_bf16" in _CPU_FLAGS.read_text().split()
    except OSError:  # not Linux, where TensorFlow makes no use of AMX
        return False


_OF_GROUP = Path("/sys/fs/cgroup/memory.max")
"""What a container may take, where it is limited."""


def check_memory(config: RunConfig, num_clips: int, *, on_gpu: bool, share: float = 1) -> None:
    """Refuses clips and batches that cannot fit, before hours go by or the system ends the process.

    Counted is what a step holds at the very least: the frames as bytes and as float32, and on a
    processor what the first convolution of `cnn` and its normalisation give.

    Args:
        config: The run, with the frames of its data set.
        num_clips: Of a batch, of which there are no more than videos.
        on_gpu: Whether the network computes in memory of its own.
        share: Of each batch, what lies on this machine: above 0 to 1.

    Raises:
        ConfigError: It takes more than the machine has.
    """
    if config.train.cache_features:
        return  # A step holds no frames.
    clip = _clip_bytes(config, on_gpu=on_gpu) * share
    needed, there = clip * num_clips, _memory()
    if needed > there:
        most = int(there / clip)
        lower = f"train.batch_size below {most}" if most > 1 else "clip.num_frames"
        part = "a step" if share == 1 else "the part that this machine has of a step"
        raise ConfigError(
            f"{part} of train.batch_size {num_clips} clips of clip.num_frames "
            f"{config.clip.num_frames} takes at least {needed / 1e9:.0f} GB of memory, this "
            f"machine has {there / 1e9:.0f} GB. Choose {lower}"
        )


def _clip_bytes(config: RunConfig, *, on_gpu: bool) -> int:
    a_pixel = 3 * (1 + 4) * len(config.model.images)
    number_bytes = 4 if config.train.precision == "float32" else 2
    for backbone in map(config.backbone_of, config.model.streams):
        if backbone.name == "cnn" and not on_gpu:
            a_pixel += 2 * number_bytes * backbone.filters[0]
    return a_pixel * config.frames.side**2 * config.clip.num_frames


def _memory() -> float:
    """Bytes that this process may have."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _OF_GROUP.read_text().strip() if _OF_GROUP.is_file() else "max"
    return min(machine, int(limit) if limit.isdecimal() else math.inf)


def check_run(data: PreparedDataset, config: RunConfig, cluster: Cluster) -> None:
    """Makes sure that a run can be trained with what is installed, and on these devices.

    Raises:
        ConfigError: It cannot.
    """
    if config.train.tensorboard:
        try:
            importlib.import_module("tensorboard")
        except ImportError:
            how = extra("tensorboard")
            raise ConfigError(f"train.tensorboard needs TensorBoard: {how}") from None
    devices, size = cluster.num_devices, size_of_batch(data, config)
    if size % devices:
        raise ConfigError(
            f"train.batch_size must be a multiple of the {devices} devices that share a batch. "
            f"Received: {size}; try {max(1, round(size / devices)) * devices}"
        )
    if cluster.num_workers > 1 and config.is_linear:
        raise ConfigError(
            "the heads of this run are fitted at once, on one machine: start one worker alone"
        )
    _check_steps(data, config)


def _check_steps(data: PreparedDataset, config: RunConfig) -> None:
    steps = config.train.epochs * steps_per_epoch(data, config)
    accumulated = config.train.gradient_accumulation_steps
    if accumulated > steps:
        raise ConfigError(
            f"train.gradient_accumulation_steps must be at most {steps}, which is how many steps "
            f"all epochs have together; else the weights never change. Received: {accumulated}"
        )


@contextmanager
def enough_memory(config: RunConfig) -> Iterator[None]:
    """Within it, memory that does not suffice is told in one line.

    Raises:
        PipelineError: It does not.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        batch_size, accumulate = config.train.batch_size, config.train.gradient_accumulation_steps
        smaller = (
            f"try --train.batch_size {batch_size // 2} "
            f"--train.gradient_accumulation_steps {accumulate * 2}"
            if batch_size > 1
            else "lower clip.num_frames, or the size of the frames or of the network"
        )
        raise PipelineError(
            f"out of memory with train.batch_size {batch_size}: {smaller}"
        ) from None


MOST_STEPS = 300
ENOUGH = 0.1  # loss


def overfit_one_batch(data: PreparedDataset, config: RunConfig) -> int:
    """Trains a network of its own on one batch of clips, without anything against overfitting.

    Returns:
        The steps that it took until each clip was right and the loss below 0.1.

    Raises:
        PipelineError: 300 steps were not enough.
    """
    keras.utils.set_random_seed(config.seed)
    num_classes, plain = len(data.class_names), _without_regularisation(config)
    # Where features are stored, then as the training will need them.
    model, data = fitted_part(build_recognizer(plain, num_classes), data, config)
    config = plain
    compile_model(model, config, steps=MOST_STEPS)
    inputs, labels = next(iter(training_batches(data, config)))
    targets = task_of(config.model).targets(labels, num_classes)
    for step in range(1, MOST_STEPS + 1):
        found = model.train_on_batch(inputs, targets, return_dict=True)
        if found["accuracy"] == 1 and found["loss"] < ENOUGH:
            return step
        model.reset_metrics()
    raise PipelineError(
        f"preflight: after {MOST_STEPS} steps on one batch of {len(labels)} clips the loss is "
        f"{found['loss']:.3g} and the accuracy {found['accuracy']:.2f}; a network that can learn "
        f"has them by heart by then. Look at the clips ({command('preview')}), the labels, "
        f"train.learning_rate ({config.train.learning_rate:g}) and the size of the network"
    )


def _without_regularisation(config: RunConfig) -> RunConfig:
    train = dataclasses.replace(
        config.train,
        epochs=1,
        warmup=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        transition_penalty=0.0,
        gradient_accumulation_steps=1,
    )
    return dataclasses.replace(
        config.with_backbones(spatial_dropout=0.0),
        augment=NO_AUGMENT,
        model=dataclasses.replace(config.model, dropout=0.0, l1=0.0, l2=0.0),
        temporal=dataclasses.replace(
            config.temporal, dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0
        ),
        train=train,
    )


_FEW_GROUPS = 3
_IN_A_ROW = 3  # epochs in which something must be seen before it is said
_SETTLED = 5  # epochs before which nothing is expected of a training
_ONE_CLASS = 0.95  # share of the answers
_PERFECT, _POOR = 0.99, 0.8  # accuracies

_TEXTS = {
    "one class": """
        {share:.2f} of the validation videos are given one and the same class. Likely the learning
        rate is too high or too low, the classes are too uneven (--train.balanced true), or the
        clips do not show the action: look at them ({preview})""",
    "chance": """
        validation is at chance ({validated:.2f}) while training is at {trained:.2f}. Likely labels
        or splits are wrong, or what is learned is people and places: look at data_report.md""",
    "nothing": """
        neither training ({trained:.2f}) nor validation ({validated:.2f}) is better than always
        guessing the largest class. Likely the learning rate is too low or too high, or labels are
        wrong: try --preflight""",
    "overfitting": """
        training is at {trained:.2f} and validation at {validated:.2f}: the training videos are
        learned by heart. More augmentation, more dropout or a smaller network may help, more
        videos will""",
}


class TrainingWarning(UserWarning):
    """Something about a training is likely wrong."""


def warn_of_few_groups(rows: Sequence[Row]) -> None:
    """Warns of classes whose training videos come from fewer than 3 groups."""
    groups = Counter(
        label
        for label, _ in {
            (label, row.group) for row in rows if row.split == "train" for label in row.labels
        }
    )
    few = sorted(label for label, count in groups.items() if count < _FEW_GROUPS)
    if few:
        _warn(
            f"the training videos of {listed(map(repr, few))} come from fewer than {_FEW_GROUPS} "
            "groups: what is learned of them may be the people or places rather than the action. "
            "Add videos of others"
        )


class Alarms(keras.callbacks.Callback):
    """Warns once of each of the usual ways in which a training goes wrong, with likely causes.

    Args:
        config: The training.
        chance: Share of the largest class in validation, which always guessing it gets right.
        store: The prepared data set, if it is one.
    """

    def __init__(
        self, config: TrainConfig, chance: float, store: PreparedDataset | None = None
    ) -> None:
        super().__init__()
        self._config, self._chance, self._store = config, chance, store
        self._seen: dict[str, int] = {}

    def state(self) -> dict[str, int]:
        """Times in a row that each was seen; -1: it was warned of."""
        return dict(self._seen)

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on from what `state` gave."""
        self._seen = dict(state)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Looks at the figures of the epoch, and whether the data set is still in its place."""
        logs = logs or {}
        if self._store and not self._store.is_current and "replaced" not in self._seen:
            _warn(
                f"epoch {epoch + 1}: {self._store.path} was prepared anew, moved or deleted. This "
                "training ends with the videos and labels that it began with; `evaluate` will not "
                "have them. To learn from what is there now, train another run"
            )
            self._seen["replaced"] = -1
        if not math.isfinite(logs["loss"]):
            rate = self._config.learning_rate
            _warn(
                f"epoch {epoch + 1}: the loss is not a number any more; training stops. The "
                f"learning rate is likely too high: --train.learning_rate {rate / 10:g}"
            )
            return
        if "val_accuracy" not in logs or epoch + 1 < _SETTLED:
            return
        figures = {
            "trained": logs["accuracy"],
            "validated": logs["val_accuracy"],
            "share": logs.get("val_top_class_share", 0.0),
        }
        for name, is_seen in self._signs(**figures).items():
            self._note(
                name,
                is_seen,
                f"epoch {epoch + 1}: {_TEXTS[name].format(**figures, preview=command('preview'))}",
            )

    def _signs(self, *, trained: float, validated: float, share: float) -> dict[str, bool]:
        one_class = share > max(_ONE_CLASS, self._chance)
        at_chance = validated <= self._chance and not one_class
        learned = trained > self._chance + 0.3
        return {
            "one class": one_class,
            "chance": at_chance and learned,
            "nothing": at_chance and not learned,
            "overfitting": trained > _PERFECT and validated < _POOR,
        }

    def _note(self, name: str, is_seen: bool, text: str) -> None:
        count = self._seen.get(name, 0)
        if count < 0:
            return
        count = count + 1 if is_seen else 0
        if count == _IN_A_ROW:
            _warn(text)
            count = -1
        self._seen[name] = count


def _warn(text: str) -> None:
    warnings.warn(one_line(text), TrainingWarning, stacklevel=3)
