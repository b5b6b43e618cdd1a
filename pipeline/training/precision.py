"""The precision of a training, where the machine decides."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Literal

import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.config.file import load_config

Precision = Literal["float32", "mixed_bfloat16"]
_CPU_FLAGS = Path("/proc/cpuinfo")


def decide_precision(config: RunConfig, begun: Path | None = None) -> RunConfig:
    """A run whose precision is decided; what was decided is printed.

    Args:
        config: The run. Only a `train.precision` of `auto` is decided.
        begun: The configuration of a training that goes on, which keeps its precision on another
            machine; None: a new one, which takes the faster one of this machine.
    """
    if config.train.precision != "auto":
        return config
    if begun:
        precision, why = load_config(begun).train.precision, "as it was begun"
    elif config.train.cache_features:
        # Nothing is trained with fewer bits, and the model that is kept computes in float32, too.
        precision, why = "float32", "as the features are stored"
    else:
        precision, why = faster_precision()
    print(f"precision: {precision}, {why}", flush=True)
    return dataclasses.replace(config, train=dataclasses.replace(config.train, precision=precision))


def faster_precision() -> tuple[Precision, str]:
    """The precision in which this machine trains faster, and why.

    A CPU needs AMX for it: with AVX512-BF16 alone, a convolutional network takes 1.2 times the time
    of float32 (four blocks forward and backward, oneDNN held to that instruction set).
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        if all(each.get("compute_capability", (0, 0)) >= (8, 0) for each in details):
            return "mixed_bfloat16", "for which this GPU has tensor cores"
        return "float32", "as this GPU has no tensor cores for bfloat16"
    if _has_amx() and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0":
        return "mixed_bfloat16", "for which this processor has AMX"
    return "float32", "as this processor has no AMX"


def _has_amx() -> bool:
    try:
        return "amx_bf16" in _CPU_FLAGS.read_text().split()
    except OSError:  # not Linux, where TensorFlow makes no use of AMX
        return False
