"""What classifying finds, on a terminal and in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.cli.script import Parser
from pipeline.config.checks import expect_folder_of
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.classifier import RUNTIMES, Classifier, Prediction
from pipeline.inference.clips import StoredVideo
from pipeline.inference.many import Outcome, find_videos, predict_here, predict_many
from pipeline.inference.results import ResultFile, is_table, open_results
from pipeline.inference.segments import answer_text
from pipeline.inference.timeline import OpenVideo, Timeline, make_timeline
from pipeline.inference.timeline_files import (
    check_output,
    format_timeline,
    write_timeline,
)
from pipeline.run import Run, latest_run
from pipeline.text import counted, visible
from pipeline.video import check_target


def add_classifier(parser: Parser) -> None:
    """Adds the options that name a run and what runs its model, for `open_classifier`."""
    parser.add_argument(
        "--run", default="", help="Folder of the run; default: the one trained last."
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="auto: the exported model, LiteRT or else ONNX; savedmodel, keras: that of "
        "TensorFlow or the trained one, which only a run of people whom you trust should use.",
    )


def open_classifier(options: Any) -> Classifier:
    """The classifier that the options of `add_classifier` name.

    Raises:
        DataError: There is none, or it cannot be used.
    """
    run = Run(Path(options.run)) if options.run else latest_run()
    return Classifier(run, runtime=options.runtime)


def refuse_unused(options: Any) -> None:
    """Makes sure that no option of the command line is without effect.

    Args:
        options: `timeline`, `top`, `json`, `out`, `overlap`, `window` and `annotate`; None where
            one is not given.

    Raises:
        ConfigError: One has none beside the others.
    """
    if options.timeline:
        unused = {"top": "is not for --timeline"}
    else:
        unused = dict.fromkeys(("overlap", "window", "annotate"), "is for --timeline")
        if options.out:
            unused |= dict.fromkeys(("top", "json"), "is for what is printed, --out for a table")
    for name, reason in unused.items():
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name} {reason}")


def show_predictions(classifier: Classifier, options: Any) -> int:
    """Classifies files, says what they show, and lists at the end those that cannot be read.

    Args:
        classifier: The run.
        options: `videos`, `top`, `json` and `out` of the command line.

    Returns:
        The exit code: 1 if a file could not be read.
    """
    paths = find_videos(options.videos)
    if options.out:
        errors = _fill_table(classifier, paths, options)
    else:
        errors = _print_all(classifier, paths, options)
    return 1 if errors else 0


def _print_all(
    classifier: Classifier, paths: Sequence[str], options: Any
) -> list[VideoDecodeError]:
    errors = []
    # A file alone can cost no other.
    predict = predict_many if len(paths) > 1 else predict_here
    try:
        for path, outcome in predict(classifier, paths, top=options.top):
            if isinstance(outcome, Prediction):
                print(_prediction(outcome, as_json=options.json), flush=True)
                continue
            errors.append(outcome)
            if options.json:
                entry = {"path": path, "error": outcome.reason}
                print(json.dumps(entry, ensure_ascii=False), flush=True)
    finally:
        if not options.json:
            _list(errors)
    return errors


def _fill_table(
    classifier: Classifier, paths: Sequence[str], options: Any
) -> list[VideoDecodeError]:
    """Writes a line a video into a table; what is in it is not done again."""
    if len(options.out) > 1 or not options.out[0].lower().endswith(".csv"):
        raise ConfigError(f"--out: expected a name that ends in .csv, got {' '.join(options.out)}")
    name = options.out[0]
    expect_folder_of(Path(name), "--out")
    with open_results(Path(name), classifier.fingerprint) as table:
        to_do = table.to_do(paths)
        if len(to_do) < len(paths):
            print(f"{name}: {counted(len(paths) - len(to_do), 'video')} done before")
        return _add_to(table, predict_many(classifier, to_do), len(to_do), name)


def _add_to(
    table: ResultFile, outcomes: Iterator[Outcome], number: int, name: str
) -> list[VideoDecodeError]:
    from tqdm import tqdm

    errors, num_done = [], 0
    # Without a terminal there is no bar.
    bar = tqdm(outcomes, "classifying", number, leave=False, unit="video", disable=None)
    try:
        for path, outcome in bar:
            table.add(path, outcome)
            num_done += 1
            if not isinstance(outcome, Prediction):
                errors.append(outcome)
    finally:
        print(f"{name}: {counted(num_done - len(errors), 'video')} classified")
        _list(errors)
    return errors


def _list(errors: Sequence[VideoDecodeError]) -> None:
    for error in errors:
        print(visible(error), file=sys.stderr)


def show_timelines(classifier: Classifier, options: Any) -> int:
    """Says what happens when in videos, and writes it to files where that is asked for.

    Args:
        classifier: The run.
        options: `videos`, `json`, `out`, `overlap`, `window` and `annotate` of the command line.

    Returns:
        The exit code: 1 if a file could not be read.
    """
    paths = find_videos(options.videos)
    _check_outputs(paths, options)
    failed = 0
    with _video_opener(alone=len(paths) == 1) as open_video:
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
                    _list([error])
            else:
                _show_timeline(timeline, options, titled=len(paths) > 1)
    return failed


@contextmanager
def _video_opener(*, alone: bool) -> Iterator[OpenVideo]:
    """What opens the files: for several, another process, since one of them may crash it."""
    if alone:
        yield StoredVideo
        return
    from pipeline.inference.decoding import TimelineDecoder  # takes a while

    with TimelineDecoder() as decoder:
        yield decoder.open


def _check_outputs(paths: Sequence[str], options: Any) -> None:
    """Makes sure, before work begins, that all can be written and nothing is lost by it."""
    for output in map(Path, options.out):
        check_output(output)
        if is_table(output):
            raise ConfigError(
                f"--out: {output} holds results of whole videos. Name another file for a timeline"
            )
    if len(paths) > 1 and (options.out or options.annotate):
        raise ConfigError(f"--out and --annotate are for one video, got {len(paths)}")
    if options.annotate:
        check_target(options.annotate, source=paths[0])
        if Path(options.annotate).exists():
            raise ConfigError(f"--annotate: {options.annotate} is there already. Name another file")


def _show_timeline(timeline: Timeline, options: Any, *, titled: bool) -> None:
    if options.json:
        print(json.dumps(timeline.as_json(), ensure_ascii=False), flush=True)
    else:
        title = f"{visible(timeline.path)}\n" if titled else ""
        print(f"{title}{format_timeline(timeline)}", flush=True)
    for output in options.out:
        write_timeline(timeline, Path(output))
    if options.annotate:
        from pipeline.inference.annotate import annotate

        annotate(timeline, Path(options.annotate))


def _prediction(prediction: Prediction, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(prediction.as_json(), ensure_ascii=False)
    first = 1 if prediction.known else 0
    others = ", ".join(f"{label} {value:.2f}" for label, value in prediction.top[first:])
    answer = f"{visible(prediction.path)}: {answer_text(prediction.label, prediction.probability)}"
    return f"{answer}   ({others})" if others else answer
