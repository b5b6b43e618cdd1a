"""Which windows of a video are looked at."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from pipeline.config.values import SHARE, expect
from pipeline.dataset.sampling import sample_clip
from pipeline.errors import ConfigError
from pipeline.inference.bundle import Bundle

_DAY = 24 * 60 * 60


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """The stored frames of a video's windows: all of them lie on one grid.

    Attributes:
        length: Frames of a window (T).
        stride: Distance of neighbouring ones, in stored frames.
        offset: The first of a window, in stored frames from its start.
        hop: Distance of neighbouring windows, in frames of the grid.
        fps: Stored frames per second.
        per_frame: Whether there is an answer at every frame: then a video that is shorter than a
            window has one, which is cut short.
        starts_over: Whether the last window starts where it would, and is cut short where it is
            not full; else it ends with the video.
    """

    length: int
    stride: int
    offset: int
    hop: int
    fps: float
    per_frame: bool = False
    starts_over: bool = False

    @property
    def frame_seconds(self) -> float:
        """Distance of neighbouring frames of the grid."""
        return self.stride / self.fps

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self.length * self.frame_seconds

    @property
    def hop_seconds(self) -> float:
        """Distance of neighbouring windows."""
        return self.hop * self.frame_seconds

    def last_starts(self, start: int, num_frames: int) -> list[int]:
        """Where the window starts that takes in the end of a video, if there is need of one.

        Args:
            start: Where the next one would start after those that are whole.
            num_frames: Of the grid.
        """
        if not start:
            return [0] if self.per_frame else []
        is_open = num_frames > start - self.hop + self.length
        return [start if self.starts_over else num_frames - self.length] if is_open else []


def plan_windows(
    bundle: Bundle, *, window_seconds: float | None = None, overlap: float
) -> WindowPlan:
    """Chooses windows such that evaluation would cut the same clip of each.

    Args:
        bundle: How the clips of the run are cut.
        window_seconds: About how long a window is, which is a multiple of as many stored frames as
            a clip has; None: as long as a usual training video. A dense clip has its own length.
        overlap: Share of a window that the next one has in common with it, from 0 to below 1.

    Raises:
        ConfigError: A value is out of range, or a dense clip is to have another length.
    """
    SHARE.check(overlap, "--overlap")
    clip, fps = bundle.clip, bundle.frames.fps
    length, stride = clip.num_frames, clip.stride
    if clip.sampling == "uniform":
        seconds = bundle.calibration.clip_seconds if window_seconds is None else window_seconds
        expect(0 < seconds <= _DAY, "--window must be above 0 seconds, at most a day", seconds)
        stride = max(1, round(seconds * fps / length))
    elif window_seconds is not None:
        seconds = length * stride / fps
        raise ConfigError(f"--window: dense clips of this run last {seconds:.2f} s. Leave it out")
    (first, *_), _ = sample_clip(length * stride, clip)
    return WindowPlan(
        length=length,
        stride=stride,
        offset=int(first),
        hop=max(1, round(length * (1 - overlap))),
        fps=fps,
        per_frame=bundle.model.per_frame,
    )


def plan_as_evaluation(bundle: Bundle) -> WindowPlan:
    """The windows that evaluation joins to an answer at every frame."""
    plan = plan_windows(bundle, overlap=0.5)
    hop = max(1, plan.length // 2)
    return dataclasses.replace(plan, hop=hop, starts_over=bundle.looks_back_only)


def in_step(plans: Sequence[WindowPlan]) -> list[WindowPlan]:
    """The plans of several models for one video, with windows at one distance from each other.

    It is about that of the plan whose windows follow soonest.
    """
    unit = math.lcm(*(plan.stride for plan in plans))
    hop = unit * max(1, round(min(plan.hop * plan.stride for plan in plans) / unit))
    return [dataclasses.replace(plan, hop=hop // plan.stride) for plan in plans]
