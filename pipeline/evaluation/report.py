"""The report on a run: one page that needs nothing else, a model card, and their pictures."""

from __future__ import annotations

import base64
import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.videos import Data
from pipeline.evaluation import metrics
from pipeline.evaluation.plots import (
    plot_confusion,
    plot_lengths,
    plot_per_class,
    plot_reliability,
)
from pipeline.evaluation.predictions import Predictions
from pipeline.figures import frame_strip
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.tasks.calibration import read_calibration
from pipeline.tasks.task import exclusive_task_of
from pipeline.text import code, counted, markdown, visible
from pipeline.video import encode_jpeg

MOST_MISTAKES = 8
_STRIP_QUALITY = 88


def write_report(
    run: Run, split: Split, result: Mapping[str, Any], predictions: Predictions, videos: Data
) -> None:
    """Writes a page, a model card and their pictures, of what `evaluate` returns for a split."""
    class_names = run.class_names()
    answers = exclusive_task_of(run.config().model).answers(predictions.video_logits)
    counts = metrics.confusion(answers, predictions.labels, len(class_names))
    plot_confusion(counts, class_names, run.report / f"{split}_confusion.png")
    plot_per_class(result["per_class"], run.report / f"{split}_per_class.png")
    plot_reliability(result["calibration"]["reliability"], run.report / f"{split}_reliability.png")
    plot_lengths(result["lengths"], result["chance"], run.report / f"{split}_lengths.png")
    environment, epochs = run.environment(), run.history()
    facts = {
        "run": run,
        "name": run.folder.resolve().name,
        "run_name": shlex.quote(str(run.folder)),
        "split": split,
        "result": result,
        "class_names": class_names,
        "caution": metrics.CAUTION.get(split, []),
        "mistakes": _mistakes(run, split, predictions, videos),
        "has_curves": (run.report / "curves.png").is_file(),
        "environment": environment,
        "command": shlex.join(["python", *environment["command"]]),
        "epochs": {"number": len(epochs), "seconds": sum(row["seconds"] for row in epochs)},
        "config": run.config_file.read_text(encoding="utf-8"),
        "data": run.config().data,
        "data_report": _data_report(videos),
    }
    page, card = report_files(run, split)
    for file, template in ((page, "report.html"), (card, "model_card.md")):
        text = _templates(run.report).get_template(template).render(facts)
        file.write_text(text, encoding="utf-8")


def report_files(run: Run, split: Split) -> tuple[Path, Path]:
    """The page and the model card; those on the test are what one looks at first."""
    names = ("index.html", "report.md") if split == "test" else (f"{split}.html", f"{split}.md")
    return run.report / names[0], run.report / names[1]


def _templates(folder: Path) -> Environment:
    """Templates in which `picture` gives a file of the folder as an address that holds it."""

    def picture(name: str) -> str:
        kind = "jpeg" if name.endswith(".jpg") else "png"
        content = base64.b64encode((folder / name).read_bytes()).decode()
        return f"data:image/{kind};base64,{content}"

    environment = Environment(
        loader=PackageLoader("pipeline.evaluation"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = picture
    environment.filters["share"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["counted"] = counted
    environment.filters |= {"page": _page, "markdown": markdown, "code": code, "visible": visible}
    return environment


def _page(text: str) -> Markup:
    """A page of Markdown as HTML, that shows and loads nothing else, whoever wrote it."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return Markup(parser.disable(["image", "link", "autolink"]).render(text))  # noqa: S704


def _mistakes(
    run: Run, split: Split, predictions: Predictions, videos: Data
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


def _strips(run: Run, split: Split, videos: Data, chosen: set[int]) -> dict[int, bytes]:
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


def _data_report(videos: Data) -> str:
    """The report of preparing, without its title; nothing for a table of videos."""
    page = videos.path / "data_report.md"
    if not page.is_file():
        return ""
    return page.read_text(encoding="utf-8").removeprefix("# Data report").strip()
