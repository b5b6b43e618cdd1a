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
from pipeline.streams import IMAGES, STREAMS

_STEPS = 16


class HeatModel:
    """A recogniser, which computes in float32, that tells which places its logits come from.

    Raises:
        ConfigError: Its backbone has no map of features.
    """

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        self._config = config
        self._streams = [_Stream(model, stream, config) for stream in config.model.streams]

    def heat(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """Contribution of each place to the logit of a class, beside a clip in which nothing moves.

        The gradient of the logit by the map of features, times the change of the map from that of
        the still clip, place by place; the gradient is the mean on the way from the one map to the
        other. So the heat of all places sums up to the change of the logit.

        Returns:
            float32 (N, h, w), below 0 where a place speaks against the class; h and w are those of
            the map.

        Source: gradient times activation, place by place, Draelos and Carin (2020), HiResCAM; the
        mean gradient on the way from a baseline, Sundararajan, Taly and Yan (2017), equation 3.
        """
        found = [_gradient_heat(stream, clip, label) for stream in self._streams]
        mean: npt.NDArray[np.float32] = np.mean(found, axis=0)
        return mean

    def grad_cam(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """Grad-CAM, to compare with: gradients are averaged over all places of a frame.

        Returns:
            float32 (N, h, w).

        Source: Selvaraju et al. (2017), section 3.
        """
        total = 0
        for stream in self._streams:
            maps = stream.maps(stream.pixels(clip))
            weights = tf.reduce_mean(stream.gradient(maps, label), axis=(1, 2), keepdims=True)
            total += tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))
        return np.asarray(total, np.float32)

    def logits(
        self, clip: Images, without: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float32]:
        """The logits (C,) of a clip.

        Args:
            clip: Its real frames.
            without: bool (N, h, w), places that show what they would if nothing moved.
        """
        logits = []
        for stream in self._streams:
            pixels = stream.pixels(clip)
            if without is not None:
                cells = tf.constant(without[..., None], tf.uint8)
                hidden = tf.image.resize(cells, pixels.shape[1:3], method="nearest") > 0
                pixels = tf.where(hidden, stream.pixels(still_clip(clip)), pixels)
            logits.append(stream.logits(stream.maps(pixels)))
        mean: npt.NDArray[np.float32] = np.mean(logits, axis=0)
        return mean


def still_clip(clip: Images) -> Images:
    """As many frames as a clip has, all its mean frame: the same places, and nothing moves."""
    still = {}
    for name, images in clip.items():
        frame = np.rint(images.mean(axis=0)).astype(np.uint8)
        still[name] = np.stack([IMAGES[name].still(frame)] * len(images))
    return still


def _gradient_heat(stream: _Stream, clip: Images, label: int) -> npt.NDArray[np.float32]:
    still, maps = (stream.maps(stream.pixels(each)) for each in (still_clip(clip), clip))
    change = maps - still
    gradient = sum(
        stream.gradient(still + (step + 0.5) / _STEPS * change, label) for step in range(_STEPS)
    )
    return np.asarray(tf.reduce_sum(gradient * change, axis=-1) / _STEPS, np.float32)


class _Stream:
    """A stream, cut where its backbone has a map of features."""

    def __init__(self, model: keras.Model, stream: str, config: RunConfig) -> None:
        self._image, self._length = STREAMS[stream].image.name, config.clip.num_frames
        self._stage = model.get_layer(f"{stream}_input")
        self._temporal = model.get_layer(f"{stream}_temporal")
        steps = model.get_layer(f"{stream}_features").layer.layers[1:]
        kinds = layers.AveragePooling2D | layers.Flatten
        end = next((number for number, step in enumerate(steps) if isinstance(step, kinds)), None)
        if end is None:
            raise ConfigError(
                "explain.py takes a backbone that gives a map of features, not a vector"
            )
        self._before, self._after = steps[:end], steps[end:]

    def pixels(self, clip: Images) -> tf.Tensor:
        """Inputs of the backbone, (N, H, W, C)."""
        return self._stage(tf.constant(clip[self._image][None]))[0]

    def maps(self, pixels: tf.Tensor) -> tf.Tensor:
        """The map of features of each frame, (N, h, w, F)."""
        for step in self._before:
            # Some layers have no training mode.
            options = {"training": False} if step._call_has_training_arg else {}
            pixels = step(pixels, **options)
        return pixels

    def logits(self, maps: tf.Tensor) -> tf.Tensor:
        """The logits (C,) by the maps of the real frames."""
        for step in self._after:
            maps = step(maps)
        missing = self._length - maps.shape[0]
        mask = tf.constant((np.arange(self._length) < maps.shape[0])[None])
        rows = tf.pad(maps, ((0, missing), (0, 0)))[None]
        return self._temporal({"features": rows, "mask": mask}, training=False)[0]

    def gradient(self, maps: tf.Tensor, label: int) -> tf.Tensor:
        """Gradient of the logit of a class by the maps, (N, h, w, F)."""
        with tf.GradientTape() as tape:
            tape.watch(maps)
            logit = self.logits(maps)[label]
        return tape.gradient(logit, maps)
