"""A network in the parts that inference calls: frames to features, and these to logits.

Whoever looks at a long video computes the features of each frame once, however many clips it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.streams import IMAGES, STREAMS

Tensors = Mapping[str, tf.Tensor]
Part = Callable[[Tensors], Tensors]

CLIP, FEATURES, TEMPORAL = "serving_default", "features", "temporal"
"""Names of the parts: the whole network, its backbones, and the rest of it."""


class Parts:
    """The parts of a recogniser as functions of tensors by name.

    Args:
        recognizer: The network, built for export.
        config: Its run.
    """

    def __init__(self, recognizer: keras.Model, config: RunConfig) -> None:
        self._recognizer, self._config = recognizer, config
        self._streams = config.model.streams
        self._own = [stream for stream in self._streams if stream not in config.external]

    def functions(self, batch: int | None) -> dict[str, tuple[Part, dict[str, tf.TensorSpec]]]:
        """Each part with what it takes.

        `serving_default` takes clips, `frames` and `flow` uint8 (B, T, H, W, 3) as the model does
        and `mask` bool (B, T). `features` takes frames after those before them, uint8
        (N, 2, H, W, 3), and gives `STREAM_features` float (N, F); the first frame of a clip comes
        after itself. `temporal` takes these as (B, T, F), with the `mask`. All but `features` give
        `logits` float (B, C), or (B, T, C) where there is an answer at every frame. Of a stream
        whose backbone is external, `serving_default` takes `STREAM_features` as well,
        and `features` gives none; where there is no other stream, there is no `features`.

        Args:
            batch: The clips (B) in a call; None: any number.
        """
        config, length = self._config, self._config.clip.num_frames
        images = [name for name in config.model.images if name in self._recognizer.input]
        frames = config.frames.only(config.model.images)
        kinds = {name: (IMAGES[name].dtype, IMAGES[name].shape(frames)) for name in images}
        mask = _spec("mask", "bool", batch, length)
        widths = {
            f"{stream}_features": self._temporal(stream).input["features"].shape[-1]
            for stream in self._streams
        }
        clips = {name: _spec(name, kind, batch, length, *s) for name, (kind, s) in kinds.items()}
        pairs = {name: _spec(name, kind, None, 2, *s) for name, (kind, s) in kinds.items()}
        rows = {name: _spec(name, "float32", batch, length, w) for name, w in widths.items()}
        others = {name: each for name, each in rows.items() if name in self._recognizer.input}
        parts: dict[str, tuple[Part, dict[str, tf.TensorSpec]]] = {
            CLIP: (self.clip, {**clips, **others, "mask": mask}),
            TEMPORAL: (self.temporal, {**rows, "mask": mask}),
        }
        if pairs:
            parts[FEATURES] = (self.features, pairs)
        return parts

    def clip(self, inputs: Tensors) -> Tensors:
        """The whole network."""
        return {"logits": self._recognizer(inputs, training=False)}

    def features(self, inputs: Tensors) -> Tensors:
        """The features of frames, each given after the one before it."""
        found = {}
        for stream in self._own:
            stage = self._recognizer.get_layer(f"{stream}_input")
            seen = stage(inputs[STREAMS[stream].image.name])[:, 1]
            found[f"{stream}_features"] = self._backbone(stream)(seen, training=False)
        return found

    def temporal(self, inputs: Tensors) -> Tensors:
        """Logits of the features of clips."""
        logits = [
            self._temporal(stream)(
                {"features": inputs[f"{stream}_features"], "mask": inputs["mask"]}, training=False
            )
            for stream in self._streams
        ]
        return {"logits": sum(logits) / len(logits)}

    def _backbone(self, stream: str) -> Any:
        return self._recognizer.get_layer(f"{stream}_features").layer

    def _temporal(self, stream: str) -> Any:
        return self._recognizer.get_layer(f"{stream}_temporal")


def _spec(name: str, dtype: str, *shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name)
