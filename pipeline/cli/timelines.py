"""Timelines of videos, on a terminal and in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.cli.answers import list_errors, named_videos
from pipeline.config.values import POSITIVE
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredVideo
from pipeline.inference.decoding import reading_elsewhere
from pipeline.inference.prediction import NONE
from pipeline.inference.timeline import Timeline, make_timeline
from pipeline.inference.timeline_files import BOUTS, check_output, write_timeline
from pipeline.text import clock, visible
from pipeline.video import check_target


def show_timelines(classifier: Classifier, options: Any) -> int:
    """Says what happens when in videos, and writes it to files where that is asked for.

    Returns:
        The exit code: 1 if a file could not be read.
    """
    paths = named_videos(options)
    _check_outputs(paths, options)
    failed = 0
    # One file may crash what reads it, which is to cost no other.
    tables = classifier.tables
    here = nullcontext(partial(StoredVideo, tables=tables))
    opener = reading_elsewhere(tables) if len(paths) > 1 else here
    with opener as open_video:
        for path in paths:
            try:
                timeline = make_timeline(
                    classifier,
                    path,
                    window_seconds=options.window,
                    overlap=options.overlap,
                    open_video=open_video,
                )
            except VideoDecodeError as error:
                failed = 1
                if options.json:
                    print(json.dumps({"path": path, "error": error.reason}, ensure_ascii=False))
                else:
                    list_errors([error])
            else:
                _show_timeline(timeline, options, classifier, titled=len(paths) > 1)
    return failed


def _check_outputs(paths: Sequence[str], options: Any) -> None:
    """Makes sure, before work begins, that all can be written and nothing is lost by it."""
    ends = [check_output(output) for output in map(Path, options.out)]
    if options.bins is not None:
        POSITIVE.check(options.bins, "--bins")
        if BOUTS not in ends:
            raise ConfigError(f"--bins is for a table of bouts. Add --out NAME{BOUTS}")
    for output in map(Path, options.out):
        if output.exists():  # a table of one's own, or a timeline that was corrected since
            raise ConfigError(f"--out: {output} is there already. Name another file, or delete it")
    if len(paths) > 1 and (options.out or options.annotate):
        raise ConfigError(
            f"--out and --annotate write the timeline of one video, got {len(paths)}. Name one, or "
            "print all (--json)"
        )
    if options.annotate:
        check_target(options.annotate, source=paths[0])
        if Path(options.annotate).exists():
            raise ConfigError(f"--annotate: {options.annotate} is there already. Name another file")


def _show_timeline(
    timeline: Timeline, options: Any, classifier: Classifier, *, titled: bool
) -> None:
    try:  # Files first: who reads what is printed may stop, as `head` does.
        for output in options.out:
            write_timeline(timeline, Path(output), bin_seconds=options.bins)
        if options.annotate:
            from pipeline.inference.annotate import annotate

            each = [bundle.frames for bundle in classifier.bundles]
            annotate(timeline, Path(options.annotate), each=each, tables=classifier.tables)
    finally:
        if options.json:
            print(json.dumps(timeline.as_json(), ensure_ascii=False), flush=True)
        else:
            title = f"{visible(timeline.path)}\n" if titled else ""
            print(f"{title}{format_timeline(timeline)}", flush=True)


def format_timeline(timeline: Timeline) -> str:
    """The segments as text for a terminal, a line each."""
    if not timeline.segments:
        return f"{clock(0)} to {clock(timeline.info.duration_seconds)}   {NONE}"
    return "\n".join(
        f"{clock(segment.start_seconds)} to {clock(segment.end_seconds)}   {segment}"
        for segment in timeline.segments
    )
