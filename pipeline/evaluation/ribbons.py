"""Ribbons: which classes hold when, human above machine, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from markupsafe import Markup, escape

from pipeline.evaluation.recordings import Recording
from pipeline.evaluation.segmental import Segments, segments_at_once
from pipeline.text import clock, visible

ROW: Final = 10
"""Height of the row of a class, in units of the SVG; a unit across is a second."""

_HUMAN, _MACHINE, _BAR = 1, 5, 4  # from where in a row on, and how high
STEPS: Final = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 604_800),
)
MOST_TICKS: Final = 8
LAST_TICK: Final = 0.97  # of the length, so that what is written there has room


def ribbon(
    recording: Recording,
    class_names: Sequence[str],
    colours: Mapping[str, str],
    *,
    background: str = "",
    exclusive: bool,
) -> dict[str, Any]:
    """What the template draws of a recording.

    Args:
        recording: What a person and the model say.
        class_names: C names.
        colours: Of each class, as HTML has it.
        background: The class that gets no row; empty if there is none.
        exclusive: Whether classes exclude each other.

    Returns:
        `name` and `seconds`; `rows`, of the classes that anyone saw: `name` and `colour`; `bars`,
        the elements of the SVG; `height` in its units; `ticks`, see `ticks`.
    """
    human, machine = segments_at_once(recording.holds), segments_at_once(recording.answers)
    seen = [
        number
        for number in np.union1d(human[:, 0], machine[:, 0])
        if class_names[number] != background
    ]
    height = ROW * max(1, len(seen))
    bars = [_unknown(recording, height, exclusive=exclusive)]
    for place, number in enumerate(seen):
        name = class_names[number]
        for who, segments, top in (("human", human, _HUMAN), ("machine", machine, _MACHINE)):
            of_class = segments[segments[:, 0] == number]
            paths = _bars(of_class, ROW * place + top, _BAR, recording.fps, f"{name}, {who}")
            bars.append(
                _group(f'class="{who}" fill="{colours[name]}" stroke="{colours[name]}"', paths)
            )
    return {
        "name": recording.name,
        "seconds": recording.duration_seconds,
        "rows": [{"name": class_names[n], "colour": colours[class_names[n]]} for n in seen],
        "bars": Markup("").join(bars),
        "height": height,
        "ticks": ticks(recording.duration_seconds),
    }


def _unknown(recording: Recording, height: int, *, exclusive: bool) -> Markup:
    spans = segments_at_once(~recording.known(exclusive=exclusive)[:, None])
    return _group('class="unknown"', _bars(spans, 0, height, recording.fps, "nothing is known"))


def _group(attributes: str, paths: Markup) -> Markup:
    return Markup(f"<g {attributes}>{paths}</g>\n")  # noqa: S704


def _bars(segments: Segments, top: int, height: int, fps: float, title: str) -> Markup:
    """A rectangle for each segment, with its times as title."""
    shown = escape(visible(title))
    return Markup(  # noqa: S704
        "".join(
            f'<path d="M{start:.6g} {top}H{end:.6g}v{height}H{start:.6g}z">'
            f"<title>{shown}: {clock(start)} to {clock(end)}</title></path>"
            for start, end in segments[:, 1:] / fps
        )
    )


def ticks(seconds: float) -> list[tuple[float, str]]:
    """Places on a time axis, percent of its length, and what to write there.

    Example:
        >>> ticks(8.0)[:2]
        [(0.0, '0:00'), (12.5, '0:01')]
    """
    step = next((step for step in STEPS if seconds / step <= MOST_TICKS), STEPS[-1])
    places = np.arange(0, LAST_TICK * seconds, step)
    return [(float(100 * at / seconds), clock(at).removesuffix(".0")) for at in places]
