"""Settings of training and evaluation."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pipeline.config.values import MANY, NotNegative, Range, Share, check_ranges, expect


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of training.

    Attributes:
        epochs: Passes over the training videos.
        batch_size: Clips in a step, as many as fit into memory; over all devices, if there are
            several.
        gradient_accumulation_steps: Steps whose gradients are averaged before the weights change,
            for large batches in little memory.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Of AdamW.
        warmup: Share of all steps in which the learning rate rises to its peak; it then falls to
            0 along a cosine.
        clip_norm: Largest norm of all gradients together; 0: any.
        ema_momentum: Momentum of the moving average of the weights, which is then what is evaluated
            and kept; 0: there is none.
        label_smoothing: Share of the target that goes to all classes alike.
        transition_penalty: Where there is an answer at every frame: weight of the squared
            difference of log probabilities from frame to frame, each cut at 4, which keeps answers
            from flickering.
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

    epochs: Annotated[int, Range(1, MANY)] = 60
    batch_size: Annotated[int, Range(1, MANY)] = 16
    gradient_accumulation_steps: Annotated[int, Range(1, MANY)] = 1
    learning_rate: Annotated[float, Range(0, 1e30, is_above=True)] = 2e-3
    weight_decay: NotNegative = 1e-2
    warmup: Share = 0.1
    clip_norm: NotNegative = 0.0
    ema_momentum: Share = 0.0
    label_smoothing: Share = 0.0
    transition_penalty: NotNegative = 0.15
    class_weights: bool = False
    balanced: bool = False
    patience: Annotated[int, Range(0, MANY)] = 20
    checkpoint: Literal["best", "last"] = "best"
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    cache_features: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, "train.{}".format)
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
        unknown_target: That share.
    """

    order_pairs: tuple[tuple[str, str], ...] = ()
    unknown: Literal["coverage", "precision", "off"] = "coverage"
    unknown_target: Annotated[float, Range(0, 1, is_above=True)] = 0.95

    def __post_init__(self) -> None:
        check_ranges(self, "evaluate.{}".format)
