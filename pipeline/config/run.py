"""One training run, whole."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.augment import AugmentConfig
from pipeline.config.data import ClipConfig, FramesConfig, SplitConfig
from pipeline.config.model import BackboneConfig, ModelConfig, TemporalConfig
from pipeline.config.training import EvaluateConfig, TrainConfig
from pipeline.config.values import Seed, check_ranges, expect
from pipeline.streams import STREAMS
from pipeline.text import listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run, whole.

    Attributes:
        data: Folder of the prepared data set, such as `data/demo`; or what is prepared first: a
            folder of videos by class, a table of videos, or one of events (CSV, as for `clipline
            prepare --source csv` and `events`).
        data_cache: Folder for what is prepared first, so that a second run decodes nothing.
        seed: Of everything random in the run.
        frames: The frames that the data set holds; filled in from it.
        split: Which videos train, validate and test.
        clip: How clips are made.
        augment: Random changes of training clips.
        model: The network as a whole.
        backbone: Its part that looks at each frame. A stream has one of its own where a value of
            it is given, as `backbone.flow.name`; what is left out there has its default.
        backbones: Those of single streams, by stream; in a file, the tables `[backbone.STREAM]`.
        temporal: Its part that reads the frames in their order.
        train: Its training.
        evaluate: Its evaluation.
    """

    data: str = ""
    data_cache: str = "runs/data"
    seed: Seed = 0
    frames: FramesConfig = FramesConfig()
    split: SplitConfig = SplitConfig()
    clip: ClipConfig = ClipConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    backbone: BackboneConfig = BackboneConfig()
    backbones: Mapping[str, BackboneConfig] = dataclasses.field(default_factory=dict, hash=False)
    temporal: TemporalConfig = TemporalConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    def __post_init__(self) -> None:
        check_ranges(self, str)
        for stream in self.backbones:
            expect(stream in STREAMS, f"backbone.STREAM is of one of {', '.join(STREAMS)}", stream)
        expect(
            self.clip.num_frames > 1 or not self.model.need_frame_before,
            f"clip.num_frames must be at least 2 for {' and '.join(self.model.need_frame_before)}; "
            "or --model.streams rgb",
            self.clip.num_frames,
        )
        mixes = self.augment.mixup.strength or self.augment.cutmix.strength
        expect(
            self.train.batch_size > 1 or not mixes,
            "train.batch_size must be at least 2 for mixup and cutmix, which mix clips of a batch",
            self.train.batch_size,
        )
        numbers = [name for name in self.model.streams if not STREAMS[name].is_picture]
        expect(
            not (numbers and mixes),
            f"mixup and cutmix mix pictures, which the stream {', '.join(numbers)} does not see: "
            "set their strength to 0",
            mixes,
        )
        for stream in self.external:
            self._check_external(stream)
        if self.train.cache_features:
            self._check_cache()
            expect(
                not mixes,
                "train.cache_features stores features, of which mixup and cutmix, which mix "
                "frames, know nothing: set their strength to 0",
                mixes,
            )

    @property
    def is_linear(self) -> bool:
        """Whether its heads are fitted at once, to stored features."""
        return self.temporal.kind == "stats" and self.train.cache_features

    def check_task(self) -> None:
        """Makes sure that the values go with the task, once it is known, see `resolve`.

        Raises:
            ConfigError: They do not.
        """
        task, is_one = self.model.task, not self.model.per_frame and not self.model.multilabel
        if self.model.per_frame:
            self._check_frames()
        else:
            takes = "temporal.stages is for recordings. For videos: --config small, or "
            stages = self.temporal.stages
            expect(stages == 1, f"{takes}--temporal.stages 1", stages)
        takes = "augment.reverse is for videos with one label: --augment.reverse 0"
        expect(is_one or not self.augment.reverse, takes, self.augment.reverse)
        takes = "evaluate.order_pairs is for videos with one label: --evaluate.order_pairs '[]'"
        expect(is_one or not self.evaluate.order_pairs, takes, self.evaluate.order_pairs)
        takes = "train.class_weights takes classes that exclude each other: train.balanced"
        expect(is_one or not self.train.class_weights, takes, task)

    def _check_frames(self) -> None:
        task = self.model.task
        kind, sampling, short = self.temporal.kind, self.clip.sampling, self.clip.short
        known = kind not in ("mean", "stats")
        expect(known, f"task {task} takes a temporal.kind that tells frames apart", kind)
        expect(
            sampling == "dense",
            f"task {task} takes frames in a row: --config recordings, or --clip.sampling dense",
            sampling,
        )
        expect(short == "mask", f"task {task} takes clip.short mask", short)

    def _check_cache(self) -> None:
        for stream in self.model.streams:
            trainable = self.backbone_of(stream).trainable
            own = f".{stream}" if stream in self.backbones else ""
            expect(
                trainable == "none",
                f"train.cache_features takes a frozen backbone: --backbone{own}.trainable none",
                trainable,
            )
        alone = [name for name, stream in STREAMS.items() if not stream.needs_frame_before]
        expect(
            not self.model.need_frame_before,
            "train.cache_features takes frames that do not depend on others: --model.streams "
            f"with {' or '.join(alone)}",
            list(self.model.streams),
        )

    def _check_external(self, stream: str) -> None:
        name, seen = self.backbone_of(stream).name, STREAMS[stream]
        expect(
            seen.image.name == "frames" and not seen.needs_frame_before,
            f"backbone.name {name} takes frames as they are: --model.streams rgb, or give the "
            f"stream a backbone of its own, such as --backbone.{stream}.name cnn",
            stream,
        )
        expect(
            self.train.cache_features,
            f"backbone.name {name} is not trained, and its features are stored: "
            "--backbone.trainable none --train.cache_features true",
            self.train.cache_features,
        )

    @property
    def sorts_people(self) -> bool:
        """Whether people of a clip are put in order, which takes all its frames.

        Individuals of tables have names, and stay in their order.
        """
        is_one = not self.model.per_frame
        return is_one and "pose" in self.model.streams and not self.frames.key_points

    @property
    def external(self) -> tuple[str, ...]:
        """Those of the streams whose features come from an external backbone, a file."""
        return tuple(
            stream
            for stream in self.model.streams
            if STREAMS[stream].is_picture and self.backbone_of(stream).is_external
        )

    def with_files(self, files: Mapping[str, str]) -> RunConfig:
        """The same run, with other files of external backbones, by stream."""
        own = {
            stream: dataclasses.replace(self.backbone_of(stream), name=file)
            for stream, file in files.items()
        }
        return dataclasses.replace(self, backbones={**self.backbones, **own}) if own else self

    def backbone_of(self, stream: str) -> BackboneConfig:
        """The backbone of a stream: its own, or else that of all."""
        return self.backbones.get(stream, self.backbone)

    def with_backbones(self, **changes: Any) -> RunConfig:
        """The same run, with some values of every backbone changed."""
        return dataclasses.replace(
            self,
            backbone=dataclasses.replace(self.backbone, **changes),
            backbones={
                stream: dataclasses.replace(own, **changes)
                for stream, own in self.backbones.items()
            },
        )

    def check_classes(self, class_names: Sequence[str]) -> None:
        """Makes sure that all pairs of classes are pairs of classes that there are.

        Raises:
            ConfigError: One is not.
        """
        for name, pairs in {
            "evaluate.order_pairs": self.evaluate.order_pairs,
            "augment.flip_labels": self.augment.flip_labels,
            "augment.reverse_labels": self.augment.reverse_labels,
        }.items():
            for class_name in itertools.chain(*pairs):
                expect(
                    class_name in class_names,
                    f"{name} must name classes ({listed(class_names, most=20)}), or none: "
                    f"--{name} '[]'",
                    class_name,
                )
