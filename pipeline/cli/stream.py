"""Says what a camera, an address or a pipe shows, again and again.

SOURCE is the number of a camera, such as 0; an address, such as rtsp://... or http://...; - for
what is piped in; or a path, such as that of a named pipe.
"""

import json
from collections.abc import Sequence

from pipeline.cli.classify import add_classifier, open_classifier
from pipeline.cli.script import Parser
from pipeline.errors import DataError
from pipeline.inference.segments import answer_text
from pipeline.inference.stream import StreamResult, classify_stream
from pipeline.video import LiveVideo


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__, "stream")
    parser.add_argument("source", metavar="SOURCE", help="See above.")
    add_classifier(parser)
    parser.add_argument(
        "--every",
        type=int,
        default=15,
        help="A result about every so many frames that are read, which of most runs are 15 a "
        "second; of long windows, at most one for each of their frames.",
    )
    parser.add_argument(
        "--window", type=float, help="Seconds to look back; default: a usual training video."
    )
    parser.add_argument(
        "--stateful",
        action="store_true",
        help="The same work for each frame; results are of half a window to a whole one.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON object a line.")
    options = parser.parse(arguments)
    classifier = open_classifier(options)
    result = None
    with LiveVideo(options.source) as live:
        for result in classify_stream(
            classifier,
            live,
            every=options.every,
            window_seconds=options.window,
            stateful=options.stateful,
        ):
            _show(result, as_json=options.json)
    if not result:
        raise DataError(
            f"{live.name} ended before a window was full. Name a shorter one (--window)"
        )


def _show(result: StreamResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False), flush=True)
        return
    prediction = result.prediction
    text = f"{result.seconds:8.1f} s   {answer_text(prediction.label, prediction.probability)}"
    text += f"   after {1000 * result.latency_seconds:.0f} ms"
    if result.dropped:
        text += f", {result.dropped} frames dropped"
    print(text, flush=True)
