"""Answers for video files, on a terminal or in a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic import expect_output
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.addresses import absolute, each_once, is_address
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import find_videos, predict_here, predict_many, read_list
from pipeline.inference.prediction import Prediction
from pipeline.inference.results import open_results
from pipeline.inference.segments import answer_text
from pipeline.text import counted, visible, without_secrets


def show_predictions(classifier: Classifier, options: Any) -> int:
    """Classifies files, says what they show, and lists at the end those that cannot be read.

    Returns:
        The exit code: 1 if a file could not be read.
    """
    paths = named_videos(options)
    if options.out:
        errors = _fill_table(classifier, paths, options)
    else:
        errors = _print_all(classifier, paths, options)
    return 1 if errors else 0


def named_videos(options: Any) -> list[str]:
    """The files that a command line names, those of its `--list` as well, each once.

    Raises:
        ConfigError: The list has addresses, and there is no Beam to read them.
        DataError: A folder or a pattern has no videos, or the list cannot be read.
    """
    listed = read_list(Path(options.list)) if options.list else []
    address = next(filter(is_address, listed), None)
    if address and options.runner != "beam":
        raise ConfigError(
            f"--list: {without_secrets(address)}: addresses are for --runner beam. Add it, or "
            "download these files and list their paths"
        )
    return each_once([*find_videos(options.videos), *listed])


def show_archive(options: Any) -> int:
    """Classifies files on a cluster, and says how many have which answer.

    Returns:
        The exit code: 1 if a file could not be read.
    """
    from pipeline.inference.archive import Means, classify_archive
    from pipeline.run import latest_run

    folders = options.run or [str(latest_run().folder)]
    means = Means(
        tuple(str(Path(folder).absolute()) for folder in folders),
        options.runtime,
        options.rule or "average",
        options.key_points and str(Path(options.key_points).absolute()),
    )
    names = list(map(absolute, named_videos(options)))
    found = classify_archive(names, means, Path(options.out[0]), options.beam_options or "")
    for label, count in found.labels.items():
        print(f"{count:>9,}  {visible(label)}")
    good = found.num_files - found.num_bad
    print(f"{good:,} of {counted(found.num_files, 'file')} classified: {options.out[0]}")
    if found.num_bad:
        print(f"{found.num_bad:,} could not be read, see {found.bad_file}", file=sys.stderr)
    return 1 if found.num_bad else 0


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
