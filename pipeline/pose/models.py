"""The two models of BlazePose: their files, and where they are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.networks import NetworkError, open_network
from pipeline.text import command
from pipeline.user_cache import user_cache

Floats = npt.NDArray[np.float32]
ImageNetwork = Callable[[Floats], Sequence[Floats]]
"""Takes an image, float32 (S, S, 3); gives the outputs of a model."""


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


def load_networks(folder: Path | None = None) -> tuple[ImageNetwork, ImageNetwork]:
    """The detector and the landmarks in a folder, by default where `clipline fetch pose` puts them.

    Raises:
        DataError: They are not there, or damaged.
    """
    folder = folder or usable_folder()
    detector, landmarks = (
        load_network(folder / model.name, model.outputs) for model in (DETECTOR, LANDMARKS)
    )
    return detector, landmarks


def load_network(path: Path, outputs: Sequence[str]) -> ImageNetwork:
    """A network of one image.

    Args:
        path: The file.
        outputs: Names of the outputs, in the order in which they are given.

    Raises:
        DataError: The file is not there, damaged, or another model.
    """
    again = f"To get the models of poses: {command('fetch', 'pose')}"
    if not path.is_file():
        raise DataError(f"{path}: there is no such file. {again}")
    try:
        network = open_network(path)
        (given,) = network.inputs
    except (NetworkError, ValueError):
        raise DataError(f"{path}: not a model of poses, or damaged. {again}") from None
    if not network.outputs.keys() >= set(outputs):
        raise DataError(f"{path}: not a model of poses, but of something else. {again}")

    def run(image: Floats) -> list[Floats]:
        found = network({given: image[None]})
        return [found[name][0] for name in outputs]

    return run
