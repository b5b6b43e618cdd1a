"""Drawing text of any script with matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# matplotlib's own font lacks the scripts of East Asia; the first of these that is installed helps.
_MORE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
)


@contextmanager
def any_script() -> Iterator[None]:
    """Within it, text is drawn with a font for its script; without one, as boxes, but quietly."""
    from matplotlib import font_manager, rc_context  # takes a while

    installed = set(font_manager.get_font_names())
    families = ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]
    with rc_context({"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
