"""Scores of answers at every frame, or of videos of several labels: NumPy in, Python out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    precision_recall_fscore_support,
)

from pipeline.evaluation.intervals import FEWEST_GROUPS, accuracy_ends, accuracy_interval
from pipeline.evaluation.recordings import Bools, Floats, Recording, judged


@dataclasses.dataclass(frozen=True)
class LabelClassScores:
    """How well a class is told that may hold together with others; None is what is undefined.

    Attributes:
        precision: Share of what is answered with it that is of it.
        recall: Share of what is of it that is answered with it.
        f1: Of the two.
        average_precision: Area under precision against recall.
        kappa: Cohen's, of the model with the labels.
        share: Of the frames, or videos, where it holds.
        num_frames: How many these are; of videos, None.
        num_videos: The same of videos.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None
    kappa: float | None
    share: float
    num_frames: int | None = None
    num_videos: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelScores:
    """Scores of videos, or frames, that may have several labels; None is what is undefined.

    Attributes:
        accuracy: Share of which all labels are right and none is missing.
        accuracy_interval95: Over groups, None with fewer than 3.
        chance: The accuracy of always giving the most frequent labels.
        macro_f1: Mean over classes that are there.
        macro_f1_without_background: The same without the class of what no event covers.
        mean_average_precision: As well.
        mean_average_precision_without_background: As well.
        kappa: Cohen's, of the model with the labels; the mean over classes.
        per_class: By name.
        num_groups: How many groups.
        num_videos: How many videos; of frames, None.

    Source: kappa, Cohen (1960).
    """

    accuracy: float
    accuracy_interval95: Sequence[float] | None
    chance: float
    macro_f1: float | None
    macro_f1_without_background: float | None
    mean_average_precision: float | None
    mean_average_precision_without_background: float | None
    kappa: float | None
    per_class: Mapping[str, LabelClassScores]
    num_groups: int
    num_videos: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameScores(LabelScores):
    """Scores of the frames of which something is known, of all recordings together.

    The interval is over groups, of which each frame counts as a part of a stretch with the same
    labels: as many stretches, of one length, as the person saw take the place of the videos in
    `accuracy_interval`. Frames of a stretch are right or wrong together; so they tell no more than
    a video of one action does.

    Attributes:
        exclusive: Whether classes exclude each other.
        background: The class of what no event covers; empty if there is none.
        num_frames: How many frames.
        num_unknown_frames: Of how many nothing is known, so that they do not count.
        num_recordings: How many recordings.
        seconds: How long the frames last.
    """

    exclusive: bool
    background: str
    num_frames: int
    num_unknown_frames: int
    num_recordings: int
    seconds: float


def frame_scores(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    background: str = "",
    exclusive: bool,
) -> FrameScores:
    """Scores of the frames of recordings.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        background: The class of what no event covers; empty if there is none.
        exclusive: Whether classes exclude each other.

    Raises:
        DataError: Nothing is known of any frame.
    """
    known = judged(recordings, exclusive=exclusive)
    holds, probabilities, answers = (
        np.concatenate([getattr(each, name) for each in known])
        for name in ("holds", "probabilities", "answers")
    )
    per_class = _per_class(holds, probabilities, answers, class_names, "num_frames")
    return FrameScores(
        **_means(per_class, background),
        accuracy=float((holds == answers).all(axis=1).mean()),
        accuracy_interval95=_interval(known),
        chance=_chance(holds),
        kappa=_kappa(holds.argmax(axis=1), answers.argmax(axis=1))
        if exclusive
        else _mean(row.kappa for row in per_class.values()),
        per_class=per_class,
        num_groups=len({each.group for each in known}),
        exclusive=exclusive,
        background=background,
        num_frames=len(holds),
        num_unknown_frames=sum(len(each.labels) for each in recordings) - len(holds),
        num_recordings=len(known),
        seconds=sum(each.duration_seconds for each in known),
    )


def video_scores(
    labels: npt.NDArray[np.integer[Any]],
    probabilities: Floats,
    answers: Bools,
    groups: Sequence[str],
    class_names: Sequence[str],
) -> LabelScores:
    """Scores of videos that may have several labels.

    Args:
        labels: int (N, C), 1 where a class holds, 0 elsewhere.
        probabilities: float (N, C).
        answers: bool (N, C).
        groups: Group of each video.
        class_names: C names.

    Example:
        >>> labels = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
        >>> answers = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
        >>> scores = video_scores(labels, answers / 1, answers, list("aabb"), ["walk", "wave"])
        >>> scores.accuracy, scores.kappa, scores.per_class["wave"].recall
        (0.75, 0.75, 0.5)
    """
    holds = labels == 1
    per_class = _per_class(holds, probabilities, answers, class_names, "num_videos")
    return LabelScores(
        **_means(per_class),
        accuracy=float((holds == answers).all(axis=1).mean()),
        accuracy_interval95=accuracy_interval((holds == answers).all(axis=1), groups),
        chance=_chance(holds),
        kappa=_mean(row.kappa for row in per_class.values()),
        per_class=per_class,
        num_groups=len(set(groups)),
        num_videos=len(holds),
    )


def _interval(recordings: Sequence[Recording]) -> list[float] | None:
    """The interval of the accuracy by frame, see `frame_scores`; all frames are known."""
    groups, group = np.unique([each.group for each in recordings], return_inverse=True)
    if len(groups) < FEWEST_GROUPS:
        return None
    right = [(each.holds == each.answers).all(axis=1).sum() for each in recordings]
    changes = [np.diff(each.holds, axis=0).any(axis=1).sum() for each in recordings]
    frames = np.array([len(each.labels) for each in recordings])
    scale = (len(recordings) + sum(changes)) / frames.sum()
    hits, sizes = (np.bincount(group, weights=scale * np.array(of)) for of in (right, frames))
    return [float(end) for end in accuracy_ends(hits, sizes)]


def _per_class(
    holds: Bools, probabilities: Floats, answers: Bools, class_names: Sequence[str], counts: str
) -> dict[str, LabelClassScores]:
    """Scores of each class of arrays (N, C); `counts` says what the rows are."""
    columns = zip(class_names, holds.T, probabilities.T, answers.T, strict=True)
    return {name: _class_scores(*each, counts=counts) for name, *each in columns}


def _class_scores(
    holds: Bools, probabilities: Floats, answers: Bools, *, counts: str
) -> LabelClassScores:
    shares = precision_recall_fscore_support(holds, answers, average="binary", zero_division=np.nan)
    precision, recall, f1 = (None if np.isnan(x) else float(x) for x in shares[:3])
    area = float(average_precision_score(holds, probabilities)) if holds.any() else None
    return LabelClassScores(
        precision,
        recall,
        f1,
        area,
        _kappa(holds, answers),
        float(holds.mean()),
        **{counts: int(holds.sum())},
    )


def _means(per_class: Mapping[str, LabelClassScores], background: str = "") -> dict[str, Any]:
    """Means over the classes that are there; the F1 of one that was never answered is 0."""
    events = [row for name, row in per_class.items() if name != background]
    found = {}
    for rows, which in ((list(per_class.values()), ""), (events, "_without_background")):
        found[f"macro_f1{which}"] = _mean(row.f1 for row in rows if row.share)
        found[f"mean_average_precision{which}"] = _mean(row.average_precision for row in rows)
    return found


def _kappa(labels: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float | None:
    """Cohen's kappa of numbers or truth values (N,); None if both always say one and the same."""
    if len(np.union1d(labels, answers)) == 1:
        return None
    return float(cohen_kappa_score(labels, answers))


def _chance(holds: Bools) -> float:
    _, counts = np.unique(np.packbits(holds, axis=1), axis=0, return_counts=True)
    return float(counts.max() / len(holds))


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
