"""What is known of a video file, and whether it is whole."""

from __future__ import annotations

import dataclasses


class DamagedVideoWarning(UserWarning):
    """A video of which clearly fewer frames decode than its container declares."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video file.

    Attributes:
        path: The file.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Frames per second that the container states; the average if the rate varies.
        declared_frames: What the container claims, often a few too many; None if it claims nothing.
        num_frames: What decodes; None until counted.
        duration_seconds: From the first frame to the end of the last: as declared until the frames
            are counted (0 if the container claims nothing), then as decoded.
        codec: FourCC, such as "h264".
        damaged: Whether, as far as the frames were read, clearly fewer decode than are declared, or
            frames follow after one that does not decode.
    """

    path: str
    width: int
    height: int
    fps: float
    declared_frames: int | None
    num_frames: int | None
    duration_seconds: float
    codec: str
    damaged: bool = False

    @property
    def missing_frames(self) -> int:
        """How many of the declared frames did not decode; 0 until the frames are counted.

        Where the container computes its number from a duration, the frame rate varying, what counts
        is the time that the decoded frames cover.
        """
        if self.num_frames is None or self.declared_frames is None:
            return 0
        covered = max(self.num_frames, round(self.duration_seconds * self.fps))
        return max(0, self.declared_frames - covered)

    @property
    def is_cut_off(self) -> bool:
        """Whether clearly too few of the declared frames decoded.

        Whole files are known to declare 1 to 8 frames too many, so that a few missing frames say
        nothing: it takes more than 10, and more than a tenth; of fewer than 20 frames, half.
        """
        declared = self.declared_frames or 0
        return self.missing_frames > max(min(10, declared / 2), declared / 10)
