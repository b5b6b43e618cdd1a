"""The report on a run that answers at every frame: a page, a model card, and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.colors import to_hex
from sklearn.metrics import precision_recall_curve

from pipeline.evaluation.metrics import confusion
from pipeline.evaluation.mistakes import longest_mistakes
from pipeline.evaluation.page import write_fused_page, write_page
from pipeline.evaluation.plots import plot_confusion, plot_per_class, plot_precision_recall
from pipeline.evaluation.recordings import Recording, judged
from pipeline.evaluation.ribbons import LAST_TICK, MOST_TICKS, ROW, STEPS, ribbon
from pipeline.figures import class_colours
from pipeline.manifest.rows import Split
from pipeline.run import Run

MOST_MISTAKES: Final = 8

Strip = Callable[[int, int, int], bytes | None]
"""From the number of a recording, the first and the last of some of its frames, to a JPEG of them
side by side, or None where there are no pictures."""


def write_frames_report(
    run: Run,
    split: Split,
    result: Mapping[str, Any],
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    data: Path | None = None,
    strip: Strip = lambda *_: None,
) -> None:
    """Writes a page, a model card and their pictures, of what was found for a split.

    Args:
        run: A trained run, or fused ones, of which there is no card.
        split: Which recordings.
        result: `frames`, `segments` and `bouts`, see `score_recordings`; and `leaks`, if any.
        recordings: What a person and the model say.
        class_names: C names.
        data: The folder of the data set, or the table of the videos; None: the runs are fused.
        strip: Gives pictures of the mistakes.

    Raises:
        DataError: Nothing is known of any frame.
    """
    run.report.mkdir(exist_ok=True)
    exclusive, background = (result["frames"][key] for key in ("exclusive", "background"))
    colours = {name: to_hex(colour) for name, colour in class_colours(class_names).items()}
    known = judged(recordings, exclusive=exclusive)
    plot_per_class(result["frames"]["per_class"], run.report / f"{split}_per_class.png")
    curves = _curves(known, class_names)
    plot_precision_recall(curves, colours, run.report / f"{split}_precision_recall.png")
    if exclusive:
        shares = _confusion(known, len(class_names))
        plot_confusion(shares, class_names, run.report / f"{split}_confusion.png")
    facts = {
        "result": result,
        "row_height": ROW,
        "steps": list(STEPS),
        "most_ticks": MOST_TICKS,
        "last_tick": LAST_TICK,
        "totals": _totals(result["bouts"]["recordings"]),
        "ribbons": [
            ribbon(each, class_names, colours, background=background, exclusive=exclusive)
            for each in recordings
        ],
        "mistakes": _mistakes(run, split, recordings, class_names, strip, exclusive=exclusive),
    }
    if data:
        write_page(run, split, data, "frames.html", "frames_card.md", facts)
    else:
        write_fused_page(run, split, class_names, "frames.html", facts)


def _confusion(known: Sequence[Recording], num_classes: int) -> Any:
    """Percent of the frames of each class, int (C, C): row is the human, column the model."""
    answers, labels = (
        np.concatenate([getattr(each, name).argmax(axis=1) for each in known])
        for name in ("answers", "holds")
    )
    counts = confusion(answers, labels, num_classes)
    return np.rint(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).astype(int)


def _curves(known: Sequence[Recording], class_names: Sequence[str]) -> dict[str, Any]:
    """Precision and recall of each class that is there, for thresholds from high to low."""
    holds = np.concatenate([each.holds for each in known])
    probabilities = np.concatenate([each.probabilities for each in known])
    return {
        name: precision_recall_curve(
            holds[:, number], probabilities[:, number], drop_intermediate=True
        )[:2]
        for number, name in enumerate(class_names)
        if holds[:, number].any()
    }


def _totals(recordings: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By class and then `human` and `machine`: `count` and `total_seconds` of all recordings."""
    return {
        name: {
            who: {
                key: sum(row["classes"][name][who][key] for row in recordings)
                for key in ("count", "total_seconds")
            }
            for who in ("human", "machine")
        }
        for name in recordings[0]["classes"]
    }


def _mistakes(
    run: Run,
    split: Split,
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    strip: Strip,
    *,
    exclusive: bool,
) -> list[dict[str, Any]]:
    """The longest mistakes, with the name of the recording and of a picture, if there is one."""
    for old in run.report.glob(f"{split}_mistake_*.jpg"):
        old.unlink()
    shown = []
    longest = longest_mistakes(recordings, class_names, exclusive=exclusive, most=MOST_MISTAKES)
    for number, mistake in enumerate(longest, start=1):
        picture = strip(mistake.recording, mistake.first_frame, mistake.last_frame)
        name = f"{split}_mistake_{number}.jpg"
        if picture:
            (run.report / name).write_bytes(picture)
        shown.append(
            {
                "span": mistake,
                "name": recordings[mistake.recording].name,
                "strip": name if picture else None,
            }
        )
    return shown
