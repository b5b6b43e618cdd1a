"""What the pages on runs have in common: their templates, and how a run was made."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from pipeline.evaluation.metrics import CAUTION
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.text import clock, code, counted, markdown, visible


def write_page(
    run: Run, split: Split, data: Path, page: str, card: str, facts: Mapping[str, Any]
) -> None:
    """Writes the page and the model card of a run.

    Args:
        run: The run, whose pictures are in its folder `report` by now.
        split: Which videos the figures are of.
        data: Folder or table of the videos.
        page: Template of the page.
        card: Template of the model card.
        facts: What they name besides the facts of the run.
    """
    environment, epochs = run.environment(), run.history()
    of_run = {
        "run": run,
        "name": run.folder.resolve().name,
        "run_name": shlex.quote(str(run.folder)),
        "split": split,
        "is_fused": False,
        "class_names": run.class_names(),
        "caution": CAUTION.get(split, []),
        "has_curves": (run.report / "curves.png").is_file(),
        "environment": environment,
        "command": shlex.join(["python", *environment["command"]]),
        "epochs": {"number": len(epochs), "seconds": sum(row["seconds"] for row in epochs)},
        "config": run.config_file.read_text(encoding="utf-8"),
        "data": run.config().data,
        "data_report": _data_report(data),
    }
    for file, template in zip(report_files(run, split), (page, card), strict=True):
        text = _templates(run.report).get_template(template).render(of_run, **facts)
        file.write_text(text, encoding="utf-8")


def write_fused_page(
    run: Run, split: Split, class_names: Sequence[str], page: str, facts: Mapping[str, Any]
) -> None:
    """Writes the page of a folder of fused runs, whose pictures are in its `report` by now."""
    of_run = {
        "name": run.folder.resolve().name,
        "split": split,
        "class_names": class_names,
        "caution": CAUTION.get(split, []),
        "is_fused": True,
    }
    text = _templates(run.report).get_template(page).render(of_run, **facts)
    report_files(run, split)[0].write_text(text, encoding="utf-8")


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
    environment.filters["share"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters |= {"counted": counted, "clock": clock, "page": _page}
    environment.filters |= {"markdown": markdown, "code": code, "visible": visible}
    return environment


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
