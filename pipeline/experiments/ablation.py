"""The worth of each stage: cross-validation with it and without it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import NO_AUGMENT, BackboneConfig, RunConfig
from pipeline.config.file import differing, flatten, with_values
from pipeline.dataset.videos import open_data
from pipeline.errors import check_known
from pipeline.evaluation.intervals import difference_interval
from pipeline.experiments.crossval import Answers, cross_validate, read_answers
from pipeline.locks import alone


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of the pipeline, as it is switched on and off.

    Attributes:
        name: In words.
        off: Values by dotted key that switch it off.
        on: Values that switch it on, where a configuration has it off.
    """

    name: str
    off: Mapping[str, Any]
    on: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(" ", "-").lower()


def stages(config: RunConfig) -> list[Stage]:
    """The stages that matter to a configuration."""
    no_dropout = {
        "model.dropout": 0.0,
        "temporal.dropout": 0.0,
        "temporal.input_dropout": 0.0,
        "temporal.recurrent_dropout": 0.0,
        **_backbones(config, lambda _: {"spatial_dropout": 0.0}),
    }
    half = {
        **_backbones(config, lambda each: {"filters": tuple(max(1, n // 2) for n in each.filters)}),
        "temporal.units": max(1, config.temporal.units // 2),
    }
    whole = {
        **_backbones(config, lambda each: {"filters": each.filters}),
        "temporal.units": config.temporal.units,
    }
    plain = _backbones(config, lambda _: {"normalisation": "off", "normalise_features": False})
    usual = _backbones(config, lambda _: {"normalisation": "before", "normalise_features": True})
    found = [
        Stage("augmentation", _augment(NO_AUGMENT), _augment(RunConfig().augment)),
        Stage("dropout", no_dropout, {"model.dropout": 0.3, "temporal.dropout": 0.3}),
        Stage("batch normalisation", plain, usual),
        Stage(
            "L1 and L2", {"model.l1": 0.0, "model.l2": 0.0}, {"model.l1": 1e-6, "model.l2": 1e-4}
        ),
        Stage("weight decay", {"train.weight_decay": 0.0}, {"train.weight_decay": 1e-2}),
        Stage("early stopping", {"split.val_folds": 0}, {"split.val_folds": 6}),
        Stage("smaller model", whole, half),
        Stage("label smoothing", {"train.label_smoothing": 0.0}, {"train.label_smoothing": 0.1}),
        Stage("weight averaging", {"train.averaging": 0.0}, {"train.averaging": 0.99}),
        Stage("motion input", {"model.streams": ("rgb",)}, {"model.streams": ("difference",)}),
        Stage("order of frames", {"temporal.kind": "mean"}, {"temporal.kind": "lstm"}),
    ]
    # Features that are stored are of one frame each.
    return [
        stage for stage in found if stage.name != "motion input" or not config.train.cache_features
    ]


def _backbones(
    config: RunConfig, values: Callable[[BackboneConfig], dict[str, Any]]
) -> dict[str, Any]:
    """Values of every backbone by dotted key."""
    own = {f"backbone.{stream}": backbone for stream, backbone in config.backbones.items()}
    return {
        f"{place}.{name}": value
        for place, backbone in {"backbone": config.backbone, **own}.items()
        for name, value in values(backbone).items()
    }


def _augment(config: Any) -> dict[str, Any]:
    return flatten({"augment": dataclasses.asdict(config)})


def ablate(
    config: RunConfig, folder: Path, chosen: Sequence[str] = (), *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Cross-validates a configuration, and again with each stage the other way round.

    Args:
        config: The run of each fold; `split.folds` says how many there are.
        folder: Where they go, a cross-validation each; what was finished before is kept.
        chosen: Names of the stages; empty: all.
        overwrite: Whether cross-validations with other settings that are there are replaced.

    Returns:
        A row for each stage, which `ablation.csv` holds as well: `stage`, accuracy `with` it and
        `without` it, their `difference`, its 95 % interval over groups (`low`, `high`), and the
        seconds of each. The first row is the configuration itself.

    Raises:
        ConfigError: As `cross_validate`, or a stage is not known, or another process is at it.
        DataError: The data set cannot be used.
    """
    check_known(chosen, [stage.name for stage in stages(config)], "--stages")
    with alone(folder, "measuring stages in", "name another folder (--out)"):
        return _ablate(config, folder, chosen, overwrite=overwrite)


def _ablate(
    config: RunConfig, folder: Path, chosen: Sequence[str], *, overwrite: bool
) -> list[dict[str, Any]]:
    base, base_answers = _measure(config, folder / "base", overwrite=overwrite)
    rows = [{"stage": "as configured", "with": base["top1"], "seconds_with": base["seconds"]}]
    for stage in stages(config):
        if chosen and stage.name not in chosen:
            continue
        without = with_values(config, stage.off, stage.name)
        is_on = bool(differing(config, without))
        other = without if is_on else with_values(config, stage.on, stage.name)
        print(f"{stage.name}: {'off' if is_on else 'on'}", flush=True)
        result, answers = _measure(other, folder / stage.slug, overwrite=overwrite)
        pairs = (base, base_answers), (result, answers)
        rows.append(_row(stage, *(pairs if is_on else reversed(pairs))))
        _write(rows, folder / "ablation.csv")
    return rows


def _measure(config: RunConfig, folder: Path, *, overwrite: bool) -> tuple[dict[str, Any], Answers]:
    result = cross_validate(config, folder, overwrite=overwrite)
    data = open_data(Path(config.data), config.frames)
    return result, read_answers(folder, data.class_names)


def _row(
    stage: Stage, have: tuple[dict[str, Any], Answers], lack: tuple[dict[str, Any], Answers]
) -> dict[str, Any]:
    difference, groups = _difference(have[1], lack[1])
    low, high = difference_interval(difference, groups) or (None, None)
    return {
        "stage": stage.name,
        "with": have[0]["top1"],
        "without": lack[0]["top1"],
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "seconds_with": have[0]["seconds"],
        "seconds_without": lack[0]["seconds"],
    }


def _difference(have: Answers, lack: Answers) -> tuple[np.ndarray, list[str]]:
    """By video, 1: right only with the stage, -1: only without it, float (N,); and its groups."""
    without = dict(zip(lack.videos, lack.correct, strict=True))
    before = np.array([without[video] for video in have.videos], float)
    return have.correct - before, have.groups


def _write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[-1])
        writer.writeheader()
        writer.writerows(rows)
