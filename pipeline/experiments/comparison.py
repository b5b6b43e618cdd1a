"""Temporal parts beside each other, for runs that answer at every frame."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.config import RunConfig
from pipeline.config.file import differing, with_values
from pipeline.errors import DataError
from pipeline.evaluation.main_score import main_score
from pipeline.experiments.crossval import Folds, begin_folds, summarise, tell_fold
from pipeline.experiments.pieces import HERE, Piece, Spread, measure_all
from pipeline.experiments.runs import Experiment, begin, done_before, scores_of
from pipeline.locks import in_turn
from pipeline.prepare.prepared import PreparedDataset
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
    spread: Spread = HERE,
) -> list[dict[str, Any]]:
    """Measures a configuration and its variants, see `pipeline.experiments.ablation.ablate`.

    Args:
        config: The run, of which the task is known.
        data: Its data set.
        folder: Where the runs go.
        chosen: Names of the variants; empty: all.
        overwrite: Whether other runs that are there are replaced.
        spread: Who works on them.

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
            else Piece(variant.name, changed, data.fingerprint, Run(place), "val")
        )
    pieces = [
        piece
        for each in begun.values()
        for piece in (each.pieces if isinstance(each, Folds) else [each])
    ]
    measure_all(pieces, tell_fold, spread)
    rows: list[dict[str, Any]] = []
    main = main_score(config.model.task)
    for name, each in begun.items():
        scores = _scores(each)
        seconds = scores.pop("seconds")
        value, base = scores[main.name], rows[0][main.name] if rows else scores[main.name]
        difference = None if value is None or base is None else value - base
        rows.append({"variant": name, **scores, "difference": difference, "seconds": seconds})
    write_rows(rows, folder / "ablation.csv")
    return rows


def _scores(begun: Folds | Piece) -> dict[str, Any]:
    """Scores on validation or, where there are folds, on all of them; and `seconds`."""
    if isinstance(begun, Piece):
        return done_before(begun.run) or {}
    result, main = summarise(begun), main_score(begun.config.model.task)
    return {**scores_of(result, main), "seconds": result["seconds"]}


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes a table as CSV; its columns are those of the last row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[-1]])
        writer.writeheader()
        writer.writerows(rows)
