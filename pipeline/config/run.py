"""One training run, whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pipeline.config.augment import AugmentConfig
from pipeline.config.checks import expect, expect_range
from pipeline.config.data import ClipConfig, FramesConfig, SplitConfig
from pipeline.config.model import BackboneConfig, ModelConfig, TemporalConfig
from pipeline.config.training import EvaluateConfig, TrainConfig, check_pairs


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run, whole.

    Attributes:
        data: Folder of the prepared data set, such as `data/demo`; or, for a quick try, a table
            of videos (CSV, as for `clipline prepare --source csv`), which are read from their
            files.
        seed: Of everything random in the run; 0 or above.
        frames: The frames that the data set holds; filled in from it.
        split: Which videos train, validate and test.
        clip: How clips are made.
        augment: Random changes of training clips.
        model: The network as a whole.
        backbone: Its part that looks at each frame.
        temporal: Its part that reads the frames in their order.
        train: Its training.
        evaluate: Its evaluation.
    """

    data: str = ""
    seed: int = 0
    frames: FramesConfig = FramesConfig()
    split: SplitConfig = SplitConfig()
    clip: ClipConfig = ClipConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    backbone: BackboneConfig = BackboneConfig()
    temporal: TemporalConfig = TemporalConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    def __post_init__(self) -> None:
        expect_range(self.seed, "seed", 0, 2**32 - 1)
        expect(
            self.clip.num_frames > 1 or self.model.input in ("rgb", "flow", "rgb+flow"),
            "clip.num_frames must be at least 2 for differences of frames; or --model.input rgb",
            self.clip.num_frames,
        )
        mixes = self.augment.mixup.strength or self.augment.cutmix.strength
        expect(
            self.train.batch_size > 1 or not mixes,
            "train.batch_size must be at least 2 for mixup and cutmix, which mix clips of a batch",
            self.train.batch_size,
        )
        if self.train.cache_features:
            self._check_cache()
            expect(
                not mixes,
                "train.cache_features stores features, of which mixup and cutmix, which mix "
                "frames, know nothing: set their strength to 0",
                mixes,
            )

    def _check_cache(self) -> None:
        expect(
            self.backbone.trainable == "none",
            "train.cache_features takes a frozen backbone: --backbone.trainable none",
            self.backbone.trainable,
        )
        expect(
            self.model.input in ("rgb", "flow", "rgb+flow"),
            "train.cache_features takes frames that do not depend on others: --model.input rgb, "
            "flow or rgb+flow",
            self.model.input,
        )

    def check_classes(self, class_names: Sequence[str]) -> None:
        """Makes sure that all pairs of classes are pairs of classes that there are.

        Raises:
            ConfigError: One is not.
        """
        check_pairs(self.evaluate.order_pairs, "evaluate.order_pairs", class_names)
        for name in ("flip_labels", "reverse_labels"):
            check_pairs(getattr(self.augment, name), f"augment.{name}", class_names)
