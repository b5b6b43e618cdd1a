"""Several trained runs in one folder, which answers as one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.config.checks import expect
from pipeline.config.strict import strictly
from pipeline.errors import ConfigError, DataError
from pipeline.inference.bundle import read_bundle
from pipeline.run import Run, is_run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Rule
from pipeline.text import command

_FORMAT: Final = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fused:
    """What a folder of fused runs knows besides these.

    Attributes:
        rule: See `pipeline.tasks.fusion.Fusion`.
        weights: Likewise.
        temperatures: Likewise, besides the calibration of each run.
        calibration: Of the answers of all together.
        runs: Where each was trained, which evaluating and explaining take.
    """

    rule: Rule
    weights: tuple[float, ...]
    temperatures: tuple[float, ...]
    calibration: Calibration
    runs: tuple[str, ...]


def member_run(run: Run, number: int) -> Run:
    """One of the runs in a folder of fused ones, by its number from 0: an export."""
    return Run(run.members / str(number + 1))


def write_fused(fused: Fused, run: Run) -> None:
    """Copies the exported models of runs into a folder, with what makes one of their answers.

    What is there stays until all of them can be copied.

    Raises:
        DataError: A run is not exported to LiteRT or ONNX.
    """
    models = {each: _exported(each) for each in map(Run, map(Path, fused.runs))}
    if run.members.exists():
        shutil.rmtree(run.members)
    for number, (each, model) in enumerate(models.items()):
        target = member_run(run, number)
        target.folder.mkdir(parents=True)
        shutil.copyfile(each.bundle_file, target.bundle_file)
        (shutil.copytree if model.is_dir() else shutil.copyfile)(model, target.folder / model.name)
        for folder in (each.pose, each.backbones):
            if folder.is_dir():
                shutil.copytree(folder, target.folder / folder.name)
    write_json(run.fusion_file, {"format": _FORMAT, **dataclasses.asdict(fused)})


def _exported(run: Run) -> Path:
    """The exported model of a run."""
    read_bundle(run)
    model = run.litert_file if run.litert_file.is_file() else run.onnx
    if not model.exists():
        raise DataError(f"{run.folder}: no exported model. Next: {run.export_command()}")
    return model


def read_fused(run: Run) -> Fused:
    """Reads what a folder of fused runs knows, whoever made it: each key is checked.

    Raises:
        DataError: It is damaged, or of another version.
    """
    again = f"Fuse its runs again: {command('fuse', 'RUN', 'RUN', '--out', run.folder)}"
    try:
        content = json.loads(run.fusion_file.read_bytes())
        if content.pop("format") != _FORMAT:
            raise DataError(f"{run.fusion_file}: of another version. {again}")
        fused = strictly(Fused, content, "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError):
        raise DataError(f"{run.fusion_file}: damaged. {again}") from None
    if not len(fused.weights) == len(fused.temperatures) == len(fused.runs) > 0:
        raise DataError(f"{run.fusion_file}: damaged. {again}")
    return fused


def trained_runs(fused: Fused) -> list[Run]:
    """The runs that were fused, where they were trained; an export of each is all the folder has.

    Raises:
        DataError: One is not there.
    """
    for folder in map(Path, fused.runs):
        if not is_run(folder):
            raise DataError(
                f"{folder}: not there, and this takes each of the fused runs, where it was trained"
            )
    return [Run(Path(folder)) for folder in fused.runs]


def members_of(runs: Sequence[Run], rule: Rule) -> tuple[list[Run], Fused | None]:
    """The runs that have a model, and how their answers become one, if that is asked for.

    Args:
        runs: A folder of fused runs, one run, or several.
        rule: How the answers of several are fused.

    Raises:
        ConfigError: There is none, or one of several is fused already.
        DataError: A folder of fused runs is damaged.
    """
    fused = [run for run in runs if run.fusion_file.is_file()]
    if len(runs) == 1:
        if not fused:
            return list(runs), None
        found = read_fused(runs[0])
        return [member_run(runs[0], number) for number in range(len(found.runs))], found
    if fused:
        raise ConfigError(f"{fused[0].folder} is fused already. Name its runs instead")
    expect(bool(runs), "expected a run", 0)
    return list(runs), Fused(
        rule=rule,
        weights=(1.0,) * len(runs),
        temperatures=(1.0,) * len(runs),
        calibration=Calibration(),
        runs=tuple(str(run.folder) for run in runs),
    )
