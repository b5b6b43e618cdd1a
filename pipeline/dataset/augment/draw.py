"""Augmentation of one training clip: one draw of numbers, the same for all of its frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.config import AugmentConfig

_CHANGES = (
    "flip",
    "crop",
    "scale",
    "translate",
    "rotation",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "greyscale",
    "noise",
    "erase",
    "speed",
    "drop_frames",
    "reverse",
)
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""RGB to brightness (Y) and colour (I, Q), as in NTSC television."""

Numbers = npt.NDArray[np.float64]


class Pixels(NamedTuple):
    """Changes of the pixels of one clip; arrays, or tensors inside tf.data.

    Attributes:
        transform: float32 (8,), the map from output to input pixels, in the order of
            `tf.raw_ops.ImageProjectiveTransformV3`; affine, so that the last two are 0.
        colours: float32 (3, 3), from RGB to RGB; grey stays as it is.
        contrast: Factor on the distance of every value from the clip's mean.
        brightness: Added to every value, as a share of the full range.
        noise: Standard deviation of the noise, as a share of the full range.
        noise_seed: int32 (2,), of the noise as of the jitter.
        erased: bool (H, W), true where the picture is taken away.
        jitter: Standard deviation by which key points are displaced, in heights of the frame.
    """

    transform: npt.NDArray[np.float32]
    colours: npt.NDArray[np.float32]
    contrast: np.float32
    brightness: np.float32
    noise: np.float32
    noise_seed: npt.NDArray[np.int32]
    erased: npt.NDArray[np.bool_]
    jitter: np.float32


PIXEL_TYPES = (*[np.float32] * 5, np.int32, np.bool_, np.float32)
"""Types of the fields of `Pixels`."""


class Augmentation(NamedTuple):
    """Changes of one clip.

    Attributes:
        mirrored: Whether `pixels.transform` swaps left and right.
        reverse: Whether it is shown backwards, if its class allows it.
        speed: Factor on how fast the video goes by, see `pipeline.dataset.sampling.sample_clip`.
        drop_frames: Share of its frames that are left out at most.
        pixels: The rest.
    """

    mirrored: bool
    reverse: bool
    speed: float
    drop_frames: float
    pixels: Pixels


def draw(config: AugmentConfig, size: int, rng: np.random.Generator) -> Augmentation:
    """Draws what happens to one clip of frames `size` pixels high and wide.

    A change that is switched off leaves the draws of the others as they are.
    """
    # Each change has numbers of its own, from 0 to 1, and they are always drawn: the first one
    # decides whether it happens, the others how.
    numbers = dict(zip(_CHANGES, rng.random((len(_CHANGES), 5)), strict=True))

    # Of a generator of its own, so that what is drawn next does not depend on it.
    numbers["jitter"] = rng.spawn(1)[0].random(5)

    def happens(name: str) -> bool:
        return bool(numbers[name][0] < getattr(config, name))

    def strength(name: str) -> float:
        change = getattr(config, name)
        return change.strength if numbers[name][0] < change.probability else 0.0

    def either_way(name: str) -> float:
        return strength(name) * (2 * numbers[name][1] - 1)

    def factor(name: str) -> float:
        return (1 + strength(name)) ** (2 * numbers[name][1] - 1)

    def window(name: str) -> tuple[Numbers, Numbers]:
        return strength(name) * numbers[name][1:3], numbers[name][3:5]

    mirrored = happens("flip")
    shift = strength("translate") * (2 * numbers["translate"][1:3] - 1) * size
    saturation = 0.0 if happens("greyscale") else factor("saturation")
    pixels = Pixels(
        _transform(
            size, mirrored, window("crop"), factor("scale"), either_way("rotation"), shift
        ).astype(np.float32),
        _colours(saturation, either_way("hue")).astype(np.float32),
        np.float32(factor("contrast")),
        np.float32(either_way("brightness")),
        np.float32(strength("noise") * numbers["noise"][1]),
        (numbers["noise"][2:4] * 2**31).astype(np.int32),
        _rectangle(size, *window("erase")),
        np.float32(strength("jitter") * numbers["jitter"][1]),
    )
    speed = (1 - strength("speed")) ** (2 * numbers["speed"][1] - 1)
    return Augmentation(mirrored, happens("reverse"), speed, strength("drop_frames"), pixels)


def _transform(
    size: int,
    mirrored: bool,
    crop: tuple[Numbers, Numbers],
    zoom: float,
    degrees: float,
    shift: Numbers,
) -> Numbers:
    """The picture is mirrored, cropped and resized, then zoomed, turned and shifted.

    Backwards, from output to input: input = centre + mirror (place + window * rotation / zoom *
    (output - shift - centre)), where points are (x, y).
    """
    cut, place = (pair[::-1] for pair in crop)  # height and width come as (y, x)
    centre = (size - 1) / 2
    radians = np.radians(degrees)
    cos, sin = np.cos(radians) / zoom, np.sin(radians) / zoom
    mirror = np.array([-1.0 if mirrored else 1.0, 1.0])
    linear = (mirror * (1 - cut))[:, None] * np.array([[cos, -sin], [sin, cos]])
    offset = centre + mirror * (place - 0.5) * cut * size - linear @ (shift + centre)
    return np.array([*linear[0], offset[0], *linear[1], offset[1], 0, 0])


def _colours(saturation: float, turn: float) -> Numbers:
    """In (Y, I, Q), saturation is a factor on the plane of the colours and hue a turn in it."""
    if saturation == 1 and turn == 0:
        return np.eye(3)
    cos, sin = saturation * np.cos(2 * np.pi * turn), saturation * np.sin(2 * np.pi * turn)
    plane = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.linalg.solve(_TO_YIQ, plane @ _TO_YIQ)


def _rectangle(size: int, share: Numbers, place: Numbers) -> npt.NDArray[np.bool_]:
    inside = np.zeros((size, size), np.bool_)
    sides = np.rint(share * size).astype(int)
    top, left = (place * (size - sides + 1)).astype(int)
    inside[top : top + sides[0], left : left + sides[1]] = True
    return inside
