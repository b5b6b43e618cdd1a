"""Answers for video files, on a terminal or in a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.config.checks import expect_output
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import find_videos, predict_here, predict_many
from pipeline.inference.prediction import Prediction
from pipeline.inference.results import open_results
from pipeline.inference.segments import answer_text
from pipeline.text import counted, visible


def show_predictions(classifier: Classifier, options: Any) -> int:
    """Classifies files, says what they show, and lists at the end those that cannot be read.

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
        for path, outcome in predict(classifier, paths, top=options.top or 5):
            if isinstance(outcome, Prediction):
                print(_prediction(outcome, as_json=options.json), flush=True)
                continue
            errors.append(outcome)
            if options.json:
                entry = {"path": path, "error": outcome.reason}
                print(json.dumps(entry, ensure_ascii=False), flush=True)
    finally:
        if not options.json:
            list_errors(errors)
    return errors


def _fill_table(
    classifier: Classifier, paths: Sequence[str], options: Any
) -> list[VideoDecodeError]:
    """Writes a line a video into a table; what is in it is not done again."""
    from tqdm import tqdm

    if len(options.out) > 1 or not options.out[0].lower().endswith(".csv"):
        raise ConfigError(f"--out: expected a name that ends in .csv, got {' '.join(options.out)}")
    name = options.out[0]
    expect_output(Path(name), "--out")
    errors, num_done = [], 0
    with open_results(Path(name), classifier.fingerprint) as table:
        to_do = table.to_do(paths)
        if len(to_do) < len(paths):
            print(f"{name}: {counted(len(paths) - len(to_do), 'video')} done before")
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
            print(f"{name}: {counted(num_done - len(errors), 'video')} classified")
            list_errors(errors)
    return errors


def _prediction(prediction: Prediction, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(prediction.as_json(), ensure_ascii=False)
    others = ", ".join(
        answer_text(*pair) for pair in prediction.top if pair not in prediction.holding
    )
    answer = f"{visible(prediction.path)}: {prediction}"
    return f"{answer}   ({others})" if others else answer


def list_errors(errors: Sequence[VideoDecodeError]) -> None:
    """Says which files could not be read, and why."""
    for error in errors:
        print(visible(error), file=sys.stderr)
