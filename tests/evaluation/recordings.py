"""Recordings of a few frames, written as text."""

import numpy as np

from pipeline.evaluation.recordings import Recording

NAMES = ["a", "b", "c"]


def at_once(*tracks):
    """A text a class, bool (N, C): `#` where it holds."""
    return np.array([[sign == "#" for sign in track] for track in tracks]).T


def one_each(text):
    """The class at each frame, bool (N, 3)."""
    return np.array([[sign == name for name in NAMES] for sign in text]).reshape(-1, 3)


def recording(holds, answers, *, name="a.mp4", group="a", fps=1.0, unknown=()):
    """A recording of which nothing is known at some frames; the model is sure of its answers."""
    labels = np.where(holds, 1, 0).astype(np.uint8)
    labels[list(unknown)] = 255
    return Recording(name, group, fps, labels, answers * 0.8 + 0.1, answers)


def exclusive(human, machine, **others):
    """A recording of one class at each frame; of one that a question mark stands for, none."""
    return recording(one_each(human), one_each(machine), **others)
