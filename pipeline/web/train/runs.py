"""The runs of a workspace, with their figures and what differs between them."""

from __future__ import annotations

import csv
import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.evaluation.results import main_score
from pipeline.run import RUNS, Run
from pipeline.text import counted

_LEFT_OUT: Final = ("data", "seed")
_FOLDS: Final = "crossval.json"
_FOLDS_CONFIG: Final = "crossval.toml"


@dataclasses.dataclass(frozen=True)
class RunFigures:
    """A run as the list shows it.

    Attributes:
        name: Of its folder.
        score: Title of its main score; empty: it was not tested.
        value: The score, 0 to 1; None: not tested.
        interval: 95 % interval of it; None: there is none.
        about: What was tested, in words.
        settings: What it was trained with, by key.
        can_classify: Whether it was exported.
        has_report: Whether there is a page on its test.
    """

    name: str
    score: str
    value: float | None
    interval: Sequence[float] | None
    about: str
    settings: Mapping[str, Any]
    can_classify: bool
    has_report: bool


def all_runs(root: Path) -> list[RunFigures]:
    """The runs of a workspace, the latest first."""
    folder = root / RUNS
    if not folder.is_dir():
        return []
    found = [each for each in folder.iterdir() if each.is_dir() and _is_run(Run(each))]
    return [figures(Run(each)) for each in sorted(found, key=lambda each: -each.stat().st_mtime)]


def figures(run: Run) -> RunFigures:
    """What is known of a run."""
    folds = _json(run.folder / _FOLDS)
    test = folds or _json(run.metrics_file).get("test", {})
    score = main_score(test)
    return RunFigures(
        name=run.folder.name,
        score=score.title if score else "",
        value=score.value if score else None,
        interval=score.interval95 if score else None,
        about=_about(test),
        settings=_flat(_toml(run.folder / _FOLDS_CONFIG) or _toml(run.config_file)),
        can_classify=run.bundle_file.is_file() or run.fusion_file.is_file(),
        has_report=run.report_page.is_file(),
    )


def differing(runs: Sequence[RunFigures]) -> dict[str, list[str]]:
    """Settings that are not the same in all of some runs, with the value in each."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    values = {key: [str(run.settings.get(key, "–")) for run in runs] for key in keys}
    return {key: each for key, each in values.items() if len(set(each)) > 1}


def history(run: Run) -> list[dict[str, float]]:
    """Losses and metrics by epoch, so far."""
    try:
        with run.history_file.open(encoding="utf-8", newline="") as file:
            return [_numbers(row) for row in csv.DictReader(file)]
    except OSError:
        return []


def _is_run(run: Run) -> bool:
    files = run.config_file, run.fusion_file, run.metrics_file
    folds = run.folder / _FOLDS_CONFIG, run.folder / _FOLDS  # `auto` has settings for each fold.
    return any(each.is_file() for each in (*files, *folds))


def _about(test: Mapping[str, Any]) -> str:
    if not test:
        return "not tested"
    counts = {"fold": len(test.get("folds", ())), "video": test.get("num_videos", 0)}
    counts["recording"] = len(test.get("bouts", {}).get("recordings", ()))
    counts["group"] = test.get("num_groups", 0)
    return ", ".join(counted(number, name) for name, number in counts.items() if number)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a configuration by their dotted keys.

    Example:
        >>> _flat({"seed": 1, "clip": {"stride": 2}})
        {'clip.stride': 2}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= _flat(value, f"{name}.")
        elif name not in _LEFT_OUT:
            found[name] = value
    return found


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {key: float(value) for key, value in _given(row.items())}


def _given(items: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return ((key, value) for key, value in items if key and value)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
