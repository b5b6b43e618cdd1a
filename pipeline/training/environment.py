"""Where and with what a run was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

import tensorflow as tf

import pipeline

PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "ai-edge-litert")


def describe_environment() -> dict[str, Any]:
    """Command, versions and machine, as JSON types."""
    return {
        "command": sys.argv,
        "clipline": pipeline.__version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    }
