"""The two models of BlazePose: their files, and where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


def models_folder() -> Path:
    """Where `clipline fetch pose` keeps them."""
    return user_cache("pose")
