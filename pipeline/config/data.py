"""The videos of a run: their frames, their splits, and the clips that are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal

from pipeline.config.values import MANY, Range, Seed, check_ranges, expect
from pipeline.streams import IMAGES

_USUAL: Final[Mapping[str, Any]] = {"flow": True, "pose": 2}
"""What is beside the frames where no more is said than that it is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """The frames of the prepared data set that a run was trained on; read from it, never set.

    Attributes:
        fps: Frames per second of video time; 0 until a data set is opened.
        size: Height and width of a frame in pixels; 0 until a data set is opened.
        jpeg_quality: Quality of the stored JPEG frames; 0 until a data set is opened.
        flow: Whether the optical flow from frame to frame is stored beside them.
        pose: The key points of so many people at most are stored beside them; 0: none.
        key_points: Names of these points where they are from tables of other tools, of animals or
            people; none: those of people that BlazePose finds.
        shrink: What the sides of stored images are divided by where they are read, see
            `ClipConfig`.
    """

    fps: Annotated[float, Range(0, 1000)] = 0.0
    size: Annotated[int, Range(0, 4096)] = 0
    jpeg_quality: Annotated[int, Range(0, 100)] = 0
    flow: bool = False
    pose: Annotated[int, Range(0, 8)] = 0
    key_points: tuple[str, ...] = ()
    shrink: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, "frames.{}".format)
        expect(self.shrink in (1, 2, 4, 8), "frames.shrink must be 1, 2, 4 or 8", self.shrink)
        names = tuple(self.key_points)  # as JSON a list
        object.__setattr__(self, "key_points", names)
        good = len(set(names)) == len(names) <= 1000 and (self.pose > 0 or not names)
        expect(good, "frames.key_points must be different names, of frames.pose", list(names))

    def __str__(self) -> str:
        """Rate, size and quality in words."""
        text = f"{self.fps:g} per second, {self.size} pixels, JPEG quality {self.jpeg_quality}"
        return ", with ".join([text, *(IMAGES[name].title for name in self.images[1:])])

    def as_json(self) -> dict[str, Any]:
        """What is stored, as JSON types."""
        content = {**dataclasses.asdict(self), "key_points": list(self.key_points)}
        del content["shrink"]
        return content

    @property
    def side(self) -> int:
        """Height and width of an image as it is read."""
        return self.size // self.shrink

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images that are stored of each frame: the frame, and those beside it."""
        return tuple(name for name in IMAGES if getattr(self, name, True))

    def only(self, images: Collection[str]) -> FramesConfig:
        """The same frames, and beside them what is named and nothing else."""
        beside = {
            name: (getattr(self, name) or usual) if name in images else type(usual)()
            for name, usual in _USUAL.items()
        }
        names = self.key_points if beside["pose"] else ()
        return dataclasses.replace(self, **beside, key_points=names)

    def joined(self, other: FramesConfig) -> FramesConfig | None:
        """The same frames with what is beside either; None: one cannot hold both."""
        mine, others = (self.pose, self.key_points), (other.pose, other.key_points)
        alike = mine == others or not (self.pose and other.pose)
        if self.only(()) != other.only(()) or not alike:
            return None
        pose, key_points = max(mine, others)
        flow = self.flow or other.flow
        return dataclasses.replace(self, flow=flow, pose=pose, key_points=key_points)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Splits of the videos, where they are not those that the data set was prepared with.

    Attributes:
        folds: Cut the groups of all videos into so many folds and hold one of them out as the
            test; `groups`: a fold is a group (leave one group out); 0: as prepared.
        fold: Number of the fold that is the test.
        val_folds: Cut the groups that are not in the test into so many folds and take one of them
            for validation, without the last group of any class, which is for training; 0: all of
            them are for training.
        val_fold: Number of the fold that is for validation.
        train_on_val: Train on the validation videos as well; then there are none.
        seed: Of the cut into folds; it does not depend on the seed of the run.
    """

    folds: int | Literal["groups"] = 0
    fold: Annotated[int, Range(1, MANY)] = 1
    val_folds: int = 0
    val_fold: Annotated[int, Range(1, MANY)] = 1
    train_on_val: bool = False
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_ranges(self, "split.{}".format)
        for name, also in (("folds", ", or groups"), ("val_folds", "")):
            folds, number = getattr(self, name), name.removesuffix("s")
            fold = getattr(self, number)
            good = folds in ("groups", 0) or folds >= 2
            expect(good, f"split.{name} must be 0 or at least 2{also}", folds)
            takes = f"split.{number} takes split.{name}, the number of folds"
            expect(folds != 0 or fold == 1, takes, fold)
        takes = "split.train_on_val leaves nothing for split.val_folds"
        expect(not (self.val_folds and self.train_on_val), takes, self.val_folds)
        if self.val_folds:
            Range(1, self.val_folds).check(self.val_fold, "split.val_fold")

    @property
    def as_prepared(self) -> bool:
        """Whether the videos keep the splits that they were prepared with."""
        return not (self.folds or self.val_folds or self.train_on_val)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """The cut of clips from the frames of a video.

    Attributes:
        num_frames: Frames in a clip (T).
        sampling: `uniform` takes one frame from each of T equal segments of the video; `dense`
            takes T frames that are `stride` apart.
        stride: Distance of neighbouring frames of a dense clip, in stored frames.
        short: What a video with too few frames gets: `mask` pads and marks the padding, `loop`
            starts again from the first frame, `hold` repeats the last frame.
        views: Clips of one video whose logits are averaged at test time.
        shrink: Stored frames and flow are read at 1/2, 1/4 or 1/8 of their size, which a data set
            of larger frames than a network needs is quick to give; 1, 2, 4 or 8.
    """

    # A network and its export take a step of their own for each frame of a clip.
    num_frames: Annotated[int, Range(1, 512)] = 16
    sampling: Literal["uniform", "dense"] = "uniform"
    stride: Annotated[int, Range(1, 10_000)] = 2
    short: Literal["mask", "loop", "hold"] = "mask"
    views: Annotated[int, Range(1, 100)] = 3
    shrink: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, "clip.{}".format)
        expect(self.shrink in (1, 2, 4, 8), "clip.shrink must be 1, 2, 4 or 8", self.shrink)
