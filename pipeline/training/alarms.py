"""Honest alarms: what is likely wrong with a training, as soon as it can be seen."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import keras
import tensorflow as tf

from pipeline.config import TrainConfig
from pipeline.manifest.rows import Row
from pipeline.prepare.prepared import PreparedDataset
from pipeline.text import command, listed, one_line

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


class TopClassShare(keras.metrics.Metric):
    """The share of the class that is given most often, to clips or known frames, 0 to 1."""

    def __init__(self, num_classes: int, name: str = "top_class_share") -> None:
        super().__init__(name=name)
        self.num_classes = num_classes
        self.counts = self.add_variable((num_classes,), "zeros", name="counts")

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Counts the answers of logits, (B, C), (B, T, C) or, of the last of S, (B, S, T, C).

        A frame of which nothing is known has targets below 0 alone.
        """
        del sample_weight
        ops = keras.ops
        logits = y_pred[:, -1] if len(y_pred.shape) == 4 else y_pred
        answers = ops.one_hot(ops.argmax(logits, axis=-1), self.num_classes)
        known = ops.cast(ops.any(y_true >= 0, axis=-1, keepdims=True), answers.dtype)
        counts = ops.sum(ops.reshape(answers * known, (-1, self.num_classes)), axis=0)
        self.counts.assign_add(ops.cast(counts, self.counts.dtype))

    def result(self) -> tf.Tensor:
        """The share so far."""
        total = keras.ops.maximum(keras.ops.sum(self.counts), 1)
        return keras.ops.max(self.counts) / total


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
