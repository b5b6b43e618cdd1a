"""Settings of training and evaluation."""

from __future__ import annotations

import dataclasses
from typing import Literal

from pipeline.config.checks import (
    MANY,
    expect,
    expect_at_least,
    expect_range,
    expect_share,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of training.

    Attributes:
        epochs: Passes over the training videos, 1 to 1,000,000.
        batch_size: Clips in a step, 1 to as many as fit into memory; over all devices, if there are
            several.
        gradient_accumulation_steps: Steps whose gradients are averaged before the weights change,
            at least 1; for large batches in little memory.
        learning_rate: Peak learning rate of AdamW, above 0.
        weight_decay: Of AdamW, at least 0.
        warmup: Share of all steps in which the learning rate rises to its peak; it then falls to
            0 along a cosine. From 0 to below 1.
        clip_norm: Largest norm of all gradients together, at least 0; 0: any.
        ema_momentum: Momentum of the moving average of the weights, which is then what is evaluated
            and kept, from 0 (no averaging) to below 1.
        label_smoothing: Share of the target that goes to all classes alike, from 0 to below 1.
        transition_penalty: Where there is an answer at every frame: weight of the squared
            difference of log probabilities from frame to frame, each cut at 4, which keeps answers
            from flickering; at least 0.
        class_weights: Whether the videos of rare classes count more, so that each class counts
            the same. For classes that exclude each other.
        balanced: Whether the videos of rare classes are shown more often, so that each class
            is seen as often as the largest one; where a video has several, or a recording,
            somewhat more often, and at most four times.
        patience: Epochs without a better validation loss after which training stops; 0 never
            stops early. Without validation videos all epochs are run.
        checkpoint: Which epoch is kept: the `best` by validation loss; or the `last`, so that
            validation videos choose nothing and say what to expect.
        precision: Of the backbone in training: `float32`; half the bits where it does not hurt,
            `mixed_bfloat16` or `mixed_float16`; or `auto`, `mixed_bfloat16` on processors with
            AMX and GPUs with tensor cores for it, `float32` elsewhere and where features are
            stored. A training that goes on keeps what it began with. The model that is kept
            computes in float32.
        cache_features: Whether the features of a frozen backbone are computed once and stored in
            the data set, and only the temporal part is trained. Of augmentation, flip and what
            concerns time remain.
        tensorboard: Whether to write logs into the folder `tensorboard` of the run (pip install
            -e '.[tensorboard]').
    """

    epochs: int = 60
    batch_size: int = 16
    gradient_accumulation_steps: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    clip_norm: float = 0.0
    ema_momentum: float = 0.0
    label_smoothing: float = 0.0
    transition_penalty: float = 0.15
    class_weights: bool = False
    balanced: bool = False
    patience: int = 20
    checkpoint: Literal["best", "last"] = "best"
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    cache_features: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        counts = {"epochs": 1, "batch_size": 1, "gradient_accumulation_steps": 1, "patience": 0}
        for name, low in counts.items():
            expect_range(getattr(self, name), f"train.{name}", low, MANY)
        for name in ("weight_decay", "clip_norm", "transition_penalty"):
            expect_at_least(getattr(self, name), f"train.{name}", 0)
        rate = self.learning_rate
        expect(0 < rate <= 1e30, "train.learning_rate must be above 0, at most 1e30", rate)
        for name in ("warmup", "ema_momentum", "label_smoothing"):
            expect_share(getattr(self, name), f"train.{name}")
        expect(
            not (self.class_weights and self.balanced),
            "train.class_weights and train.balanced both make up for rare classes: choose one",
            (self.class_weights, self.balanced),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Settings of evaluation.

    Attributes:
        order_pairs: Pairs of class names that only the order of frames tells apart, such as
            [["sit_down", "stand_up"]]; the order test then counts how often reversing the frames
            turns the one into the other.
        unknown: When the answer is "unknown": when the highest logit is below a threshold. This is
            chosen on validation videos so that a share of them is still answered (`coverage`), or
            that a share of the answers is right (`precision`); `off`: there is none.
        unknown_target: That share, above 0 to 1.
    """

    order_pairs: tuple[tuple[str, str], ...] = ()
    unknown: Literal["coverage", "precision", "off"] = "coverage"
    unknown_target: float = 0.95

    def __post_init__(self) -> None:
        target = self.unknown_target
        expect(0 < target <= 1, "evaluate.unknown_target must be above 0, at most 1", target)
