"""How long, and how large, a video may be."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from pipeline.errors import VideoDecodeError
from pipeline.text import clock

MOST_PIXELS: Final = 8192 * 8192
"""Of a frame: twice as many as H.264 has at most. It takes 10 bytes a pixel to decode one."""


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
