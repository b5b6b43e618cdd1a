"""The network of a run: input stage, backbone, temporal part, head."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pipeline.config.values import (
    MANY,
    POSITIVE,
    NotNegative,
    Positive,
    Range,
    Share,
    check_ranges,
    expect,
)
from pipeline.external import SUFFIXES, Channels, Reading
from pipeline.streams import IMAGES, STREAMS

TaskName = Literal["auto", "video", "video-multilabel", "frames", "frames-multilabel"]

_WIDEST = 4096
"""Of a layer; one of LSTM takes a gigabyte with its gradients and what AdamW keeps."""
_MOST_BLOCKS = 12
"""Each halves the frame, whose side is at most 4096 pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network as a whole.

    Attributes:
        task: What is asked. `video`: which one of the classes a video shows. `video-multilabel`:
            which of them, none to all. `frames`: which one each frame of a recording shows.
            `frames-multilabel`: which of them each frame shows. `auto`: what the data set is
            labelled for.
        background: Class of the frames that no event covers, empty: none; filled in from the data
            set, never set.
        streams: What the network sees: `rgb` frames; the `difference` of each frame to the one
            before it; `rgb_difference`, both stacked as channels; the optical `flow`, for which
            the data set is prepared with --flow. Of several, such as `rgb,flow`, each has a
            backbone and a temporal part of its own, and their logits are averaged.
        fusion: How several streams are trained: `together`, by the loss of their average; or
            `apart`, each by a loss of its own, as if they were several networks.
        difference_gain: Factor on the differences, so that they fill the input range.
        dropout: Share of values dropped before the head.
        l1: L1 penalty on the weights of Conv2D, Conv1D, LSTM, GRU and Dense.
        l2: L2 penalty on the same weights.
    """

    task: TaskName = "auto"
    background: str = ""
    streams: tuple[str, ...] = ("difference",)
    fusion: Literal["together", "apart"] = "together"
    difference_gain: Positive = 3.0
    dropout: Share = 0.3
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0

    def __post_init__(self) -> None:
        expect(
            bool(self.streams)
            and len(set(self.streams)) == len(self.streams)
            and set(self.streams) <= set(STREAMS),
            f"model.streams must be one or more of {', '.join(STREAMS)}, such as "
            'rgb,flow or, in a file, ["rgb", "flow"]',
            list(self.streams),
        )
        check_ranges(self, "model.{}".format)

    @property
    def per_frame(self) -> bool:
        """Whether there is an answer at every frame, rather than one for the clip."""
        return self.task.startswith("frames")

    @property
    def multilabel(self) -> bool:
        """Whether several classes may hold at once."""
        return self.task.endswith("multilabel")

    @property
    def trained_apart(self) -> bool:
        """Whether each of several streams has a loss of its own."""
        return self.fusion == "apart" and len(self.streams) > 1

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images that a clip must hold for the streams, the frames first."""
        needed = {STREAMS[stream].image.name for stream in self.streams}
        return tuple(name for name in IMAGES if name in needed)

    @property
    def need_frame_before(self) -> tuple[str, ...]:
        """Those of the streams to which a frame by itself says nothing, or not all."""
        return tuple(name for name in self.streams if STREAMS[name].needs_frame_before)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """The network that turns one frame into one feature vector.

    Attributes:
        name: `cnn`, blocks of Conv2D, normalisation, activation and MaxPooling2D;
            `efficientnet_lite0`, `efficientnet_lite1` or `efficientnet_lite2`; a model of
            `keras.applications`, such as `MobileNetV2`; a `.keras` file that maps a frame, 0 to
            255, to features; or an external backbone, a `.tflite` or `.onnx` file that maps a frame
            to features, which are stored (`train.cache_features`).
        weights: Of a model that is not `cnn`: `imagenet`, a weights file, or `none`.
        trainable: `all`, `none`, or the number of last blocks that are trained; a block ends
            where the resolution falls. What is not trained keeps its batch normalisation, too.
        learning_rate_factor: The learning rate of the backbone, as a share of the other one.
        filters: Filters of each block of `cnn`, 1 to 4096.
        normalisation: In `cnn`, batch normalisation `before` or `after` the activation, or `off`.
        momentum: Of the moving statistics of batch normalisation.
        synchronised: Whether a batch that several devices share is normalised by the statistics of
            all of it, as on one device, which costs a round trip a layer; else by those of each
            device's share.
        spatial_dropout: Share of feature maps of `cnn` dropped after each block.
        grid: The features keep a grid of at most this many cells a side; 1 is global average
            pooling, which forgets where something moved.
        normalise_features: Whether to batch-normalise the frame features before the temporal part.
        mean: Of a `.tflite` or `.onnx` file, which takes (pixel - mean) / std of pixels from 0 to
            255: one for all channels, or those of red, green and blue; empty: what the file says.
        std: Likewise, above 0.
        channels: Their order in such a file; `auto`: what the file says, else `rgb`.
    """

    name: str = "cnn"
    weights: str = "imagenet"
    trainable: int | Literal["all", "none"] = "all"
    learning_rate_factor: Annotated[float, Range(0, 1, is_above=True)] = 1.0
    filters: tuple[int, ...] = (16, 32, 64, 96)
    normalisation: Literal["before", "after", "off"] = "before"
    momentum: Share = 0.9
    synchronised: bool = False
    spatial_dropout: Share = 0.0
    grid: Annotated[int, Range(1, _WIDEST)] = 4
    normalise_features: bool = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels = "auto"

    @property
    def is_external(self) -> bool:
        """Whether it is external: a frozen network in a file, which is no part of the graph."""
        return self.name.endswith(SUFFIXES)

    @property
    def reading(self) -> Reading:
        """How an external backbone takes frames."""
        return Reading(mean=self.mean, std=self.std, channels=self.channels, grid=self.grid)

    def __post_init__(self) -> None:
        expect(bool(self.name), "backbone.name must name a network, such as cnn", self.name)
        expect(
            isinstance(self.trainable, str) or 1 <= self.trainable <= MANY,
            f"backbone.trainable must be all, none, or from 1 to {MANY}",
            self.trainable,
        )
        check_ranges(self, "backbone.{}".format)
        good_filters = all(1 <= each <= _WIDEST for each in self.filters)
        expect(
            good_filters and 1 <= len(self.filters) <= _MOST_BLOCKS,
            f"backbone.filters must be 1 to {_MOST_BLOCKS} numbers from 1 to {_WIDEST}, such as "
            "[16, 32]",
            self.filters,
        )
        expect(
            (self.name != "cnn" and not self.is_external) or self.weights in ("imagenet", "none"),
            "backbone.weights is for networks other than cnn and .tflite and .onnx files: name one "
            "as well (--backbone.name)",
            self.weights,
        )
        given = (self.mean, self.std, self.channels)
        expect(
            self.is_external or given == ((), (), "auto"),
            "backbone.mean, std and channels are for .tflite and .onnx files: leave them out",
            given,
        )
        _ = self.reading  # It checks its values.


@dataclasses.dataclass(frozen=True, kw_only=True)
class TemporalConfig:
    """The part that reads the features of a clip's frames in their order.

    Attributes:
        kind: `lstm`; `bilstm`, which reads both ways; `gru`; `conv1d_lstm`, a convolution over
            time before the LSTM; `tcn`, convolutions over time, each of which looks twice as far
            as the one before; `mean`, which knows no order: the baseline to beat; or `stats`, the
            mean of each feature, its standard deviation, its mean absolute change from frame to
            frame, and its mean in the second half less that in the first. On stored features
            (`train.cache_features`), the head of `stats` is not trained in epochs, but fitted at
            once, as logistic regression; what concerns epochs and learning rates has no say then.
        penalty: Of `stats` on stored features: half the sum of the squared weights times this is
            added to the summed cross-entropy of the training clips; `auto`: what does
            best in five folds over groups of the training videos; `nearest`: nothing is fitted,
            the class whose mean is nearest is the answer, which works from one video a class on.
        units: Of each recurrent layer in each direction, and filters of convolutions.
        layers: Recurrent layers, or convolutions of `tcn` in each stage, one above the other.
        causal: Whether `tcn` looks back only, as `lstm` and `gru` do.
        stages: Of `tcn`, where there is an answer at every frame: each stage after the first
            corrects the answers of the one before it.
        pooling: What of the outputs is used for a clip: the `last` one, their `mean`, their `max`,
            or their mean weighted by `attention`, over the real frames. Where there is an answer
            at every frame, each output is used.
        dropout: Share of the features dropped before the temporal part.
        input_dropout: Share of the inputs of each layer dropped, of a recurrent one the same ones
            in each frame of a clip.
        recurrent_dropout: Share of the state dropped; with it, a GPU cannot
            use its fast LSTM.
    """

    kind: Literal["lstm", "bilstm", "gru", "conv1d_lstm", "tcn", "mean", "stats"] = "lstm"
    penalty: Annotated[float | Literal["auto", "nearest"], POSITIVE] = "auto"
    units: Annotated[int, Range(1, _WIDEST)] = 96
    layers: Annotated[int, Range(1, 12)] = 1
    causal: bool = False
    stages: Annotated[int, Range(1, 8)] = 1
    pooling: Literal["last", "mean", "max", "attention"] = "mean"
    dropout: Share = 0.3
    input_dropout: Share = 0.0
    recurrent_dropout: Share = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "temporal.{}".format)
        expect(
            self.kind == "stats" or self.penalty == "auto",
            "temporal.penalty is for temporal.kind stats",
            self.penalty,
        )
        for name in ("causal", "stages"):
            value = getattr(self, name)
            is_default = value == getattr(TemporalConfig, name)
            expect(
                is_default or self.kind == "tcn", f"temporal.{name} is for temporal.kind tcn", value
            )

    @property
    def looks_back_only(self) -> bool:
        """Whether what it says of a frame depends on this and those before alone."""
        return self.kind in ("lstm", "gru", "mean") or self.causal
