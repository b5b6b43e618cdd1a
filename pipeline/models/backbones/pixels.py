"""From what the input stage gives to what pretrained networks were trained on."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="clipline")
class ToPixels(keras.layers.Layer):
    """Values in [-1, 1] as pixels, 0 to 255; what lies beyond is clipped.

    Call arguments:
        inputs: float (N, H, W, 3).

    Returns:
        float (N, H, W, 3), 0 to 255.
    """

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return ops.clip((inputs + 1) * 127.5, 0, 255)
