"""Network streams, a class for each way of seeing a video, and the images they are made of.

In come frames, or images that were stored of them; out go the numbers that a backbone takes.
"""

from pipeline.streams.pictures import Difference, Flow, Rgb, RgbDifference
from pipeline.streams.pose import Pose
from pipeline.streams.pose_points import PosePoints
from pipeline.streams.stream import Shown, Stored, StoredImage, Stream

STREAMS: dict[str, Stream] = {
    stream.name: stream for stream in (Rgb(), Difference(), RgbDifference(), Flow(), Pose())
}
"""Every stream by its name."""

IMAGES: dict[str, Stored] = {stream.image.name: stream.image for stream in STREAMS.values()}
"""What can be stored of each frame of a video, by its name; `frames` are first, and always there.

Whether there are others is for `pipeline.config.FramesConfig` to say, by the same name.
"""


__all__ = [
    "IMAGES",
    "STREAMS",
    "PosePoints",
    "Shown",
    "Stored",
    "StoredImage",
    "Stream",
]
