"""Reading frames from video files: RGB, rotated as the file asks, in constant memory."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from types import TracebackType

import cv2
import numpy as np

from pipeline.errors import DataError, VideoDecodeError
from pipeline.video.resize import resize
from pipeline.video.timing import Clock, ticks_before

Path = str | os.PathLike[str]


class DamagedVideoWarning(UserWarning):
    """A video of which clearly fewer frames decode than its container declares."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video file.

    Attributes:
        path: The file.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Frames per second, on average.
        declared_frames: What the container claims; often a few too many. None: it claims nothing.
        num_frames: What decodes; None until counted.
        duration_seconds: From the first frame to the end of the last.
        codec: FourCC, such as "h264".
    """

    path: str
    width: int
    height: int
    fps: float
    declared_frames: int | None
    num_frames: int | None
    duration_seconds: float
    codec: str


class VideoReader:
    """One open video file.

    Args:
        path: The file.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened() or not self._capture.grab():
            raise VideoDecodeError(self._path, "no frame can be decoded from it.")
        get = self._capture.get
        fps = get(cv2.CAP_PROP_FPS)
        declared = int(get(cv2.CAP_PROP_FRAME_COUNT))
        self.info = VideoInfo(
            path=self._path,
            width=int(get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(get(cv2.CAP_PROP_FRAME_HEIGHT)),
            fps=fps,
            declared_frames=declared if declared > 0 else None,
            num_frames=None,
            duration_seconds=declared / fps,
            codec=int(get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1"),
        )

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._capture.release()

    def _grabs(self) -> Iterator[float]:
        """Yields the time of each frame, in seconds from the first; the frame can be retrieved."""
        clock = Clock(1 / self.info.fps)
        count, time = 0, 0.0
        grabbed = True
        while grabbed:
            count += 1
            time = clock.seconds(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            yield time
            grabbed = self._capture.grab()
        self.info = dataclasses.replace(
            self.info, num_frames=count, duration_seconds=time + 1 / self.info.fps
        )
        declared = self.info.declared_frames
        if declared and count < 0.9 * declared - 8:
            warnings.warn(
                f"{self._path}: {count} of {declared} declared frames decode.",
                DamagedVideoWarning,
                stacklevel=3,
            )

    def _retrieve(self, size: tuple[int, int] | None) -> np.ndarray:
        _, frame = self._capture.retrieve()
        if size is not None:
            frame = resize(frame, size)
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def frames(
        self, *, fps: float | None = None, size: tuple[int, int] | None = None
    ) -> Iterator[np.ndarray]:
        """Yields frames, uint8 (H, W, 3), RGB, in order of time; can be called once.

        Args:
            fps: Frames per second; None yields every decoded frame once.
            size: (height, width) in pixels; None leaves frames as they are.
        """
        if fps is None:
            for _ in self._grabs():
                yield self._retrieve(size)
            return
        shown, frame = 0, None
        for time in self._grabs():
            wanted = ticks_before(time, fps)
            for _ in range(shown, wanted):
                yield frame
            shown = max(shown, wanted)
            frame = self._retrieve(size)
        for _ in range(shown, ticks_before(self.info.duration_seconds, fps)):
            yield frame


def probe(path: Path, *, count_frames: bool = False) -> VideoInfo:
    """Returns what is known of a video file.

    Args:
        path: The file.
        count_frames: Decode the whole file, so that `num_frames` is known.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    with VideoReader(path) as reader:
        if count_frames:
            for _ in reader._grabs():
                pass
        return reader.info


def read_frames(
    path: Path, indices: Sequence[int] | np.ndarray, *, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Returns chosen frames, uint8 (len(indices), H, W, 3), RGB.

    Args:
        path: The file.
        indices: Indices of decoded frames, in any order; repeats are allowed.
        size: (height, width) in pixels; None leaves frames as they are.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: An index is negative or past the last frame.
    """
    wanted = {int(index) for index in indices}
    if min(wanted) < 0:
        raise DataError(f"{path}: expected frame indices of at least 0, got {min(wanted)}.")
    found = {}
    with VideoReader(path) as reader:
        for index, _ in enumerate(reader._grabs()):
            if index in wanted:
                found[index] = reader._retrieve(size)
                if index == max(wanted):
                    break
    if max(wanted) not in found:
        raise DataError(f"{path}: frame {max(wanted)} does not exist.")
    return np.stack([found[int(index)] for index in indices])


def iter_frames(
    path: Path, *, fps: float | None = None, size: tuple[int, int] | None = None
) -> Iterator[np.ndarray]:
    """Yields the frames of a file; see `VideoReader.frames`.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    with VideoReader(path) as reader:
        yield from reader.frames(fps=fps, size=size)
