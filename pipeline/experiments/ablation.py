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
from pipeline.dataset.videos import resolve
from pipeline.errors import DataError, check_known
from pipeline.evaluation.intervals import difference_interval
from pipeline.evaluation.results import Measured, TriedResult, VariantResult, as_json
from pipeline.experiments.crossval import (
    Folds,
    begin_folds,
    in_folds,
    predictions_of_folds,
    summarise,
    tell_fold,
)
from pipeline.experiments.jobs import HERE, Executor, Job, measure_all
from pipeline.experiments.runs import Experiment, begin, measured_before
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
    """A run that differs from the one that is configured.

    Attributes:
        name: By which it is chosen.
        title: What it is, in words.
        values: By dotted key what it differs in.
    """

    name: str
    title: str
    values: Mapping[str, Any]


_AS_CONFIGURED: Final = Variant("as configured", "as configured", {})


@held_open()
def ablate(
    config: RunConfig,
    folder: Path,
    chosen: Sequence[str] = (),
    *,
    overwrite: bool = False,
    executor: Executor = HERE,
) -> list[VariantResult]:
    """Measures a configuration, and again with each stage the other way round.

    Where there is an answer at every frame, it compares temporal parts instead.

    Args:
        config: The run. With `split.folds` all are cross-validated; without it, one that answers at
            every frame is trained once and measured on the validation recordings, any other in 5
            folds.
        folder: Where they go; what was finished before is kept.
        chosen: Names of the stages, or of what is compared; empty: all.
        overwrite: Whether those with other settings that are there are replaced.
        executor: Who works on them. Several calls in one folder share them.

    Returns:
        A row for each, which `ablation.csv` holds as well; the first is the configuration itself.

    Raises:
        ConfigError: As `cross_validate`, or a stage is not known, or another process is at it.
        DataError: The data set cannot be used, or has nothing to measure on.
    """
    data, config = resolve(config)
    config = config if config.model.per_frame else in_folds(config)
    known = variants(config)
    check_known(chosen, [each.name for each in known], "--stages")
    if not config.split.folds and "val" not in data.num_videos:
        raise DataError(
            f"{data.path} has no validation recordings to compare on. Hold some out "
            "(--split.val_folds 5), or cross-validate (--split.folds 5)"
        )
    with in_turn(folder, "beginning in"):
        facts = {"data": data.fingerprint}
        config = begin(_EXPERIMENT, config, folder, facts, overwrite=overwrite)
    others = [each for each in known if not chosen or each.name in chosen]
    compared = [
        (variant.title, _begun(variant, config, data, folder, overwrite=overwrite))
        for variant in (_AS_CONFIGURED, *others)
    ]
    measure_all([job for _, each in compared for job in _jobs(each)], tell_fold, executor)
    rows = _rows(compared)
    write_rows(rows, folder / "ablation.csv")
    return rows


def _begun(
    variant: Variant, config: RunConfig, data: PreparedDataset, folder: Path, *, overwrite: bool
) -> Folds | Job:
    """What is to be measured of a variant."""
    changed = with_values(config, variant.values, variant.name)
    place = folder / f"variant-{variant.name.replace(' ', '-')}"
    if not config.split.folds:
        return Job(variant.title, changed, data.fingerprint, Run(place), "val")
    try:
        return begin_folds(changed, place, title=variant.title, overwrite=overwrite)
    except DataError as error:
        raise DataError(
            f"{variant.title}: {error}. --stages names what is to be compared"
        ) from None


def _jobs(begun: Folds | Job) -> Sequence[Job]:
    return [begun] if isinstance(begun, Job) else begun.jobs


def _measured(begun: Folds | Job) -> Measured:
    """What was measured on validation or, where there are folds, on all of them."""
    if isinstance(begun, Job):
        return measured_before(begun.run) or Measured({}, 0.0)
    result = summarise(begun)
    return Measured(result.scores.named, result.seconds)


def _rows(compared: Sequence[tuple[str, Folds | Job]]) -> list[VariantResult]:
    """What was measured of each, and how far it is from the first."""
    first = compared[0][1]
    base = _measured(first).main.value
    rows = []
    for title, begun in compared:
        found = _measured(begun)
        value, ends = found.main.value, None
        if isinstance(begun, Folds) and isinstance(first, Folds) and begun is not first:
            ends = _interval(begun, first)
        difference = None if value is None or base is None else value - base
        low, high = ends or (None, None)
        rows.append(VariantResult(title, found.scores, difference, low, high, found.seconds))
    return rows


def _interval(folds: Folds, base: Folds) -> list[float] | None:
    """That of the difference of two cross-validations, video by video; None: of other tasks."""
    if folds.config.model.task != "video":
        return None
    found, before = predictions_of_folds(folds.folder), predictions_of_folds(base.folder)
    was_right = dict(zip(before.names, before.correct, strict=True))
    differences = found.correct - np.array([was_right[name] for name in found.names], float)
    return difference_interval(differences, found.groups)


def write_rows(results: Sequence[VariantResult | TriedResult], path: Path) -> None:
    """Writes a table as CSV."""
    rows = [as_json(each) for each in results]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[-1]])
        writer.writeheader()
        writer.writerows(rows)


def variants(config: RunConfig) -> list[Variant]:
    """What to compare with a configuration, each of which differs from it."""
    if not config.model.per_frame:
        return [stage.switched(config) for stage in stages(config)]
    seen, others = [config], []
    for name, values in _temporal_parts(config.clip.num_frames).items():
        changed = with_values(config, values, name)
        changed.check_task()
        if all(differing(changed, other) for other in seen):
            seen.append(changed)
            others.append(Variant(name, name, values))
    return others


def _temporal_parts(length: int) -> dict[str, Mapping[str, Any]]:
    """What a temporal part may be, in windows of so many frames, or of others."""
    lengths = max(2, length // 2), min(512, 2 * length)
    return {
        "without smoothing": _ROUGH,
        "tcn": _TCN,
        "tcn without smoothing": {**_TCN, **_ROUGH},
        "one stage": {"temporal.stages": 1},
        "lstm": _LSTM,
        "lstm without smoothing": {**_LSTM, **_ROUGH},
        "bilstm": {**_LSTM, "temporal.kind": "bilstm"},
        **{f"windows of {each} frames": {"clip.num_frames": each} for each in lengths},
    }


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

    def switched(self, config: RunConfig) -> Variant:
        """A configuration with the stage the other way round."""
        is_on = bool(differing(config, with_values(config, self.off, self.name)))
        title = f"{'without' if is_on else 'with'} {self.name}"
        return Variant(self.name, title, self.off if is_on else self.on)


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
    void = set()
    if config.train.cache_features:  # Features that are stored are of one frame each.
        void.add("motion input")
    if config.is_linear:  # There are no steps to average.
        void.add("weight averaging")
    return [stage for stage in found if stage.name not in void]


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
