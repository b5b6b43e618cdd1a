"""What a run says of each frame of a recording: the same as in evaluation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.dataset.windows import frame_weights, join_in_turn
from pipeline.inference.clips import ClipModel, StoredFrames
from pipeline.inference.segments import Curve
from pipeline.inference.window_plan import WindowPlan
from pipeline.inference.windows import slide
from pipeline.tasks.frames import Frames


def answer_frames(
    stored: StoredFrames, model: ClipModel, plan: WindowPlan, task: Frames
) -> tuple[Curve, Iterator[npt.NDArray[np.integer[Any]]]]:
    """Classifies each frame of a recording of any length.

    All that it holds of a recording are the probabilities, rounded to 2 bytes a frame and class,
    and a bit that says whether that was enough.

    Args:
        stored: What is stored of each frame.
        model: The model.
        plan: See `pipeline.inference.window_plan.plan_as_evaluation`.
        task: That of the model.

    Returns:
        How probable each class is, a cell a frame of the grid; and the bouts of each class, see
        `Frames.bouts`.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: The model gives no numbers.
    """
    calibration, num_classes = model.bundle.calibration, len(model.bundle.class_names)
    fields = [
        ("shares", np.float16, num_classes),
        ("score", np.float16),
        ("bits", np.uint8, -(-num_classes // 8)),
    ]
    with tempfile.TemporaryFile() as file:  # What grows in memory takes twice as much.
        for logits in frame_logits(stored, model, plan):
            model.check(logits)
            shares = task.probabilities(logits, calibration.temperature)
            found = np.empty(len(logits), fields)
            found["shares"], found["score"] = shares, task.score(logits)
            holds = task.holds(shares, calibration.class_thresholds)
            found["bits"] = np.packbits(holds, axis=1)
            file.write(found.tobytes())
        file.seek(0)
        frames = np.fromfile(file, fields)
    curve = Curve(
        cell_seconds=plan.frame_seconds,
        duration_seconds=stored.info.duration_seconds,
        probabilities=frames["shares"],
        scores=frames["score"],
    )
    columns = (frames["bits"][:, n // 8] & (128 >> n % 8) > 0 for n in range(num_classes))
    return curve, task.bouts(columns, curve.probabilities, calibration, 1 / plan.frame_seconds)


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
