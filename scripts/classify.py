"""Says what video files show."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import Parser, run_script
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.classifier import Classifier, Prediction
from pipeline.run import Run, latest_run


def main(arguments: Sequence[str]) -> int:
    parser = Parser(__doc__)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="Video files.")
    parser.add_argument("--run", default="", help="Folder of the run; default: the latest.")
    parser.add_argument("--top", type=int, default=5, help="Number of classes to report.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object a line.")
    options = parser.parse(arguments)
    if options.top < 1:
        raise ConfigError(f"--top must be at least 1. Received: {options.top}")
    classifier = Classifier(Run(Path(options.run)) if options.run else latest_run())
    failed = 0
    for path in options.videos:
        try:
            show(classifier.predict(path, top=options.top), as_json=options.json)
        except VideoDecodeError as error:
            failed = 1
            if options.json:
                print(json.dumps({"path": path, "error": error.reason}, ensure_ascii=False))
            else:
                print(error, file=sys.stderr)
    return failed


def show(prediction: Prediction, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(prediction.as_json(), ensure_ascii=False), flush=True)
        return
    first = 1 if prediction.known else 0
    others = ", ".join(f"{label} {value:.2f}" for label, value in prediction.top[first:])
    answer = f"{prediction.path}: {prediction.label}"
    if prediction.known:
        answer += f" {prediction.probability:.2f}"
    print(f"{answer}   ({others})" if others else answer)


if __name__ == "__main__":
    run_script(main)
