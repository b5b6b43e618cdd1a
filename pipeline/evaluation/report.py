"""The report on runs of task video: a page that needs nothing else, a card, and their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.evaluation import metrics
from pipeline.evaluation.plots import (
    plot_confusion,
    plot_lengths,
    plot_per_class,
    plot_reliability,
)
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.results import FusedResult, VideoResult
from pipeline.evaluation.views import write_fused_page, write_page
from pipeline.figures import frame_strip
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.video import encode_jpeg

MOST_MISTAKES: Final = 8
_MOST_OF_FUSED: Final = 20
_STRIP_QUALITY = 88


def write_report(
    run: Run,
    split: Split,
    result: VideoResult,
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
    _plot_classes(run, split, predictions)
    plot_reliability(result.calibration.reliability, run.report / f"{split}_reliability.png")
    plot_lengths(result.lengths, result.chance, run.report / f"{split}_lengths.png")
    mistakes = _pictured(run, split, predictions, videos)
    pages = "report.html", "model_card.md"
    write_page(run, split, videos.path, *pages, result, mistakes=mistakes)


def write_fused_report(
    run: Run, split: Split, result: FusedResult, predictions: Predictions
) -> None:
    """Writes the page of fused runs of task video."""
    run.report.mkdir(exist_ok=True)
    _plot_classes(run, split, predictions)
    mistakes = [_mistake(predictions, row) for row in _mistaken(predictions)[:_MOST_OF_FUSED]]
    names = predictions.class_names
    write_fused_page(run, split, names, "fused.html", result, mistakes=mistakes)


def _plot_classes(run: Run, split: Split, predictions: Predictions) -> None:
    class_names, answers = predictions.class_names, predictions.answers.argmax(axis=1)
    counts = metrics.confusion(answers, predictions.targets, len(class_names))
    plot_confusion(counts, class_names, run.report / f"{split}_confusion.png")
    per_class = metrics.per_class(answers, predictions.targets, class_names)
    plot_per_class(per_class, run.report / f"{split}_per_class.png")


class Mistake(NamedTuple):
    """A wrong answer: the video, its class, the answer, its probability and a picture, if any."""

    video: str
    label: str
    answer: str
    probability: float
    strip: str = ""


def _mistaken(predictions: Predictions) -> npt.NDArray[np.intp]:
    """Rows that are answered wrongly, the most probable answer first."""
    highest, wrong = predictions.probabilities.max(axis=1), np.flatnonzero(~predictions.correct)
    return wrong[np.argsort(-highest[wrong], kind="stable")]


def _mistake(predictions: Predictions, row: np.intp, strip: str = "") -> Mistake:
    names, answer = predictions.class_names, predictions.answers[row].argmax()
    label, highest = predictions.targets[row], predictions.probabilities[row].max()
    return Mistake(predictions.names[row], names[label], names[answer], float(highest), strip)


def _pictured(
    run: Run, split: Split, predictions: Predictions, videos: PreparedDataset
) -> list[Mistake]:
    """The most probable of the wrong answers, with the names of pictures of their clips."""
    for old in run.report.glob(f"{split}_mistake_*.jpg"):
        old.unlink()
    chosen = _mistaken(predictions)[:MOST_MISTAKES]
    strips = _strips(run, split, videos, [predictions.names[row] for row in chosen])
    mistakes = []
    for number, row in enumerate(chosen, start=1):
        name = f"{split}_mistake_{number}.jpg"
        (run.report / name).write_bytes(strips[predictions.names[row]])
        mistakes.append(_mistake(predictions, row, name))
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
