"""Clipline: video action recognition with a CNN on each frame and an LSTM over the frames.

To classify with a trained run:

    from pipeline import Classifier

    Classifier.load("runs/NAME").predict("video.mp4")

For labelled clips of a data set as tf.data:

    from pipeline import load_clips

    load_clips("data/NAME", "train", num_frames=16, batch_size=8)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.dataset.clip_batches import load_clips
    from pipeline.inference.classifier import Classifier
    from pipeline.inference.prediction import Prediction
    from pipeline.inference.timeline import Timeline, make_timeline

__version__ = "0.1.0"
__all__ = ["Classifier", "Prediction", "Timeline", "load_clips", "make_timeline"]

_HOMES = {
    "Classifier": "pipeline.inference.classifier",
    "Prediction": "pipeline.inference.prediction",
    "Timeline": "pipeline.inference.timeline",
    "load_clips": "pipeline.dataset.clip_batches",
    "make_timeline": "pipeline.inference.timeline",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
