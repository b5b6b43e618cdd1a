"""Video files in and out. OpenCV decodes and encodes here and nowhere else."""

from pipeline.video.files import iter_frames, probe
from pipeline.video.images import (
    crop,
    decode_flow,
    decode_grey_jpeg,
    decode_jpeg,
    encode_flow,
    encode_jpeg,
    flow_image,
    no_flow,
    resize,
)
from pipeline.video.info import NO_LIMITS, DamagedVideoWarning, Limits, VideoInfo
from pipeline.video.live import LiveFrame, LiveVideo
from pipeline.video.opening import whole_files_only
from pipeline.video.reader import VideoReader
from pipeline.video.timing import timed_frames, timed_in_sizes
from pipeline.video.writer import VideoWriteError, check_target, write_video

__all__ = [
    "NO_LIMITS",
    "DamagedVideoWarning",
    "Limits",
    "LiveFrame",
    "LiveVideo",
    "VideoInfo",
    "VideoReader",
    "VideoWriteError",
    "check_target",
    "crop",
    "decode_flow",
    "decode_grey_jpeg",
    "decode_jpeg",
    "encode_flow",
    "encode_jpeg",
    "flow_image",
    "iter_frames",
    "no_flow",
    "probe",
    "resize",
    "timed_frames",
    "timed_in_sizes",
    "whole_files_only",
    "write_video",
]
