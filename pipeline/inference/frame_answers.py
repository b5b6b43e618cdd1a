"""What a run says of each frame of a recording: the same as in evaluation."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.dataset.sampling import frame_weights, join_in_turn
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import ClipModel, Reading, StoredFrames
from pipeline.inference.segments import Curve
from pipeline.inference.window_plan import WindowPlan
from pipeline.inference.windows import slide
from pipeline.tasks.frames import Frames

Floats = npt.NDArray[np.floating[Any]]


def answer_frames(
    stored: StoredFrames, reading: Reading, classifier: Classifier, plans: Sequence[WindowPlan]
) -> tuple[Curve, Iterator[npt.NDArray[np.integer[Any]]]]:
    """Classifies each frame of a recording of any length.

    All that it holds of a recording are the probabilities, rounded to 2 bytes a frame and class,
    and a bit that says whether that was enough.

    Args:
        stored: What is stored of each frame.
        reading: Which of it each run takes.
        classifier: Runs that answer at every frame.
        plans: Of each run, see `pipeline.inference.window_plan.plan_as_evaluation`; of one grid.

    Returns:
        How probable each class is, a cell a frame of the grid; and the bouts of each class, see
        `Frames.bouts`.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: A model gives no numbers.
    """
    task, calibration = classifier.task, classifier.bundle.calibration
    if not isinstance(task, Frames):
        raise TypeError("expected runs that answer at every frame")
    num_classes, seconds = len(classifier.class_names), plans[0].frame_seconds
    fields = [
        ("shares", np.float16, num_classes),
        ("score", np.float16),
        ("bits", np.uint8, -(-num_classes // 8)),
    ]
    copies = itertools.tee(stored, len(plans))
    each = [
        frame_logits(reading.of(number, copies[number]), member, plans[number])
        for number, member in enumerate(classifier.members)
    ]
    with tempfile.TemporaryFile() as file:  # What grows in memory takes twice as much.
        for rows in _together(each):
            logits = classifier.logits(rows)
            shares = task.probabilities(logits, calibration.temperature)
            found = np.empty(len(logits), fields)
            found["shares"], found["score"] = shares, task.score(logits)
            holds = task.holds(shares, calibration.class_thresholds)
            found["bits"] = np.packbits(holds, axis=1)
            file.write(found.tobytes())
        file.seek(0)
        frames = np.fromfile(file, fields)
    curve = Curve(
        cell_seconds=seconds,
        duration_seconds=stored.info.duration_seconds,
        probabilities=frames["shares"],
        scores=frames["score"],
    )
    columns = (frames["bits"][:, n // 8] & (128 >> n % 8) > 0 for n in range(num_classes))
    return curve, task.bouts(columns, curve.probabilities, calibration, 1 / seconds)


def _together(each: Sequence[Iterator[Floats]]) -> Iterator[list[Floats]]:
    """Rows of several models, of the same frames, which none is far ahead of the others with."""
    waiting: list[Floats | None] = [None] * len(each)
    while True:
        waiting = [
            next(model, None) if rows is None or not len(rows) else rows
            for rows, model in zip(waiting, each, strict=True)
        ]
        rows = [each_rows for each_rows in waiting if each_rows is not None]
        if len(rows) < len(each):
            return
        number = min(map(len, rows))
        yield [each_rows[:number] for each_rows in rows]
        waiting = [each_rows[number:] for each_rows in rows]


def frame_logits(
    stored: Iterable[Mapping[str, bytes]], model: ClipModel, plan: WindowPlan
) -> Iterator[npt.NDArray[np.float32]]:
    """Yields the logits of the frames of a recording, in turn, float32 (any, C).

    Args:
        stored: What is stored of each frame.
        model: The model.
        plan: See `pipeline.inference.window_plan.plan_as_evaluation`.
    """
    weights = frame_weights(plan.length, looks_back_only=model.bundle.looks_back_only)
    windows = (
        (round(window.start_seconds / plan.frame_seconds), window.logits)
        for window in slide(stored, model, plan)
    )
    return join_in_turn(windows, weights)
