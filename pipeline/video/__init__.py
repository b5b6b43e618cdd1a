"""Video files in and out. OpenCV decodes and encodes here and nowhere else."""

from pipeline.video.jpeg import decode_jpeg, encode_jpeg
from pipeline.video.reader import (
    DamagedVideoWarning,
    VideoInfo,
    VideoReader,
    iter_frames,
    probe,
    read_frames,
)
from pipeline.video.resize import resize
from pipeline.video.writer import write_video

__all__ = [
    "DamagedVideoWarning",
    "VideoInfo",
    "VideoReader",
    "decode_jpeg",
    "encode_jpeg",
    "iter_frames",
    "probe",
    "read_frames",
    "resize",
    "write_video",
]
