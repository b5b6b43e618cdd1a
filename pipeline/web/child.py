"""Commands of this package in processes of their own."""

from __future__ import annotations

import os
import sys


def child_environment() -> dict[str, str]:
    """The environment in which another Python finds this package, wherever it lies."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
