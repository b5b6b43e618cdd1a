"""Scores of answers at every frame, or of videos of several labels: NumPy in, Python out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    precision_recall_fscore_support,
)

from pipeline.evaluation.bouts import bouts, summary
from pipeline.evaluation.intervals import FEWEST_GROUPS, accuracy_ends, accuracy_interval
from pipeline.evaluation.recordings import Bools, Floats, Recording, judged
from pipeline.evaluation.segmental import segment_scores

Row = dict[str, Any]


def score_recordings(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    background: str = "",
    exclusive: bool,
) -> dict[str, Any]:
    """All scores of recordings, as `metrics.json` holds them for a split.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        background: The class of what no event covers; empty if there is none.
        exclusive: Whether classes exclude each other, so that one is right at each frame.

    Returns:
        `frames`, see `frame_scores`; `segments`, see `segmental.segment_scores`; `bouts`, see
        `bouts.summary`.

    Raises:
        DataError: Nothing is known of any frame.
    """
    number = class_names.index(background) if background else None
    return {
        "frames": frame_scores(recordings, class_names, background=background, exclusive=exclusive),
        "segments": segment_scores(recordings, background=number, exclusive=exclusive),
        "bouts": summary(
            bouts(recordings, class_names, background=background, exclusive=exclusive)
        ),
    }


def frame_scores(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    background: str = "",
    exclusive: bool,
) -> dict[str, Any]:
    """Scores of the frames of which something is known, of all recordings together.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        background: The class of what no event covers; empty if there is none.
        exclusive: Whether classes exclude each other.

    Returns:
        What `video_scores` gives, with `num_frames` for `num_videos`, and: `exclusive` and
        `background`, as given; `num_recordings`;
        `num_unknown_frames`, of which nothing is known, so that they do not count;
        `seconds`, how long the others last. The interval is over groups, of which each frame counts
        as a part of a stretch with the same labels: as many stretches, of one length, as the person
        saw take the place of the videos in `accuracy_interval`. Frames of a stretch are right or
        wrong together; so they tell no more than a video of one action does.

    Raises:
        DataError: Nothing is known of any frame.
    """
    known = judged(recordings, exclusive=exclusive)
    holds, probabilities, answers = (
        np.concatenate([getattr(each, name) for each in known])
        for name in ("holds", "probabilities", "answers")
    )
    return {
        **_scores(holds, probabilities, answers, class_names, background, exclusive=exclusive),
        "accuracy_interval95": _interval(known),
        "exclusive": exclusive,
        "background": background,
        "num_frames": len(holds),
        "num_unknown_frames": sum(len(each.labels) for each in recordings) - len(holds),
        "num_recordings": len(known),
        "num_groups": len({each.group for each in known}),
        "seconds": sum(each.duration_seconds for each in known),
    }


def video_scores(
    labels: npt.NDArray[np.integer[Any]],
    probabilities: Floats,
    answers: Bools,
    groups: Sequence[str],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Scores of videos that may have several labels.

    Args:
        labels: int (N, C), 1 where a class holds, 0 elsewhere.
        probabilities: float (N, C).
        answers: bool (N, C).
        groups: Group of each video.
        class_names: C names.

    Returns:
        accuracy: Share of videos of which all labels are right and none is missing.
        accuracy_interval95: Over groups, None with fewer than 3.
        chance: The accuracy of always giving the most frequent labels.
        macro_f1: Mean over classes that are there; `macro_f1_without_background`: without that.
        mean_average_precision: As well; and `mean_average_precision_without_background`.
        kappa: Cohen's, of the model with the labels; the mean over classes.
        per_class: By name `precision`, `recall`, `f1`, `average_precision`, `kappa`, `num_videos`
            with the label, and their `share`; None stands for what is undefined.
        num_videos, num_groups: How many.

    Source: kappa, Cohen (1960).

    Example:
        >>> labels = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
        >>> answers = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
        >>> scores = video_scores(labels, answers / 1, answers, list("aabb"), ["walk", "wave"])
        >>> scores["accuracy"], scores["kappa"], scores["per_class"]["wave"]["recall"]
        (0.75, 0.75, 0.5)
    """
    holds = labels == 1
    scores = _scores(holds, probabilities, answers, class_names, exclusive=False)
    for row in scores["per_class"].values():
        row["num_videos"] = row.pop("num_frames")
    return {
        **scores,
        "accuracy_interval95": accuracy_interval((holds == answers).all(axis=1), groups),
        "num_videos": len(holds),
        "num_groups": len(set(groups)),
    }


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


def _scores(
    holds: Bools,
    probabilities: Floats,
    answers: Bools,
    class_names: Sequence[str],
    background: str = "",
    *,
    exclusive: bool,
) -> dict[str, Any]:
    """What frames and videos have in common; of arrays (N, C)."""
    per_class = {
        name: _class_scores(holds[:, number], probabilities[:, number], answers[:, number])
        for number, name in enumerate(class_names)
    }
    rows = list(per_class.values())
    events = [row for name, row in per_class.items() if name != background]
    if exclusive:
        kappa = _kappa(holds.argmax(axis=1), answers.argmax(axis=1))
    else:
        kappa = _mean(row["kappa"] for row in rows)
    return {
        "accuracy": float((holds == answers).all(axis=1).mean()),
        "chance": _chance(holds),
        "macro_f1": _mean_f1(rows),
        "macro_f1_without_background": _mean_f1(events),
        "mean_average_precision": _mean(row["average_precision"] for row in rows),
        "mean_average_precision_without_background": _mean(
            row["average_precision"] for row in events
        ),
        "kappa": kappa,
        "per_class": per_class,
    }


def _class_scores(holds: Bools, probabilities: Floats, answers: Bools) -> Row:
    shares = precision_recall_fscore_support(holds, answers, average="binary", zero_division=np.nan)
    precision, recall, f1 = (None if np.isnan(x) else float(x) for x in shares[:3])
    there = bool(holds.any())
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "average_precision": float(average_precision_score(holds, probabilities))
        if there
        else None,
        "kappa": _kappa(holds, answers),
        "num_frames": int(holds.sum()),
        "share": float(holds.mean()),
    }


def _kappa(labels: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float | None:
    """Cohen's kappa of numbers or truth values (N,); None if both always say one and the same."""
    if len(np.union1d(labels, answers)) == 1:
        return None
    return float(cohen_kappa_score(labels, answers))


def _chance(holds: Bools) -> float:
    _, counts = np.unique(np.packbits(holds, axis=1), axis=0, return_counts=True)
    return float(counts.max() / len(holds))


def _mean_f1(rows: Sequence[Row]) -> float | None:
    """Of the classes that are there; that of a class that was never answered is 0."""
    return _mean([row["f1"] for row in rows if row["num_frames"]])


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
