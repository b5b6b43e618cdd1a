"""Several trained runs in one folder, which answers as one."""

from __future__ import annotations

import dataclasses
import filecmp
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.config.checks import expect
from pipeline.config.strict import strictly
from pipeline.errors import ConfigError, DataError
from pipeline.inference.bundle import Bundle, read_bundle
from pipeline.run import Run, is_run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Fusion, Rule
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

    def fusion(self, bundles: Sequence[Bundle]) -> Fusion:
        """How the logits of the runs become one, of what each knows besides its model."""
        pairs = zip(self.temperatures, bundles, strict=True)
        temperatures = tuple(by * bundle.calibration.temperature for by, bundle in pairs)
        return Fusion(rule=self.rule, weights=self.weights, temperatures=temperatures)


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
    model = _model(run)
    if not model:
        raise DataError(f"{run.folder}: no exported model. Next: {run.export_command()}")
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
    if not len(fused.weights) == len(fused.temperatures) == len(fused.runs) > 0:
        raise DataError(f"{run.fusion_file}: damaged. {again}")
    for number, folder in enumerate(fused.runs):
        if not _model(member_run(run, number)):
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
    for number, each in enumerate(found):
        if not is_run(each.folder):
            raise DataError(
                f"{each.folder}: not there, and this takes each of the fused runs, where it was "
                "trained"
            )
        copy = _exported(member_run(run, number))
        if not _is_same(each.folder / copy.name, copy):
            raise DataError(
                f"{each.folder} was trained or exported again since it was fused. Fuse it again: "
                f"{command('fuse', *fused.runs, '--out', run.folder, '--overwrite')}"
            )
    return found


def _model(run: Run) -> Path | None:
    """The exported model of a run; None: there is none."""
    return next((path for path in (run.litert_file, run.onnx) if path.exists()), None)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two models, files or folders of them, are the same."""
    if not other.is_dir():
        return one.is_file() and filecmp.cmp(one, other, shallow=False)
    names = [path.name for path in other.iterdir()]
    return one.is_dir() and not any(filecmp.cmpfiles(one, other, names, shallow=False)[1:])


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
