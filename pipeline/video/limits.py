"""How long, and how large, a video may be that others send."""

from __future__ import annotations

import dataclasses
import math

from pipeline.errors import VideoDecodeError
from pipeline.text import clock
from pipeline.video.info import VideoInfo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a video; what its container declares is checked first, then what decodes.

    Attributes:
        seconds: How long it may last.
        pixels: How many a frame may have.
    """

    seconds: float = math.inf
    pixels: float = math.inf

    def check_declared(self, info: VideoInfo) -> None:
        """Refuses a video by what its container declares.

        Raises:
            VideoDecodeError: It is too long or too large.
        """
        self.check_pixels(info.path, info.width, info.height)
        self.check_seconds(info.path, info.duration_seconds)

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

    def check_pixels(self, path: str, width: int, height: int) -> None:
        """Refuses a frame of such a size.

        Raises:
            VideoDecodeError: That is too large.
        """
        if width * height > self.pixels:
            raise VideoDecodeError(
                path,
                f"its frames have {width} x {height} pixels, and {self.pixels:,.0f} in all are "
                "allowed; make them smaller: ffmpeg -i INPUT -vf scale=640:-2 OUTPUT.mp4",
            )


NO_LIMITS = Limits()
