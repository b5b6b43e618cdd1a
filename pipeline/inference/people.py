"""How much each part of the body of each person speaks for a class."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.inference.clips import Images
from pipeline.inference.seen_video import SeenVideo
from pipeline.inference.stream_parts import StreamPart, contributions, still_clip
from pipeline.pose.skeleton import PARTS
from pipeline.streams import STREAMS
from pipeline.streams.pose import point_shares
from pipeline.video import VideoReader

_STREAM = "pose"


@dataclasses.dataclass(frozen=True, kw_only=True)
class People:
    """People whose key points a run sees.

    Attributes:
        frames: The frames of the clip as they are in the file, uint8 (N, H, W, 3).
        points: Of each frame of the clip, float32 (N, P, 33, 7), see
            `pipeline.streams.PosePoints`.
        heat: How much each of `PARTS` speaks for the class, float32 (N, P, 13); the highest is 1,
            and below 0 is what speaks against it.
        all_points: As `points`, of the whole video.
        fps: How many of these there are in a second.
    """

    frames: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    heat: npt.NDArray[np.float32]
    all_points: npt.NDArray[np.float32]
    fps: float


class PointStream(StreamPart):
    """A stream of key points."""

    def heat(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """Contribution of each point to the logit of a class, beside a clip in which nobody moves.

        In that clip each person stands in their mean pose, at their mean place, in the frames that
        have them. What the stream sees of a point, where it is, how it moves and how visible it is,
        counts as the point's; see `point_shares`. The heat of all points sums up to the change of
        the logit.

        Returns:
            float32 (N, P, 33), below 0 where a point speaks against the class.

        Source: see `contributions`.
        """
        still, seen = (self.pixels(each) for each in (still_clip(clip), clip))
        found = contributions(still, seen, lambda rows: self.logits(rows[None])[0, label])
        people = clip[self._image].shape[1]
        return np.asarray(tf.tensordot(found, tf.constant(point_shares(people)), 1), np.float32)


def people_of(video: SeenVideo, label: int) -> People:
    """The people of the middle clip of a video, and what of them speaks for a class."""
    indices, image = video.middle, STREAMS[_STREAM].image
    part = PointStream(video.model, _STREAM, video.config)
    by_point = part.heat(video.clip(indices), label)
    heat = np.stack([by_point[..., list(points)].sum(axis=-1) for points in PARTS.values()], -1)
    points = np.stack(
        [image.decode(each, video.bundle.frames) for each in video.stored[image.name]]
    )
    return People(
        frames=_whole_frames(video),
        points=points[indices],
        heat=np.asarray(heat / max(float(heat.max()), 1e-9), np.float32),
        all_points=points,
        fps=video.bundle.frames.fps,
    )


def _whole_frames(video: SeenVideo) -> npt.NDArray[np.uint8]:
    """The frames of the middle clip as they are in the file, uint8 (N, H, W, 3)."""
    indices = video.middle.tolist()
    with VideoReader(video.path) as reader:
        frames = enumerate(reader.frames(fps=video.bundle.frames.fps))
        upto = itertools.islice(frames, max(indices) + 1)
        found = {index: frame for index, frame in upto if index in indices}
    return np.stack([found[index] for index in indices])
