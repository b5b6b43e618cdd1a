"""All that using a model takes besides the model itself, in one file beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pipeline.atomic import replace_folder, write_json
from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.config.values import Range, expect, strictly
from pipeline.errors import DataError, PipelineError
from pipeline.external import Reading
from pipeline.manifest.class_names import check_class_names
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration

FORMAT = 8
Precision = Literal["float32", "float16", "int8"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bundle:
    """Metadata of an exported model: streams, sampling, classes, calibration.

    Attributes:
        class_names: Names in the order of the logits.
        frames: Rate, size and quality of the frames that are made of a video, and what is needed
            beside them.
        clip: How clips are cut of them.
        model: What the network sees of a clip.
        calibration: What its logits are worth.
        looks_back_only: Whether its temporal part does, see `pipeline.config.TemporalConfig`.
        weights: A checksum of the trained model that all exports of it share.
        export: A checksum of the export beside it; empty: it says none.
        precision: What the weights of the export were rounded to: float32 (not at all), float16 or
            int8.
        external: Streams whose features come from external backbones, which lie in `backbones`
            beside the model, with how these take frames.

    Raises:
        DataError: A class name is not one.
        ConfigError: A video would have no frames.
    """

    class_names: tuple[str, ...]
    frames: FramesConfig
    clip: ClipConfig
    model: ModelConfig
    calibration: Calibration
    looks_back_only: bool = False
    weights: str = ""
    export: str = dataclasses.field(default="", repr=False)
    precision: Precision = "float32"
    external: Mapping[str, Reading] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_class_names(self.class_names)
        Range(0.001, 1000).check(self.frames.fps, "frames.fps")
        Range(1, 4096).check(self.frames.size, "frames.size")
        Range(1, 100).check(self.frames.jpeg_quality, "frames.jpeg_quality")
        known = set(self.external) <= set(self.model.streams)
        expect(known, "external must name streams of model.streams", list(self.external))


def bundle_of(run: Run) -> Bundle:
    """The metadata of a run.

    Raises:
        DataError: It is not a trained run.
    """
    config = run.config()
    run.expect(run.model_file)
    return Bundle(
        class_names=tuple(run.class_names()),
        frames=config.frames.only(config.model.images),
        clip=config.clip,
        model=config.model,
        calibration=read_calibration(run),
        looks_back_only=config.temporal.looks_back_only,
        weights=checksum(run.model_file),
        external={stream: config.backbone_of(stream).reading for stream in config.external},
    )


def checksum(path: Path) -> str:
    """Of the content of a file, or of the names and contents of the files in a folder."""
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        content = [(each.relative_to(path).as_posix(), checksum(each)) for each in inside]
        return hashlib.sha256(repr(content).encode()).hexdigest()[:12]
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


def expect_own_export(bundle: Bundle, model: Path) -> None:
    """Makes sure that a bundle is of the export beside it.

    Raises:
        DataError: It is of another one: an export was stopped between the two.
    """
    if bundle.export and bundle.export != checksum(model):
        run = Run(model.parent)
        raise DataError(
            f"{model}: does not fit the {run.bundle_file.name} beside it. Export it again: "
            + run.export_command()
        )


def take_place(new: Run, run: Run) -> None:
    """Puts an export that is complete, with its bundle, in the place of the one before.

    Args:
        new: The export, a folder beside what else the run has.
        run: The run itself, which keeps what it has besides; or a folder in its `exports`.
    """
    if run.model_file.is_file():
        for file in (new.bundle_file, new.litert_file):  # With it, the old model is refused.
            file.replace(run.folder / file.name)
    else:
        run.folder.parent.mkdir(exist_ok=True)
        replace_folder(run.folder, new.folder)


def write_bundle(bundle: Bundle, run: Run) -> None:
    """Writes a bundle beside the model in a folder."""
    write_json(run.bundle_file, {"format": FORMAT, **dataclasses.asdict(bundle)})


def read_bundle(run: Run) -> Bundle:
    """Reads the bundle in a folder, whoever made it: each key is checked.

    Raises:
        DataError: There is none, it is damaged, or a value is not what it must be.
    """
    again = f"Export it again: {run.export_command()}"
    if not run.bundle_file.is_file():
        if not run.exported_from:
            run.expect(run.config_file)
        run.expect(run.bundle_file, make=again.replace(" again", "", 1))
    try:
        content = json.loads(run.bundle_file.read_bytes())
        version = content.pop("format")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{run.bundle_file}: damaged. {again}") from None
    if type(version) is not int or version != FORMAT:
        raise DataError(f"{run.bundle_file}: of another version. {again}")
    try:
        return strictly(Bundle, {"export": "", **content}, "")
    except PipelineError as error:
        raise DataError(f"{run.bundle_file}: {error}. {again}") from None
