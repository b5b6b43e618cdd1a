"""Metadata of a video file, whether it is whole, and how long and how large it may be."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import cv2

from pipeline.errors import VideoDecodeError
from pipeline.text import clock
from pipeline.video.timing import MOST_GAP_SECONDS

# What FFmpeg assumes where a container states no frame rate.
_DEFAULT_FPS: Final = 25.0
MOST_FPS: Final = 1000.0
# Decoders hold back 16 frames at most; what is later is a clock that is wrong.
_MOST_START_SECONDS: Final = 1.0

MOST_PIXELS: Final = 8192 * 8192
"""Of a frame: twice as many as H.264 has at most. It takes 10 bytes a pixel to decode one."""


class DamagedVideoWarning(UserWarning):
    """A video that is not whole, or whose clock is broken."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Metadata of a video file.

    Attributes:
        path: The file.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Frames per second that the container states; the average if the rate varies; 25 where
            it states none that can be.
        declared_frames: What the container claims, often a few too many; None if it claims nothing.
        num_frames: What decodes; None until counted.
        duration_seconds: From the first frame to the end of the last: as declared until the frames
            are counted (0 if the container claims nothing), then as decoded.
        codec: FourCC, such as "h264".
        start_seconds: When the first frame is shown by the clock of the container, which may begin
            a few frames earlier.
        damage: What is wrong with it, as far as the frames were read: clearly fewer decode than are
            declared, or frames follow after one that does not decode, or its clock jumps. Empty:
            nothing.
    """

    path: str
    width: int
    height: int
    fps: float
    declared_frames: int | None
    num_frames: int | None
    duration_seconds: float
    codec: str
    start_seconds: float = 0.0
    damage: str = ""

    @property
    def damaged(self) -> bool:
        """Whether something is wrong with it."""
        return bool(self.damage)

    @property
    def missing_frames(self) -> int:
        """Number of declared frames that did not decode; 0 until the frames are counted.

        Most containers compute their number from a duration. So what counts is the time until the
        decoded frames end: it may be all of that, where the frame rate varies, or where the clock
        begins before the first frame, as that of AVI with frames that are stored out of order.
        """
        if self.num_frames is None or self.declared_frames is None:
            return 0
        end = self.start_seconds + self.duration_seconds
        covered = max(self.num_frames, round(end * self.fps))
        return max(0, self.declared_frames - covered)

    @property
    def is_cut_off(self) -> bool:
        """Whether clearly too few of the declared frames decoded.

        Whole files are known to declare 1 to 8 frames too many, so that a few missing frames say
        nothing: it takes more than 10, and more than a tenth; of fewer than 20 frames, half.
        """
        declared = self.declared_frames or 0
        return self.missing_frames > max(min(10, declared / 2), declared / 10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a video: of what its container declares, and of how long it turns out.

    Attributes:
        seconds: How long it may last.
        pixels: How many its frames may have; OpenCV makes all of them as large as the first.
        raised_by: The option that allows more pixels, which the message then names.
    """

    seconds: float = math.inf
    pixels: int = MOST_PIXELS
    raised_by: str = ""

    def check_pixels(self, path: str, width: int, height: int) -> None:
        """Refuses a video whose frames have that many pixels.

        Raises:
            VideoDecodeError: They are too many.
        """
        if width * height > self.pixels:
            more = f"allow more with {self.raised_by}, or " if self.raised_by else ""
            raise VideoDecodeError(
                path,
                f"its frames have {width} x {height} pixels, {width * height:,} in all, and "
                f"{self.pixels:,} are allowed; {more}make them smaller: "
                "ffmpeg -i INPUT -vf scale=640:-2 OUTPUT.mp4",
            )

    def check_seconds(self, path: str, seconds: float) -> None:
        """Refuses a video that lasts so long, or longer.

        Raises:
            VideoDecodeError: That is too long.
        """
        if seconds > self.seconds:
            raise VideoDecodeError(
                path,
                f"it lasts {clock(seconds)} or longer, and {clock(self.seconds)} are allowed; cut "
                "it into parts.",
            )


NO_LIMITS = Limits()
"""None but that of the memory that a frame may take."""


def declared_info(path: str, capture: cv2.VideoCapture) -> VideoInfo:
    """Returns what the container of an open file says, before any frame is counted."""
    width, height = (
        int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    if int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) in (90, 270):
        width, height = height, width
    fps = frame_rate(capture)
    start = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    declared = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        fps=fps,
        declared_frames=declared or None,
        num_frames=None,
        duration_seconds=declared / fps,
        codec=codec_name(capture),
        start_seconds=start if 0 <= start <= _MOST_START_SECONDS else 0.0,
    )


def codec_name(capture: cv2.VideoCapture) -> str:
    """Returns the FourCC of the video stream, such as "h264"."""
    number = max(0, int(capture.get(cv2.CAP_PROP_FOURCC)))  # -1 where nothing is open
    tag = number.to_bytes(4, "little").decode("latin-1").strip()
    return tag if tag.isprintable() else "unknown"


def frame_rate(capture: cv2.VideoCapture) -> float:
    """Returns the frames per second that the container states; 25 where they cannot be."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 1 / MOST_GAP_SECONDS <= rate <= MOST_FPS else _DEFAULT_FPS
