"""The worth of each stage: cross-validation with it and without it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.config import NO_AUGMENT, BackboneConfig, RunConfig
from pipeline.config.file import differing, flatten, with_values
from pipeline.dataset.videos import open_of_run
from pipeline.errors import DataError, check_known
from pipeline.evaluation.intervals import difference_interval
from pipeline.evaluation.main_score import main_score
from pipeline.experiments.crossval import (
    Folds,
    begin_folds,
    in_folds,
    predictions_of_folds,
    summarise,
    tell_fold,
)
from pipeline.experiments.jobs import HERE, Executor, Job, measure_all
from pipeline.experiments.runs import Experiment, Measured, begin, measured_before, scores_of
from pipeline.locks import in_turn
from pipeline.prepare.prepared import PreparedDataset, held_open
from pipeline.run import Run

_EXPERIMENT: Final = Experiment("ablation", "an ablation", "variant-*")
ONE_WAY: Final = {"temporal.causal": False, "temporal.stages": 1}
"""What a temporal part that is no `tcn` takes."""
_LSTM: Final = {**ONE_WAY, "temporal.kind": "lstm", "temporal.layers": 1}
_TCN: Final = {"temporal.kind": "tcn", "temporal.layers": 5, "temporal.stages": 2}
_ROUGH: Final = {"train.transition_penalty": 0.0}


@dataclasses.dataclass(frozen=True)
class Variant:
    """A run that differs from the others.

    Attributes:
        name: In words.
        values: By dotted key what it differs in.
    """

    name: str
    values: Mapping[str, Any]


def variants(config: RunConfig) -> list[Variant]:
    """What to compare with a configuration, each of which differs from it."""
    length = config.clip.num_frames
    lengths = max(2, length // 2), min(512, 2 * length)
    found = [
        Variant("without smoothing", _ROUGH),
        Variant("tcn", _TCN),
        Variant("tcn without smoothing", {**_TCN, **_ROUGH}),
        Variant("one stage", {"temporal.stages": 1}),
        Variant("lstm", _LSTM),
        Variant("lstm without smoothing", {**_LSTM, **_ROUGH}),
        Variant("bilstm", {**_LSTM, "temporal.kind": "bilstm"}),
        *(Variant(f"windows of {each} frames", {"clip.num_frames": each}) for each in lengths),
    ]
    seen, others = [config], []
    for variant in found:
        changed = with_values(config, variant.values, variant.name)
        changed.check_task()
        if all(differing(changed, other) for other in seen):
            seen.append(changed)
            others.append(variant)
    return others


def compare(
    config: RunConfig,
    data: PreparedDataset,
    folder: Path,
    chosen: Sequence[str],
    *,
    overwrite: bool,
    executor: Executor = HERE,
) -> list[dict[str, Any]]:
    """Measures a configuration and its variants, see `pipeline.experiments.ablation.ablate`.

    Args:
        config: The run, of which the task is known.
        data: Its data set.
        folder: Where the runs go.
        chosen: Names of the variants; empty: all.
        overwrite: Whether other runs that are there are replaced.
        executor: Who works on them.

    Raises:
        ConfigError: The folder holds something else.
        DataError: There are no recordings to measure on.
    """
    if not config.split.folds and "val" not in data.num_videos:
        raise DataError(
            f"{data.path} has no validation recordings to compare on. Hold some out "
            "(--split.val_folds 5), or cross-validate (--split.folds 5)"
        )
    facts = {"data": data.fingerprint}
    with in_turn(folder, "beginning in"):
        config = begin(_EXPERIMENT, config, folder, facts, overwrite=overwrite)
    others = [each for each in variants(config) if not chosen or each.name in chosen]
    begun = {}
    for variant in (Variant("as configured", {}), *others):
        changed = with_values(config, variant.values, variant.name)
        place = folder / f"variant-{variant.name.replace(' ', '-')}"
        begun[variant.name] = (
            begin_folds(changed, place, title=variant.name, overwrite=overwrite)
            if config.split.folds
            else Job(variant.name, changed, data.fingerprint, Run(place), "val")
        )
    jobs = [
        job for each in begun.values() for job in (each.jobs if isinstance(each, Folds) else [each])
    ]
    measure_all(jobs, tell_fold, executor)
    rows: list[dict[str, Any]] = []
    main = main_score(config.model.task)
    for name, each in begun.items():
        found = _measured(each)
        value, base = found.scores[main.name], (rows[0] if rows else found.scores)[main.name]
        difference = None if value is None or base is None else value - base
        rows.append(
            {"variant": name, **found.scores, "difference": difference, "seconds": found.seconds}
        )
    write_rows(rows, folder / "ablation.csv")
    return rows


def _measured(begun: Folds | Job) -> Measured:
    """What was measured on validation or, where there are folds, on all of them."""
    if isinstance(begun, Job):
        return measured_before(begun.run) or Measured({}, 0.0)
    result, main = summarise(begun), main_score(begun.config.model.task)
    return Measured(scores_of(result, main), result["seconds"])


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes a table as CSV; its columns are those of the last row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[-1]])
        writer.writeheader()
        writer.writerows(rows)


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
        Stage("weight averaging", {"train.ema_momentum": 0.0}, {"train.ema_momentum": 0.99}),
        Stage("motion input", {"model.streams": ("rgb",)}, {"model.streams": ("difference",)}),
        Stage("order of frames", {**ONE_WAY, "temporal.kind": "mean"}, {"temporal.kind": "lstm"}),
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


@held_open()
def ablate(
    config: RunConfig,
    folder: Path,
    chosen: Sequence[str] = (),
    *,
    overwrite: bool = False,
    executor: Executor = HERE,
) -> list[dict[str, Any]]:
    """Cross-validates a configuration, and again with each stage the other way round.

    Where there is an answer at every frame, it compares temporal parts instead: each is trained
    once and measured on the validation recordings or, with `split.folds`, cross-validated.

    Args:
        config: The run; `split.folds` says how many folds there are, or else 5.
        folder: Where they go, a cross-validation or a run each; what was finished before is kept.
        chosen: Names of the stages, or of what is compared; empty: all.
        overwrite: Whether those with other settings that are there are replaced.
        executor: Who works on them. Several calls in one folder share them.

    Returns:
        A row for each stage, which `ablation.csv` holds as well: `stage`, the main score of the
        task `with` it and `without` it, their `difference`, of task video its 95 % interval over
        groups (`low`, `high`), and the seconds of each. The first row is the configuration itself.
        Of answers at every frame, a row for each `variant`: its scores by name, the `difference` of
        the main one to that of the first row, which is the configuration itself, and `seconds`.

    Raises:
        ConfigError: As `cross_validate`, or a stage is not known, or another process is at it.
        DataError: The data set cannot be used, or has nothing to measure on.
    """
    config, data = open_of_run(config)
    known = variants(config) if config.model.per_frame else stages(config)
    check_known(chosen, [each.name for each in known], "--stages")
    if config.model.per_frame:
        return compare(config, data, folder, chosen, overwrite=overwrite, executor=executor)
    return _ablate(in_folds(config), folder, chosen, overwrite=overwrite, executor=executor)


def _ablate(
    config: RunConfig, folder: Path, chosen: Sequence[str], *, overwrite: bool, executor: Executor
) -> list[dict[str, Any]]:
    others = [
        (stage, *_switched(config, stage))
        for stage in stages(config)
        if not chosen or stage.name in chosen
    ]
    begun = [begin_folds(config, folder / "base", title="as configured", overwrite=overwrite)]
    for stage, other, is_on in others:
        title = f"{stage.name} {'off' if is_on else 'on'}"
        begun.append(_begun(title, other, folder / stage.slug, overwrite=overwrite))
    measure_all([job for folds in begun for job in folds.jobs], tell_fold, executor)
    base, *found = ((folds, _measured(folds)) for folds in begun)
    main = main_score(config.model.task)
    rows: list[dict[str, Any]] = [
        {
            "stage": "as configured",
            "with": base[1].scores[main.name] or 0.0,
            "seconds_with": base[1].seconds,
        }
    ]
    for (stage, _, is_on), result in zip(others, found, strict=True):
        rows.append(_row(stage, main.name, *((base, result) if is_on else (result, base))))
    write_rows(rows, folder / "ablation.csv")
    return rows


def _begun(title: str, config: RunConfig, folder: Path, *, overwrite: bool) -> Folds:
    try:
        return begin_folds(config, folder, title=title, overwrite=overwrite)
    except DataError as error:
        raise DataError(f"{title}: {error}. --stages names what is to be compared") from None


def _switched(config: RunConfig, stage: Stage) -> tuple[RunConfig, bool]:
    """A configuration with a stage the other way round, and whether it was on."""
    without = with_values(config, stage.off, stage.name)
    is_on = bool(differing(config, without))
    return (without if is_on else with_values(config, stage.on, stage.name)), is_on


def _row(
    stage: Stage, main: str, have: tuple[Folds, Measured], lack: tuple[Folds, Measured]
) -> dict[str, Any]:
    """A stage, by what was measured with it and without it."""
    with_it, without = (found.scores[main] or 0.0 for _, found in (have, lack))
    low, high = None, None
    if have[0].config.model.task == "video":
        difference, groups = _difference(have[0].folder, lack[0].folder)
        low, high = difference_interval(difference, groups) or (None, None)
    return {
        "stage": stage.name,
        "with": with_it,
        "without": without,
        "difference": with_it - without,
        "low": low,
        "high": high,
        "seconds_with": have[1].seconds,
        "seconds_without": lack[1].seconds,
    }


def _difference(have: Path, lack: Path) -> tuple[np.ndarray, Sequence[str]]:
    """By video, 1: right only with the stage, -1: only without it, float (N,); and its groups."""
    found, others = predictions_of_folds(have), predictions_of_folds(lack)
    without = dict(zip(others.names, others.correct, strict=True))
    before = np.array([without[name] for name in found.names], float)
    return found.correct - before, found.groups
