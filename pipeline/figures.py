"""Parts of pictures: text of any script, frames side by side."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib's own font lacks the scripts of East Asia; the first of these that is installed helps.
_MORE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
)

PLAIN: dict[str, Any] = {"parse_math": False}
"""For text with names in it, which may hold dollar signs."""

_GAP = 3  # pixels between frames
_GREY = 225


def frame_strip(
    frames: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """The frames of a clip side by side; padding is left grey.

    Args:
        frames: uint8 (T, H, W, 3).
        mask: bool (T,), true for real frames.

    Returns:
        uint8 (H, T * (W + 3), 3).
    """
    shown = np.where(mask[:, None, None, None], frames, _GREY)
    spaced = np.pad(shown, ((0, 0), (0, 0), (0, _GAP), (0, 0)), constant_values=255)
    return np.concatenate(list(spaced), axis=1).astype(np.uint8)


def class_colours(class_names: Sequence[str]) -> dict[str, Any]:
    """A colour for each class, red, green, blue and opacity from 0 to 1; of many, some are alike.

    Example:
        >>> colours = class_colours(["walk", "wave"])
        >>> [round(255 * part) for part in colours["walk"]]
        [31, 119, 180, 255]
    """
    from matplotlib import colormaps  # takes a while

    palette = colormaps["tab10" if len(class_names) <= 10 else "tab20"]
    return {name: palette(number % palette.N) for number, name in enumerate(class_names)}


def plain_axes(axes: Axes, across: str, up: str) -> None:
    """Labels axes; a grid in place of a frame."""
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


@contextmanager
def any_script() -> Iterator[None]:
    """Within it, text is drawn with a font for its script; without one, as boxes, but quietly."""
    from matplotlib import rc_context  # takes a while

    with rc_context({"font.family": font_families()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def font_families() -> list[str]:
    """The fonts that are there for text of any script, the usual one first."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]
