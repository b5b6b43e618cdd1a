"""The report on a run that answers at every frame: a page, a model card, and their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from markupsafe import Markup, escape
from matplotlib.colors import to_hex
from sklearn.metrics import precision_recall_curve

from pipeline.evaluation.metrics import confusion
from pipeline.evaluation.plots import plot_confusion, plot_per_class, plot_precision_recall
from pipeline.evaluation.recordings import Bools, Recording, judged
from pipeline.evaluation.results import FusedResult, RecordingResult
from pipeline.evaluation.segmental import Segments, segments_at_once
from pipeline.evaluation.views import write_fused_page, write_page
from pipeline.figures import class_colours
from pipeline.manifest.rows import Split
from pipeline.run import Run
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


@dataclasses.dataclass(frozen=True)
class Ribbon:
    """What the page draws of a recording.

    Attributes:
        name: Of the recording.
        seconds: How long it is.
        rows: Names of the classes that anyone saw.
        bars: The elements of the SVG.
        height: Of the SVG, in its units.
        ticks: See `ticks`.
    """

    name: str
    seconds: float
    rows: Sequence[str]
    bars: Markup
    height: int
    ticks: Sequence[tuple[float, str]]


def ribbon(
    recording: Recording,
    class_names: Sequence[str],
    colours: Mapping[str, str],
    *,
    background: str = "",
    exclusive: bool,
) -> Ribbon:
    """What the page draws of a recording.

    Args:
        recording: What a person and the model say.
        class_names: C names.
        colours: Of each class, as HTML has it.
        background: The class that gets no row; empty if there is none.
        exclusive: Whether classes exclude each other.
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
    seconds = recording.duration_seconds
    rows = [class_names[number] for number in seen]
    return Ribbon(recording.name, seconds, rows, Markup("").join(bars), height, ticks(seconds))


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


_MOST_ANSWERS = 2


@dataclasses.dataclass(frozen=True)
class Mistake:
    """Frames at which a model is wrong from one to the next, and the person says the same.

    Attributes:
        recording: Its number among the recordings.
        first_frame: The first wrong one, from 0.
        last_frame: The last wrong one.
        start_seconds: Where they begin.
        end_seconds: Where they end.
        human: Names of the classes that hold, maybe none.
        machine: What the model answers, the names of each set of classes and the share of the
            frames, 0 to 1; the most frequent ones.
    """

    recording: int
    first_frame: int
    last_frame: int
    start_seconds: float
    end_seconds: float
    human: tuple[str, ...]
    machine: list[tuple[tuple[str, ...], float]]


def longest_mistakes(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    exclusive: bool,
    most: int,
) -> list[Mistake]:
    """The longest spans in which the model is wrong, the longest first; what is unknown is none.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        exclusive: Whether classes exclude each other.
        most: How many, at most.
    """
    spans = [
        (number, *span)
        for number, recording in enumerate(recordings)
        for span in _wrong_spans(recording, exclusive=exclusive)
    ]
    spans.sort(key=lambda span: (span[1] - span[2]) / recordings[span[0]].fps)
    return [
        _mistake(number, recordings[number], start, end, class_names)
        for number, start, end in spans[:most]
    ]


def _wrong_spans(recording: Recording, *, exclusive: bool) -> list[tuple[int, int]]:
    """First frames, and the frames after the last."""
    wrong = (recording.holds != recording.answers).any(axis=1)
    wrong &= recording.known(exclusive=exclusive)
    state = np.column_stack([wrong, recording.labels])
    edges = np.flatnonzero((state[1:] != state[:-1]).any(axis=1)) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(wrong))
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True) if wrong[start]]


def _mistake(
    number: int, recording: Recording, start: int, end: int, class_names: Sequence[str]
) -> Mistake:
    answers, counts = np.unique(recording.answers[start:end], axis=0, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:_MOST_ANSWERS]
    return Mistake(
        number,
        start,
        end - 1,
        start / recording.fps,
        end / recording.fps,
        _names(recording.holds[start], class_names),
        [(_names(answers[row], class_names), float(counts[row] / (end - start))) for row in common],
    )


def _names(holds: Bools, class_names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, there in zip(class_names, holds, strict=True) if there)


MOST_MISTAKES: Final = 8

Strip = Callable[[int, int, int], bytes | None]
"""From the number of a recording, the first and the last of some of its frames, to a JPEG of them
side by side, or None where there are no pictures."""


def write_frames_report(
    run: Run,
    split: Split,
    result: RecordingResult,
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    data: Path | None = None,
    fused: FusedResult | None = None,
    strip: Strip = lambda *_: None,
) -> None:
    """Writes a page, a model card and their pictures, of what was found for a split.

    Args:
        run: A trained run, or fused ones, of which there is no card.
        split: Which recordings.
        result: What was found.
        recordings: What a person and the model say.
        class_names: C names.
        data: The folder of the data set, or the table of the videos, of a run.
        fused: What was found of fused ones.
        strip: Gives pictures of the mistakes.

    Raises:
        DataError: Nothing is known of any frame.
    """
    run.report.mkdir(exist_ok=True)
    exclusive, background = result.frames.exclusive, result.frames.background
    colours = {name: to_hex(colour) for name, colour in class_colours(class_names).items()}
    known = judged(recordings, exclusive=exclusive)
    plot_per_class(result.frames.per_class, run.report / f"{split}_per_class.png")
    curves = _curves(known, class_names)
    plot_precision_recall(curves, colours, run.report / f"{split}_precision_recall.png")
    if exclusive:
        shares = _confusion(known, len(class_names))
        plot_confusion(shares, class_names, run.report / f"{split}_confusion.png")
    facts = {
        "row_height": ROW,
        "steps": list(STEPS),
        "most_ticks": MOST_TICKS,
        "last_tick": LAST_TICK,
        "ribbons": [
            ribbon(each, class_names, colours, background=background, exclusive=exclusive)
            for each in recordings
        ],
        "mistakes": _mistakes(run, split, recordings, class_names, strip, exclusive=exclusive),
    }
    if fused:
        write_fused_page(run, split, class_names, "frames.html", fused, **facts)
    elif data:
        write_page(run, split, data, "frames.html", "frames_card.md", result, **facts)


def _confusion(known: Sequence[Recording], num_classes: int) -> Any:
    """Percent of the frames of each class, int (C, C): row is the human, column the model."""
    answers, labels = (
        np.concatenate([getattr(each, name).argmax(axis=1) for each in known])
        for name in ("answers", "holds")
    )
    counts = confusion(answers, labels, num_classes)
    return np.rint(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).astype(int)


def _curves(known: Sequence[Recording], class_names: Sequence[str]) -> dict[str, Any]:
    """Precision and recall of each class that is there, for thresholds from high to low."""
    holds = np.concatenate([each.holds for each in known])
    probabilities = np.concatenate([each.probabilities for each in known])
    return {
        name: precision_recall_curve(
            holds[:, number], probabilities[:, number], drop_intermediate=True
        )[:2]
        for number, name in enumerate(class_names)
        if holds[:, number].any()
    }


def _mistakes(
    run: Run,
    split: Split,
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    strip: Strip,
    *,
    exclusive: bool,
) -> list[tuple[Mistake, str, str]]:
    """The longest mistakes, with the name of the recording and of a picture, if there is one."""
    for old in run.report.glob(f"{split}_mistake_*.jpg"):
        old.unlink()
    shown = []
    longest = longest_mistakes(recordings, class_names, exclusive=exclusive, most=MOST_MISTAKES)
    for number, mistake in enumerate(longest, start=1):
        picture = strip(mistake.recording, mistake.first_frame, mistake.last_frame)
        name = f"{split}_mistake_{number}.jpg"
        if picture:
            (run.report / name).write_bytes(picture)
        shown.append((mistake, recordings[mistake.recording].name, name if picture else ""))
    return shown
