"""Several trained runs in one folder, which answers as one."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.config.values import expect, strictly
from pipeline.errors import ConfigError, DataError
from pipeline.inference.bundle import Bundle, checksum, expect_own_export, read_bundle
from pipeline.run import Run, is_run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Fusion, Rule
from pipeline.text import command

_FORMAT: Final = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fused:
    """What a folder of fused runs knows besides these.

    Attributes:
        rule: See `pipeline.tasks.fusion.Fusion`.
        temperatures: Likewise, besides the calibration of each run.
        calibration: Of the answers of all together.
        runs: Where each was trained, which evaluating and explaining take.
        members: The folder inside that holds a copy of each, as an export; empty: none does.
    """

    rule: Rule
    temperatures: tuple[float, ...]
    calibration: Calibration
    runs: tuple[str, ...]
    members: str = ""

    def fusion(self, bundles: Sequence[Bundle]) -> Fusion:
        """How the logits of the runs become one, of what each knows besides its model."""
        pairs = zip(self.temperatures, bundles, strict=True)
        temperatures = tuple(by * bundle.calibration.temperature for by, bundle in pairs)
        return Fusion(rule=self.rule, temperatures=temperatures)

    def copies(self, run: Run) -> list[Run]:
        """The copies of the runs in a folder of fused ones."""
        folder = run.folder / self.members
        return [Run(folder / str(number)) for number in range(1, len(self.runs) + 1)]


def write_fused(fused: Fused, run: Run) -> None:
    """Copies the exported models of runs into a folder, with what makes one of their answers.

    What is there stays until `fusion.json`, which names the folder of the copies, is replaced.

    Raises:
        DataError: A run is not exported to LiteRT or ONNX.
    """
    models = {each: _exported(each) for each in map(Run, map(Path, fused.runs))}
    new = run.folder / ".new-members"
    shutil.rmtree(new, ignore_errors=True)  # which a kill left
    try:
        for number, (each, model) in enumerate(models.items(), start=1):
            _copy(each, model, Run(new / str(number)))
        members = run.folder / f"members-{checksum(new)}"
        if not members.exists():
            new.rename(members)
        done = dataclasses.replace(fused, members=members.name)
        write_json(run.fusion_file, {"format": _FORMAT, **dataclasses.asdict(done)})
    finally:
        shutil.rmtree(new, ignore_errors=True)
    for other in set(run.folder.glob("members*")) - {members}:
        shutil.rmtree(other)


def _copy(run: Run, model: Path, target: Run) -> None:
    """Copies an export; whether it was exported again meanwhile is seen afterwards."""
    target.folder.mkdir(parents=True)
    shutil.copyfile(run.bundle_file, target.bundle_file)
    (shutil.copytree if model.is_dir() else shutil.copyfile)(model, target.folder / model.name)
    for folder in (run.pose, run.backbones):
        if folder.is_dir():
            shutil.copytree(folder, target.folder / folder.name)
    _exported(target)


def _exported(run: Run) -> Path:
    """The exported model of a run."""
    bundle, model = read_bundle(run), _model(run)
    if not model:
        raise DataError(f"{run.folder}: no exported model. Next: {run.export_command()}")
    expect_own_export(bundle, model)
    return model


def read_fused(run: Run) -> Fused:
    """Reads what a folder of fused runs knows, whoever made it: each key is checked.

    Raises:
        DataError: It is damaged, or of another version.
    """
    again = (
        f"Fuse its runs again: {command('fuse', 'RUN', 'RUN', '--out', run.folder, '--overwrite')}"
    )
    try:
        content = json.loads(run.fusion_file.read_bytes())
        if content.pop("format") != _FORMAT:
            raise DataError(f"{run.fusion_file}: of another version. {again}")
        fused = strictly(Fused, content, "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError):
        raise DataError(f"{run.fusion_file}: damaged. {again}") from None
    is_inside = re.fullmatch("members-[0-9a-f]+", fused.members)
    if not (is_inside and len(fused.temperatures) == len(fused.runs) > 0):
        raise DataError(f"{run.fusion_file}: damaged. {again}")
    for folder, copy in zip(fused.runs, fused.copies(run), strict=True):
        if not _model(copy):
            raise DataError(f"{run.folder}: the copy of {folder} is not there. {again}")
    return fused


def trained_runs(run: Run, fused: Fused) -> list[Run]:
    """The runs that were fused, where they were trained; an export of each is all the folder has.

    Args:
        run: The folder of fused runs.
        fused: What it knows.

    Raises:
        DataError: One is not there, or not the one that was fused.
    """
    found = [Run(Path(folder)) for folder in fused.runs]
    for each, copied in zip(found, fused.copies(run), strict=True):
        if not is_run(each.folder):
            raise DataError(
                f"{each.folder}: not there, and this takes each of the fused runs, where it was "
                "trained"
            )
        copy = _exported(copied)
        model = each.folder / copy.name
        if not model.exists() or checksum(model) != checksum(copy):
            raise DataError(
                f"{each.folder} was trained or exported again since it was fused. Fuse it again: "
                f"{command('fuse', *fused.runs, '--out', run.folder, '--overwrite')}"
            )
    return found


def _model(run: Run) -> Path | None:
    """The exported model of a run; None: there is none."""
    return next((path for path in (run.litert_file, run.onnx) if path.exists()), None)


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
        return found.copies(runs[0]), found
    if fused:
        raise ConfigError(f"{fused[0].folder} is fused already. Name its runs instead")
    expect(bool(runs), "expected a run", 0)
    return list(runs), Fused(
        rule=rule,
        temperatures=(1.0,) * len(runs),
        calibration=Calibration(),
        runs=tuple(str(run.folder) for run in runs),
    )
