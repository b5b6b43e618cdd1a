"""How long, and how large, a video may be that others send."""

from __future__ import annotations

import dataclasses
import math

from pipeline.errors import VideoDecodeError
from pipeline.text import clock
from pipeline.video.info import VideoInfo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a video; what its container declares is checked first, then how long it turns out.

    Attributes:
        seconds: How long it may last.
        pixels: How many its frames may have; OpenCV makes all of them as large as the first.
    """

    seconds: float = math.inf
    pixels: float = math.inf

    def check_declared(self, info: VideoInfo) -> None:
        """Refuses a video by what its container declares.

        Raises:
            VideoDecodeError: It is too long or too large.
        """
        self._check_pixels(info)
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

    def _check_pixels(self, info: VideoInfo) -> None:
        if info.width * info.height > self.pixels:
            raise VideoDecodeError(
                info.path,
                f"its frames have {info.width} x {info.height} pixels, and {self.pixels:,.0f} in "
                "all are allowed; make them smaller: ffmpeg -i INPUT -vf scale=640:-2 OUTPUT.mp4",
            )


NO_LIMITS = Limits()
