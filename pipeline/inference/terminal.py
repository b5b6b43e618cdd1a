"""What classifying finds, on a terminal and in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli import Parser
from pipeline.config.checks import expect_folder_of
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.classifier import RUNTIMES, Classifier, Prediction
from pipeline.inference.many import ResultFile, find_videos, predict_many
from pipeline.inference.segments import answer_text
from pipeline.inference.timeline import (
    Timeline,
    check_output,
    format_timeline,
    make_timeline,
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
    try:
        for path, outcome in predict_many(classifier, paths, top=options.top):
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
    from tqdm import tqdm

    if len(options.out) > 1 or not options.out[0].lower().endswith(".csv"):
        raise ConfigError(f"--out: expected a name that ends in .csv, got {' '.join(options.out)}")
    expect_folder_of(Path(options.out[0]), "--out")
    table = ResultFile(Path(options.out[0]), classifier.fingerprint)
    to_do = table.to_do(paths)
    if len(to_do) < len(paths):
        print(f"{options.out[0]}: {counted(len(paths) - len(to_do), 'video')} done before")
    errors, num_done = [], 0
    outcomes = predict_many(classifier, to_do)
    # Without a terminal there is no bar.
    bar = tqdm(outcomes, "classifying", len(to_do), leave=False, unit="video", disable=None)
    try:
        for path, outcome in bar:
            table.add(path, outcome)
            num_done += 1
            if not isinstance(outcome, Prediction):
                errors.append(outcome)
    finally:
        print(f"{options.out[0]}: {counted(num_done - len(errors), 'video')} classified")
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
    for output in options.out:
        check_output(Path(output))
    if len(paths) > 1 and (options.out or options.annotate):
        raise ConfigError(f"--out and --annotate are for one video, got {len(paths)}")
    if options.annotate:
        check_target(options.annotate, source=paths[0])
    failed = 0
    for path in paths:
        try:
            timeline = make_timeline(
                classifier, path, window_seconds=options.window, overlap=options.overlap
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
