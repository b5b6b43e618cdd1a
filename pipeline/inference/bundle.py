"""All that using a model takes besides the model itself, in one file beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.errors import DataError
from pipeline.evaluation.calibration import Calibration, read_calibration
from pipeline.run import Run

FORMAT = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bundle:
    """What an exported model is given, and what becomes of its logits.

    Attributes:
        class_names: Names in the order of the logits.
        frames: Rate, size and quality of the frames that are made of a video, and whether their
            optical flow is needed.
        clip: How clips are cut of them.
        model: What the network sees of a clip.
        calibration: What its logits are worth.
        weights: A checksum of the trained model that all exports of it share.
    """

    class_names: tuple[str, ...]
    frames: FramesConfig
    clip: ClipConfig
    model: ModelConfig
    calibration: Calibration
    weights: str = ""


def bundle_of(run: Run) -> Bundle:
    """What a run says of itself.

    Raises:
        DataError: It is not a trained run.
    """
    config = run.config()
    run.expect(run.model_file)
    return Bundle(
        class_names=tuple(run.class_names()),
        frames=dataclasses.replace(config.frames, flow="flow" in config.model.images),
        clip=config.clip,
        model=config.model,
        calibration=read_calibration(run),
        weights=_checksum(run.model_file),
    )


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


def write_bundle(bundle: Bundle, run: Run) -> None:
    """Writes a bundle beside the model in a folder."""
    content = {"format": FORMAT, **dataclasses.asdict(bundle)}
    with atomic_write(run.bundle_file) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode())


def read_bundle(run: Run) -> Bundle:
    """Reads the bundle in a folder.

    Raises:
        DataError: There is none, or it is damaged.
    """
    again = f"python scripts/export.py {shlex.quote(str(run.folder))}"
    if not run.bundle_file.is_file():
        run.expect(run.config_file)
        run.expect(run.bundle_file, make=f"Export it: {again}")
    try:
        content: dict[str, Any] = json.loads(run.bundle_file.read_bytes())
        if content.pop("format") != FORMAT:
            raise DataError(f"{run.bundle_file}: of another version. Export it again: {again}")
        return Bundle(
            class_names=tuple(content["class_names"]),
            frames=FramesConfig(**content["frames"]),
            clip=ClipConfig(**content["clip"]),
            model=ModelConfig(**content["model"]),
            calibration=Calibration(**content["calibration"]),
            weights=content["weights"],
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"{run.bundle_file}: damaged. Export it again: {again}") from None
