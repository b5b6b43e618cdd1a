"""Every choice of a run, as one tree of frozen dataclasses.

`pipeline.config.file` reads and writes the tree as TOML; `pipeline.config.prepare` holds the
choices of preparing a data set.
"""

from pipeline.config.augment import NO_AUGMENT, AugmentConfig, Change
from pipeline.config.data import ClipConfig, FramesConfig, SplitConfig
from pipeline.config.model import BackboneConfig, ModelConfig, TemporalConfig
from pipeline.config.run import RunConfig
from pipeline.config.training import EvaluateConfig, TrainConfig
from pipeline.config.values import expect

__all__ = [
    "NO_AUGMENT",
    "AugmentConfig",
    "BackboneConfig",
    "Change",
    "ClipConfig",
    "EvaluateConfig",
    "FramesConfig",
    "ModelConfig",
    "RunConfig",
    "SplitConfig",
    "TemporalConfig",
    "TrainConfig",
    "expect",
]
