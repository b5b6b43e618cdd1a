"""The two models of BlazePose: their files, and where they are kept."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.user_cache import user_cache


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        name: Its file among the models that are kept.
        source: Its file in the wheel, within `mediapipe/modules`.
        sha256: Checksum of the file in the wheel.
        outputs: Names of the outputs that are used, in their order.
    """

    name: str
    source: str
    sha256: str
    outputs: tuple[str, ...]


DETECTOR = Model(
    "pose_detection.tflite",
    "pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ("Identity", "Identity_1"),
)
LANDMARKS = Model(
    "pose_landmark.tflite",
    "pose_landmark/pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ("Identity", "Identity_1", "Identity_4"),
)


_CARRIED: Final = "CLIPLINE_POSE_MODELS"
"""Names a folder with the models, for this process and those that it starts."""


def models_folder() -> Path:
    """Where `clipline fetch pose` keeps them."""
    return user_cache("pose")


def usable_folder() -> Path:
    """Where they are: those that were fetched, or else those that came with a run."""
    folder = models_folder()
    carried = os.environ.get(_CARRIED, "")
    return Path(carried) if carried and not (folder / LANDMARKS.name).is_file() else folder


def use_carried(folder: Path) -> None:
    """Takes the models that lie in the folder of a run, if there are some and none were fetched."""
    if (folder / LANDMARKS.name).is_file():
        os.environ[_CARRIED] = str(folder.absolute())


def carry(target: Path) -> None:
    """Copies the models, with their licence, so that a run has them with it.

    Raises:
        OSError: They are not there, or cannot be written.
    """
    shutil.copytree(usable_folder(), target, dirs_exist_ok=True)
