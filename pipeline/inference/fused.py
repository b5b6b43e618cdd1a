"""Several trained runs in one folder, which answers as one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.config.strict import strictly
from pipeline.errors import ConfigError, DataError
from pipeline.inference.bundle import read_bundle
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Rule
from pipeline.text import command

_FORMAT: Final = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fused:
    """What a folder of fused runs knows besides these.

    Attributes:
        rule: See `pipeline.tasks.fusion.Fusion`.
        weights: Likewise.
        calibration: Of the answers of all together.
        runs: Where each was trained, which evaluating takes.
    """

    rule: Rule
    weights: tuple[float, ...]
    calibration: Calibration
    runs: tuple[str, ...]


def member_run(run: Run, number: int) -> Run:
    """One of the runs in a folder of fused ones, by its number from 0: an export."""
    return Run(run.members / str(number + 1))


def write_fused(fused: Fused, run: Run) -> None:
    """Copies the exported models of runs into a folder, with what makes one of their answers.

    Raises:
        DataError: A run is not exported to LiteRT or ONNX.
    """
    if run.members.exists():
        shutil.rmtree(run.members)
    for number, each in enumerate(map(Run, map(Path, fused.runs))):
        read_bundle(each)
        model = each.litert_file if each.litert_file.is_file() else each.onnx
        each.expect(each.bundle_file)
        if not model.exists():
            raise DataError(f"{each.folder}: no exported model. Next: {each.export_command()}")
        target = member_run(run, number)
        target.folder.mkdir(parents=True)
        shutil.copyfile(each.bundle_file, target.bundle_file)
        (shutil.copytree if model.is_dir() else shutil.copyfile)(model, target.folder / model.name)
        for folder in (each.pose, each.backbones):
            if folder.is_dir():
                shutil.copytree(folder, target.folder / folder.name)
    write_json(run.fusion_file, {"format": _FORMAT, **dataclasses.asdict(fused)})


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
    if not len(fused.weights) == len(fused.runs) > 0:
        raise DataError(f"{run.fusion_file}: damaged. {again}")
    return fused
