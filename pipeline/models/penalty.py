"""What large weights cost."""

from __future__ import annotations

import keras

from pipeline.config import ModelConfig


def penalty(config: ModelConfig) -> keras.regularizers.Regularizer | None:
    """The L1 and L2 penalty on weights, or None where both are 0."""
    if config.l1 or config.l2:
        return keras.regularizers.L1L2(config.l1, config.l2)
    return None
