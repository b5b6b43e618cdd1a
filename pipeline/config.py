"""Every choice of a run, as one tree of frozen dataclasses.

`pipeline.config_file` reads and writes the tree as TOML.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.text import listed


def expect(condition: bool, message: str, received: object) -> None:
    """Makes sure of what a value must be.

    Raises:
        ConfigError: It is not; with the message and the value.
    """
    if not condition:
        raise ConfigError(f"{message}. Received: {received!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """The frames of the prepared data set that a run was trained on; read from it, never set.

    Attributes:
        fps: Frames per second of video time; 0 until a data set is opened.
        size: Height and width of a frame in pixels; 0 until a data set is opened.
        jpeg_quality: Quality of the stored JPEG frames, 1 to 100; 0 until a data set is opened.
    """

    fps: float = 0.0
    size: int = 0
    jpeg_quality: int = 0

    def __post_init__(self) -> None:
        for name, limit in {"fps": 1000, "size": 4096, "jpeg_quality": 100}.items():
            value = getattr(self, name)
            expect(0 <= value <= limit, f"frames.{name} must be from 0 to {limit}", value)

    def __str__(self) -> str:
        """Rate, size and quality in words."""
        return f"{self.fps:g} per second, {self.size} pixels, JPEG quality {self.jpeg_quality}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """How a clip is made of a video's frames.

    Attributes:
        num_frames: Frames in a clip (T), at least 1.
        sampling: `uniform` takes one frame from each of T equal segments of the video; `dense`
            takes T frames that are `stride` apart.
        stride: Distance of neighbouring frames of a dense clip, in stored frames, at least 1.
        short: What a video with too few frames gets: `mask` pads and marks the padding, `loop`
            starts again from the first frame, `hold` repeats the last frame.
        views: Clips of one video whose logits are averaged at test time, at least 1.
    """

    num_frames: int = 16
    sampling: Literal["uniform", "dense"] = "uniform"
    stride: int = 2
    short: Literal["mask", "loop", "hold"] = "mask"
    views: int = 3

    def __post_init__(self) -> None:
        for name in ("num_frames", "stride", "views"):
            value = getattr(self, name)
            expect(value >= 1, f"clip.{name} must be at least 1", value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of training clips, drawn once per clip; 0 switches one off.

    Attributes:
        flip: Probability of mirroring left and right, 0 to 1. Leave it off where a class means a
            direction.
        crop: Largest share of the side that a random window leaves out, 0 to 0.9.
        scale: Zoom about the centre, by a factor from 1 / (1 + scale) to 1 + scale, 0 to 1.
        rotation_degrees: Largest turn either way, in degrees, 0 to 180.
        brightness: Largest change either way, as a share of the full range, 0 to 1.
        contrast: Contrast about the clip's mean, by a factor from 1 / (1 + contrast) to
            1 + contrast, 0 to 4.
    """

    flip: float = 0.5
    crop: float = 0.15
    scale: float = 0.1
    rotation_degrees: float = 5.0
    brightness: float = 0.15
    contrast: float = 0.25

    def __post_init__(self) -> None:
        limits = {"flip": 1, "crop": 0.9, "scale": 1, "rotation_degrees": 180}
        for name, limit in {**limits, "brightness": 1, "contrast": 4}.items():
            value = getattr(self, name)
            expect(0 <= value <= limit, f"augment.{name} must be from 0 to {limit}", value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: input stage, a CNN on each frame, an LSTM over the frames, a linear head.

    Attributes:
        input: What the CNN sees: `rgb` frames, the `difference` of each frame to the one before
            it, or `both`, stacked as channels.
        difference_gain: Factor on the differences, above 0, so that they fill the input range.
        filters: Filters of each block of Conv2D, normalisation, activation and MaxPooling2D.
        normalisation: Batch normalisation `before` or `after` the activation, or `off`.
        momentum: Of the moving statistics of batch normalisation, from 0 to below 1.
        spatial_dropout: Share of feature maps dropped after each block, from 0 to below 1.
        grid: The features keep a grid of at most this many cells a side; 1 is global average
            pooling, which forgets where something moved.
        normalise_features: Whether to batch-normalise the frame features before the LSTM.
        units: Units of the LSTM, at least 1.
        pooling: What of the LSTM's outputs is used: the `last` one, their `mean` or their `max`
            over the real frames.
        dropout: Share of values dropped before the LSTM and before the head, from 0 to below 1.
        l1: L1 penalty on the weights of Conv2D, LSTM and Dense, at least 0.
        l2: L2 penalty on the same weights, at least 0.
    """

    input: Literal["rgb", "difference", "both"] = "difference"
    difference_gain: float = 3.0
    filters: tuple[int, ...] = (16, 32, 64, 96)
    normalisation: Literal["before", "after", "off"] = "before"
    momentum: float = 0.9
    spatial_dropout: float = 0.0
    grid: int = 4
    normalise_features: bool = True
    units: int = 96
    pooling: Literal["last", "mean", "max"] = "mean"
    dropout: float = 0.3
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        expect(
            self.difference_gain > 0, "model.difference_gain must be above 0", self.difference_gain
        )
        good_filters = bool(self.filters) and min(self.filters) >= 1
        expect(
            good_filters, "model.filters must be positive numbers, such as [16, 32]", self.filters
        )
        for name in ("momentum", "spatial_dropout", "dropout"):
            value = getattr(self, name)
            expect(0 <= value < 1, f"model.{name} must be from 0 to below 1", value)
        for name in ("grid", "units"):
            value = getattr(self, name)
            expect(value >= 1, f"model.{name} must be at least 1", value)
        for name in ("l1", "l2"):
            value = getattr(self, name)
            expect(value >= 0, f"model.{name} must be at least 0", value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the network is trained.

    Attributes:
        epochs: Passes over the training videos, at least 1.
        batch_size: Clips in a step, at least 1.
        learning_rate: Peak learning rate of AdamW, above 0.
        weight_decay: Of AdamW, at least 0.
        warmup: Share of all steps in which the learning rate rises to its peak; it then falls to
            0 along a cosine. From 0 to below 1.
        patience: Epochs without a better validation loss after which training stops; 0 never
            stops early. Without validation videos all epochs are run.
    """

    epochs: int = 60
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    patience: int = 20

    def __post_init__(self) -> None:
        for name, low in {"epochs": 1, "batch_size": 1, "weight_decay": 0, "patience": 0}.items():
            value = getattr(self, name)
            expect(value >= low, f"train.{name} must be at least {low}", value)
        expect(self.learning_rate > 0, "train.learning_rate must be above 0", self.learning_rate)
        expect(0 <= self.warmup < 1, "train.warmup must be from 0 to below 1", self.warmup)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What evaluation looks at besides accuracy.

    Attributes:
        order_pairs: Pairs of class names that only the order of frames tells apart, such as
            [["sit_down", "stand_up"]]; the order test then counts how often reversing the frames
            turns the one into the other.
    """

    order_pairs: tuple[tuple[str, str], ...] = ()

    def check_classes(self, class_names: Sequence[str]) -> None:
        """Makes sure that the pairs are pairs of classes that there are.

        Raises:
            ConfigError: One is not.
        """
        for name in (name for pair in self.order_pairs for name in pair):
            expect(
                name in class_names,
                f"evaluate.order_pairs must name classes ({listed(class_names, most=20)})",
                name,
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run, whole.

    Attributes:
        data: Folder of the prepared data set, such as `data/demo`; or, for a quick try, a table
            of videos (CSV, as for `prepare.py --source csv`), which are taken from their files.
        seed: Of everything random in the run; 0 or above.
        frames: The frames that the data set holds; filled in from it.
        clip: How clips are made.
        augment: Random changes of training clips.
        model: The network.
        train: Its training.
        evaluate: Its evaluation.
    """

    data: str = ""
    seed: int = 0
    frames: FramesConfig = FramesConfig()
    clip: ClipConfig = ClipConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    def __post_init__(self) -> None:
        expect(0 <= self.seed < 2**32, "seed must be from 0 to 4294967295", self.seed)
        expect(
            self.clip.num_frames > 1 or self.model.input == "rgb",
            "clip.num_frames must be at least 2 for differences of frames; or --model.input rgb",
            self.clip.num_frames,
        )
