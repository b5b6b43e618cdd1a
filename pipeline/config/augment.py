"""The random changes of the training clips of a run."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pipeline.config.values import (
    PROBABILITY,
    Probability,
    Range,
    check_ranges,
    expect,
    ranges_of,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """A random change of a clip; 0 as the one or the other switches it off.

    Attributes:
        probability: With which a clip is changed, 0 to 1.
        strength: How much at most; see the change.
    """

    probability: float = 1.0
    strength: float = 0.0

    @property
    def on(self) -> bool:
        """Whether it ever changes a clip."""
        return self.probability > 0 and self.strength > 0


OFF = Change()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of training clips, drawn once per clip, never frame by frame.

    Attributes:
        flip: Probability of mirroring left and right. Where a class means a direction,
            say so in flip_labels, or leave it off.
        flip_labels: Pairs of classes that become each other in the mirror, such as
            [["left", "right"]]; a mirrored clip of the one gets the label of the other.
        crop: A random window, resized; of height and width it leaves out a share each, of up to
            the strength, so that the aspect ratio varies.
        scale: A zoom about the centre by a factor from 1 / (1 + strength) to 1 + strength.
        translate: A shift, by at most this share of the side each way.
        rotation: A turn by at most so many degrees either way.
        brightness: A change by at most this share of the full range either way.
        contrast: Contrast about the clip's mean by a factor from 1 / (1 + strength) to
            1 + strength.
        saturation: Distance of the colours from grey by a factor in the same way.
        hue: A turn of the colours by at most this share of the full circle either way.
        greyscale: Probability of taking the colours away.
        noise: Gaussian noise, another in each frame and the same in all colours, with a standard
            deviation of up to this share of the full range.
        jitter: Of key points: each is displaced, another way in each frame, with a standard
            deviation of up to this share of the height of the frame, or, of points from tables, of
            the length of the animal.
        erase: A grey rectangle in place of a part of each frame, of up to this share of each side.
        speed: A uniform clip is cut of a random part of the video, which leaves out up to this
            share of it, though never frames that the clip needs: what is shown goes by slower,
            and begins or ends elsewhere. The frames of a dense clip lie closer together or
            further apart, by a factor from 1 - strength to 1 / (1 - strength).
        drop_frames: Up to this share of the clip's frames is left out at random, and what is
            missing is treated as clip.short says of short videos.
        reverse: Probability of showing the clip backwards; only for classes in
            reverse_labels.
        reverse_labels: Pairs of classes that become each other backwards, such as
            [["sit_down", "stand_up"]]; a class that stays the same is a pair with itself.
        mixup: Clips are blended with others, and so are their labels; the shares are drawn from
            Beta(strength, strength).
        cutmix: A window of other clips in place of a part of each frame, and the labels by share;
            the area is drawn from Beta(strength, strength). A clip for which both mixup
            and cutmix are drawn gets one of them.
    """

    flip: Probability = 0.5
    flip_labels: tuple[tuple[str, str], ...] = ()
    crop: Annotated[Change, Range(0, 0.9)] = Change(strength=0.15)
    scale: Annotated[Change, Range(0, 1)] = Change(strength=0.1)
    translate: Annotated[Change, Range(0, 1)] = OFF
    rotation: Annotated[Change, Range(0, 180)] = Change(strength=5.0)
    brightness: Annotated[Change, Range(0, 1)] = Change(strength=0.15)
    contrast: Annotated[Change, Range(0, 4)] = Change(strength=0.25)
    saturation: Annotated[Change, Range(0, 4)] = OFF
    hue: Annotated[Change, Range(0, 0.5)] = OFF
    greyscale: Probability = 0.0
    noise: Annotated[Change, Range(0, 1)] = OFF
    jitter: Annotated[Change, Range(0, 0.1)] = Change(strength=0.005)
    erase: Annotated[Change, Range(0, 0.9)] = OFF
    speed: Annotated[Change, Range(0, 0.9)] = OFF
    drop_frames: Annotated[Change, Range(0, 0.9)] = OFF
    reverse: Probability = 0.0
    reverse_labels: tuple[tuple[str, str], ...] = ()
    mixup: Annotated[Change, Range(0, 10)] = OFF
    cutmix: Annotated[Change, Range(0, 10)] = OFF

    def __post_init__(self) -> None:
        check_ranges(self, "augment.{}".format)
        for name, allowed in ranges_of(AugmentConfig).items():
            if isinstance(change := getattr(self, name), Change):
                PROBABILITY.check(change.probability, f"augment.{name}.probability")
                allowed.check(change.strength, f"augment.{name}.strength")
        for name in ("flip_labels", "reverse_labels"):
            pairs = getattr(self, name)
            classes = [class_name for pair in pairs for class_name in set(pair)]
            once = len(classes) == len(set(classes))
            expect(once, f"augment.{name} must name each class in one pair only", pairs)
        expect(
            self.reverse == 0 or len(self.reverse_labels) > 0,
            "augment.reverse takes augment.reverse_labels, the classes that may run backwards",
            self.reverse_labels,
        )


NO_AUGMENT = AugmentConfig(
    flip=0, crop=OFF, scale=OFF, rotation=OFF, brightness=OFF, contrast=OFF, jitter=OFF
)
"""Every change switched off."""
