"""Heat: how much each place of a clip speaks for a class, on the backbone's map of features."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.inference.clips import Images
from pipeline.inference.stream_parts import StreamPart, contributions, gradient, still_clip


class NoMapError(ConfigError):
    """A backbone gives a vector, and no map of features."""


class HeatModel:
    """A recogniser, which computes in float32, that tells which places its logits come from.

    Raises:
        NoMapError: Its backbone has no map of features.
    """

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        self._streams = [MapStream(model, stream, config) for stream in config.model.streams]

    def heat(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """The mean of `MapStream.heat` over the streams, float32 (N, h, w)."""
        found = [stream.heat(clip, label) for stream in self._streams]
        mean: npt.NDArray[np.float32] = np.mean(found, axis=0)
        return mean

    def grad_cam(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """Grad-CAM, to compare with: gradients are averaged over all places of a frame.

        Returns:
            float32 (N, h, w).

        Source: Selvaraju et al. (2017), section 3.
        """
        found = sum(stream.grad_cam(clip, label) for stream in self._streams)
        return np.asarray(found, np.float32)

    def logits(
        self, clip: Images, without: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float32]:
        """The logits (C,) of a clip.

        Args:
            clip: Its real frames.
            without: bool (N, h, w), places that show what they would if nothing moved.
        """
        found = [stream.clip_logits(clip, without) for stream in self._streams]
        mean: npt.NDArray[np.float32] = np.mean(found, axis=0)
        return mean


class MapStream(StreamPart):
    """A stream of pictures, cut where its backbone has a map of features.

    Raises:
        NoMapError: It has none.
    """

    def __init__(self, model: keras.Model, stream: str, config: RunConfig) -> None:
        super().__init__(model, stream, config)
        own = stream not in config.external
        steps = model.get_layer(f"{stream}_features").layer.layers[1:] if own else []
        kinds = layers.AveragePooling2D | layers.Flatten
        end = next((number for number, step in enumerate(steps) if isinstance(step, kinds)), None)
        if end is None:
            raise NoMapError("this takes a backbone that gives a map of features, not a vector")
        self._before, self._after = steps[:end], steps[end:]

    def heat(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """Contribution of each place to the logit of a class, beside a clip in which nothing moves.

        The gradient of the logit by the map of features, times the change of the map from that of
        the still clip, place by place; the gradient is the mean on the way from the one map to the
        other. So the heat of all places sums up to the change of the logit.

        Returns:
            float32 (N, h, w), below 0 where a place speaks against the class; h and w are those of
            the map.

        Source: gradient times activation, place by place, Draelos and Carin (2020), HiResCAM; the
        mean gradient, see `contributions`.
        """
        still, maps = (self._maps(self.pixels(each)) for each in (still_clip(clip), clip))
        found = contributions(still, maps, lambda maps: self._map_logits(maps)[label])
        return np.asarray(tf.reduce_sum(found, axis=-1), np.float32)

    def grad_cam(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """See `HeatModel`."""
        maps = self._maps(self.pixels(clip))
        slopes = gradient(maps, lambda maps: self._map_logits(maps)[label])
        weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
        return np.asarray(tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)), np.float32)

    def clip_logits(self, clip: Images, without: npt.NDArray[np.bool_] | None) -> tf.Tensor:
        """See `HeatModel.logits`."""
        pixels = self.pixels(clip)
        if without is not None:
            cells = tf.constant(without[..., None], tf.uint8)
            hidden = tf.image.resize(cells, pixels.shape[1:3], method="nearest") > 0
            pixels = tf.where(hidden, self.pixels(still_clip(clip)), pixels)
        return self._map_logits(self._maps(pixels))

    def _maps(self, pixels: tf.Tensor) -> tf.Tensor:
        """The map of features of each frame, (N, h, w, F)."""
        for step in self._before:
            # Some layers have no training mode.
            options = {"training": False} if step._call_has_training_arg else {}
            pixels = step(pixels, **options)
        return pixels

    def _map_logits(self, maps: tf.Tensor) -> tf.Tensor:
        """The logits (C,) by the maps of the real frames."""
        for step in self._after:
            maps = step(maps)
        return self.logits(maps[None])[0]
