"""What evaluation found, for people: pages, model cards and text for a terminal, by templates."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from pipeline.evaluation.intervals import FEWEST_GROUPS
from pipeline.evaluation.metrics import CAUTION
from pipeline.evaluation.results import (
    FusedResult,
    LabelResult,
    RecordingResult,
    Scores,
    VideoResult,
    score_title,
)
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.text import clock, code, counted, listed, markdown, visible


def write_page(
    run: Run, split: Split, data: Path, page: str, card: str, result: Scores, **facts: Any
) -> None:
    """Writes the page and the model card of a run.

    Args:
        run: The run, whose pictures are in its folder `report` by now.
        split: Which videos the figures are of.
        data: Folder or table of the videos.
        page: Template of the page.
        card: Template of the model card.
        result: What was found.
        **facts: What the templates name besides that and the facts of the run.
    """
    environment, epochs = run.environment(), run.history()
    facts |= {
        "run_name": shlex.quote(str(run.folder)),
        "class_names": run.class_names(),
        "has_curves": (run.report / "curves.png").is_file(),
        "environment": environment,
        "command": shlex.join(["python", *environment["command"]]),
        "epochs": {"number": len(epochs), "seconds": sum(row["seconds"] for row in epochs)},
        "config": run.config_file.read_text(encoding="utf-8"),
        "reads_in_order": run.config().temporal.kind,
        "data": run.config().data,
        "data_report": _data_report(data),
    }
    for file, template in zip(report_files(run, split), (page, card), strict=True):
        _write(file, template, run, split, result=result, fused=None, **facts)


def write_fused_page(
    run: Run,
    split: Split,
    class_names: Sequence[str],
    page: str,
    fused: FusedResult,
    **facts: Any,
) -> None:
    """Writes the page of a folder of fused runs, whose pictures are in its `report` by now."""
    facts |= {"class_names": class_names, "fused": fused, "result": fused.scores}
    _write(report_files(run, split)[0], page, run, split, **facts)


def _write(file: Path, template: str, run: Run, split: Split, **facts: Any) -> None:
    facts |= {"name": run.folder.resolve().name, "split": split, "caution": CAUTION.get(split, [])}
    text = _templates(run.report).get_template(template).render(**facts)
    file.write_text(text, encoding="utf-8")


def result_text(result: Scores | FusedResult, split: str) -> str:
    """A result as text for a terminal; `split` says which videos it is of."""
    return as_text(_TEXTS[type(result)], result=result, split=split, caution=CAUTION.get(split, []))


def as_text(template: str, **facts: Any) -> str:
    """A template of text for a terminal, filled, without an end of line at the end."""
    return _templates(Path()).get_template(template).render(**facts).rstrip("\n")


_TEXTS: Final[Mapping[type, str]] = {
    VideoResult: "video.txt",
    LabelResult: "labels.txt",
    RecordingResult: "frames.txt",
    FusedResult: "fused.txt",
}


def report_files(run: Run, split: Split) -> tuple[Path, Path]:
    """The page and the model card; those on the test are what one looks at first."""
    if split == "test":
        return run.report_page, run.report / "report.md"
    return run.report / f"{split}.html", run.report / f"{split}.md"


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
    environment.filters |= {"number": number, "listed": listed, "title_of": score_title}
    environment.filters["result_text"] = result_text
    environment.globals["fewest_groups"] = FEWEST_GROUPS
    environment.filters |= {"counted": counted, "clock": clock, "page": _page}
    environment.filters |= {"markdown": markdown, "code": code, "visible": visible}
    return environment


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many places; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _page(text: str) -> Markup:
    """A page of Markdown as HTML, that shows and loads nothing else, whoever wrote it."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return Markup(parser.disable(["image", "link", "autolink"]).render(text))  # noqa: S704


def _data_report(data: Path) -> str:
    """The report of preparing, without its title; nothing for a table of videos."""
    page = data / "data_report.md"
    if not page.is_file():
        return ""
    return page.read_text(encoding="utf-8").removeprefix("# Data report").strip()
