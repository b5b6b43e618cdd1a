"""The report on a run: one page that needs nothing else, a model card, and their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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
from pipeline.tasks.calibration import read_calibration
from pipeline.tasks.task import exclusive_task_of
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
    """Writes a page, a model card and their pictures, of what `evaluate` returns for a split."""
    class_names = run.class_names()
    answers = exclusive_task_of(run.config().model).answers(predictions.video_logits)
    counts = metrics.confusion(answers, predictions.labels, len(class_names))
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
    class_names = run.class_names()
    task, temperature = exclusive_task_of(run.config().model), read_calibration(run).temperature
    probabilities = task.probabilities(predictions.video_logits, temperature)
    answers, highest = task.answers(predictions.video_logits), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != predictions.labels)
    chosen = wrong[np.argsort(-highest[wrong], kind="stable")][:MOST_MISTAKES]
    strips = _strips(run, split, videos, set(chosen.tolist()))
    mistakes = []
    for number, index in enumerate(chosen, start=1):
        name = f"{split}_mistake_{number}.jpg"
        (run.report / name).write_bytes(strips[index])
        mistakes.append(
            {
                "video": predictions.videos[index],
                "label": class_names[predictions.labels[index]],
                "answer": class_names[answers[index]],
                "probability": float(highest[index]),
                "strip": name,
            }
        )
    return mistakes


def _strips(run: Run, split: Split, videos: PreparedDataset, chosen: set[int]) -> dict[int, bytes]:
    """The frames of the middle clip of some videos, side by side, as JPEG, by their number."""
    if not chosen:
        return {}
    config = run.config()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, streams=("rgb",)))
    clips = evaluation_clips(videos, config, split).unbatch()
    return {
        index: encode_jpeg(
            frame_strip(inputs["frames"].numpy(), inputs["mask"].numpy()), quality=_STRIP_QUALITY
        )
        for index, (inputs, *_) in enumerate(clips)
        if index in chosen
    }
