"""From a video file to the frames that are stored: all that evaluation and classifying see."""

from __future__ import annotations

import os

from pipeline.config import FramesConfig
from pipeline.errors import VideoDecodeError
from pipeline.video import VideoInfo, VideoReader, encode_jpeg


def encode_video(
    path: str | os.PathLike[str], frames: FramesConfig
) -> tuple[list[bytes], VideoInfo]:
    """Reads a video at a fixed rate and size, as JPEG.

    Args:
        path: The video file.
        frames: Rate, size and quality of the frames.

    Returns:
        The frames, each as the bytes of a JPEG file of (size, size) pixels, and what is known of
        the file, with the number of frames that it decodes to.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    images: list[bytes] = []
    last = None
    with VideoReader(path) as reader:
        for frame in reader.frames(fps=frames.fps, size=(frames.size, frames.size)):
            # Where the file has fewer frames per second, the reader repeats the very same frame.
            repeated = images[-1] if frame is last else None
            images.append(repeated or encode_jpeg(frame, quality=frames.jpeg_quality))
            last = frame
    if not images:
        raise VideoDecodeError(path, f"it is too short for a frame at {frames.fps:g} per second.")
    return images, reader.info
