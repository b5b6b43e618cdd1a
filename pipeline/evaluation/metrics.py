"""Numbers about predictions of classes that exclude each other: NumPy in, plain Python out."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from pipeline.dataset.sampling import Order
from pipeline.evaluation.intervals import accuracy_interval

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]
Pairs = Sequence[tuple[str, str]]

CAUTION = {
    "train": ["these videos were trained on: the figures say nothing about new ones"],
    "val": ["these videos chose the epoch and the calibration: on new ones expect a little less"],
}
"""What to say of the numbers of a split that took part in training."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Shares of videos, or of clips, that have their class among the most probable ones.

    Attributes:
        top1: It is the most probable.
        top1_interval95: Its 95 % interval over groups; None with fewer than 3.
        top5: It is one of five.
        top5_interval95: As well.
    """

    top1: float
    top1_interval95: Sequence[float] | None
    top5: float
    top5_interval95: Sequence[float] | None


def accuracy(logits: Floats, labels: Labels, groups: Sequence[str]) -> Accuracy:
    """The accuracy of logits, float (N, C), of labels, int (N,), and its interval over groups."""
    best, five = (in_top_k(logits, labels, k) for k in (1, 5))
    ends = [accuracy_interval(right, groups) for right in (best, five)]
    return Accuracy(float(best.mean()), ends[0], float(five.mean()), ends[1])


def in_top_k(logits: Floats, labels: Labels, k: int) -> npt.NDArray[np.bool_]:
    """Rows that have their label among the k largest logits, bool (N,).

    Args:
        logits: float (N, C).
        labels: int (N,), from 0 to C - 1.
        k: At least 1; more than C counts as C.

    Example:
        >>> logits = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
        >>> in_top_k(logits, np.array([2, 0]), 1).tolist()
        [False, True]
        >>> in_top_k(logits, np.array([2, 0]), 2).tolist()
        [True, True]
    """
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    found: npt.NDArray[np.bool_] = np.any(best == labels[:, None], axis=1)
    return found


def chance(labels: Labels) -> float:
    """Accuracy of always answering with the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """How well a class is told.

    Attributes:
        precision: Share of the videos answered with it that are of it; None: there are none.
        recall: Share of its videos that are answered with it; None: there are none.
        f1: Of the two; None where both are undefined.
        num_videos: Of it.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    num_videos: int


@dataclasses.dataclass(frozen=True)
class Macro:
    """Means over classes, of which rare ones count as much as others."""

    precision: float
    recall: float
    f1: float


def per_class(
    predicted: Labels, labels: Labels, class_names: Sequence[str]
) -> dict[str, ClassScores]:
    """The scores of each class."""
    columns = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(class_names)), zero_division=np.nan
    )
    shares = [[None if np.isnan(x) else float(x) for x in column] for column in columns[:3]]
    rows = zip(*shares, map(int, columns[3]), strict=True)
    return dict(zip(class_names, itertools.starmap(ClassScores, rows), strict=True))


def macro(rows: Mapping[str, ClassScores]) -> Macro:
    """Means over the classes of which there are videos; what is undefined counts as 0."""
    there = [row for row in rows.values() if row.num_videos]
    return Macro(
        *(
            float(np.mean([getattr(row, name) or 0.0 for row in there]))
            for name in ("precision", "recall", "f1")
        )
    )


def separation(known: Floats, unknown: Floats) -> float:
    """Area under the ROC curve: how often what is known has the higher score, 0.5 by chance.

    Args:
        known: float (N,), scores of videos of known classes.
        unknown: float (M,), scores of videos of others.

    Example:
        >>> separation(np.array([0.9, 0.4]), np.array([0.2, 0.5]))
        0.75
    """
    labels = np.repeat([1, 0], [len(known), len(unknown)])
    return float(roc_auc_score(labels, np.concatenate([known, unknown])))


@dataclasses.dataclass(frozen=True)
class Tenth:
    """Videos whose answers have about one probability: how sure they are, and how many are right.

    Attributes:
        num_videos: How many.
        confidence: Their mean probability.
        accuracy: Share of right answers among them.
    """

    num_videos: int
    confidence: float
    accuracy: float


def reliability(confidences: Floats, correct: npt.NDArray[np.bool_]) -> list[Tenth]:
    """Shares of right answers among those of about one probability, for tenths from 0 to 1.

    Args:
        confidences: float (N,), the probability of each answer, 0 to 1.
        correct: bool (N,), which answers are right.

    Returns:
        Those that hold any.
    """
    tenths = np.minimum((np.asarray(confidences) * 10).astype(int), 9)
    return [
        Tenth(int(there.sum()), float(confidences[there].mean()), float(correct[there].mean()))
        for there in (tenths == number for number in np.unique(tenths))
    ]


def calibration_error(confidences: Floats, correct: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error: how far probabilities are from shares of right answers, 0 to 1.

    Source: Naeini et al. (2015); Guo et al. (2017), equation 3.

    Example:
        >>> calibration_error(np.array([0.95, 0.95]), np.array([True, False])).__round__(2)
        0.45
    """
    gaps = [
        each.num_videos * abs(each.confidence - each.accuracy)
        for each in reliability(confidences, correct)
    ]
    return float(sum(gaps) / len(confidences))


def confusion(predicted: Labels, labels: Labels, num_classes: int) -> npt.NDArray[np.int64]:
    """Counts int64 (C, C): row is the true class, column the answer."""
    counts: npt.NDArray[np.int64] = confusion_matrix(
        labels, predicted, labels=np.arange(num_classes)
    )
    return counts


@dataclasses.dataclass(frozen=True)
class PairScores:
    """Videos of actions that only the order of frames tells apart.

    Attributes:
        num_videos: How many.
        reversed_to_partner: Share of them for which reversing the frames turns the answer from a
            class of a pair into its partner.
        two_way: For each order, the accuracy of the choice between the two of a pair.
    """

    num_videos: int
    reversed_to_partner: float
    two_way: Mapping[str, float]


def order_pairs(
    logits: Mapping[Order, Floats], labels: Labels, class_names: Sequence[str], pairs: Pairs
) -> PairScores:
    """The order test of actions that only the order of frames tells apart.

    Args:
        logits: float (N, C) for the orders `in_order`, `shuffled` and `reversed` of the frames.
        labels: int (N,).
        class_names: C names.
        pairs: Pairs of class names.
    """
    partner = np.full(len(class_names), -1)
    for first, second in pairs:
        a, b = class_names.index(first), class_names.index(second)
        partner[a], partner[b] = b, a
    rows = np.flatnonzero(partner[labels] >= 0)
    true, other = labels[rows], partner[labels[rows]]
    answers = logits["in_order"][rows].argmax(axis=1)
    turned = logits["reversed"][rows].argmax(axis=1)
    return PairScores(
        len(rows),
        float(np.mean(turned == partner[answers])),
        {
            order: float(np.mean(values[rows, true] > values[rows, other]))
            for order, values in logits.items()
        },
    )
