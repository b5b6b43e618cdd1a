"""The report on a run: one page that needs nothing else, a model card, and their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.evaluation import metrics
from pipeline.evaluation.page import write_page
from pipeline.evaluation.plots import (
    plot_confusion,
    plot_lengths,
    plot_per_class,
    plot_reliability,
)
from pipeline.evaluation.predictions import Predictions
from pipeline.figures import frame_strip
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.video import encode_jpeg

MOST_MISTAKES = 8
_STRIP_QUALITY = 88


def write_report(
    run: Run,
    split: Split,
    result: Mapping[str, Any],
    predictions: Predictions,
    videos: PreparedDataset,
) -> None:
    """Writes a page, a model card and their pictures.

    Args:
        run: Of task video.
        split: Which videos.
        result: What `evaluate` returns for them.
        predictions: Calibrated, a row for each video.
        videos: The data set.
    """
    class_names = predictions.class_names
    answers = predictions.answers.argmax(axis=1)
    counts = metrics.confusion(answers, predictions.targets, len(class_names))
    plot_confusion(counts, class_names, run.report / f"{split}_confusion.png")
    plot_per_class(result["per_class"], run.report / f"{split}_per_class.png")
    plot_reliability(result["calibration"]["reliability"], run.report / f"{split}_reliability.png")
    plot_lengths(result["lengths"], result["chance"], run.report / f"{split}_lengths.png")
    facts = {"result": result, "mistakes": _mistakes(run, split, predictions, videos)}
    write_page(run, split, videos.path, "report.html", "model_card.md", facts)


def _mistakes(
    run: Run, split: Split, predictions: Predictions, videos: PreparedDataset
) -> list[dict[str, Any]]:
    """The most probable of the wrong answers, with the names of pictures of their clips."""
    for old in run.report.glob(f"{split}_mistake_*.jpg"):
        old.unlink()
    class_names = predictions.class_names
    answers, highest = predictions.answers.argmax(axis=1), predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(~predictions.correct)
    chosen = wrong[np.argsort(-highest[wrong], kind="stable")][:MOST_MISTAKES]
    strips = _strips(run, split, videos, [predictions.names[index] for index in chosen])
    mistakes = []
    for number, index in enumerate(chosen, start=1):
        name = f"{split}_mistake_{number}.jpg"
        (run.report / name).write_bytes(strips[predictions.names[index]])
        mistakes.append(
            {
                "video": predictions.names[index],
                "label": class_names[predictions.targets[index]],
                "answer": class_names[answers[index]],
                "probability": float(highest[index]),
                "strip": name,
            }
        )
    return mistakes


def _strips(
    run: Run, split: Split, videos: PreparedDataset, names: Sequence[str]
) -> dict[str, bytes]:
    """The frames of the middle clip of some videos, side by side, as JPEG, by name."""
    numbers = [i for i, clip in enumerate(videos.of_split(split)) if clip.name in names]
    if not numbers:
        return {}
    config = run.config()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, streams=("rgb",)))
    clips = evaluation_clips(videos, config, split, numbers=numbers).unbatch()
    return {
        source["video"].numpy().decode(): encode_jpeg(
            frame_strip(inputs["frames"].numpy(), inputs["mask"].numpy()), quality=_STRIP_QUALITY
        )
        for inputs, _, source in clips
    }
