"""Says what a camera shows, again and again.

SOURCE is the number of a camera, such as 0, or an address, such as rtsp://... or http://... To try
it without a camera, name a video file. It can also be a named pipe, or - for what is piped in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli.classify import add_classifier, open_classifier, words_after_runs
from pipeline.cli.script import Parser
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.inference.stream import StreamResult


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "stream", "0 --run runs/NAME")
    parser.add_argument(
        "source", nargs="?", metavar="SOURCE", help="A camera, an address, a file or a pipe."
    )
    add_classifier(parser)
    parser.add_argument(
        "--every",
        type=int,
        default=15,
        help="Frames from one result to the next, about. Most runs read 15 frames a second. A long "
        "window reads fewer, and gives at most one result for each.",
    )
    parser.add_argument(
        "--window",
        type=float,
        help="Seconds to look back; default: those of a usual training video.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON object a line.")
    options = parser.parse(arguments)
    if options.source is None:
        (options.source,) = words_after_runs(options, "SOURCE")

    from pipeline.inference.stream import classify_stream
    from pipeline.video import LiveVideo

    classifier = open_classifier(options)
    result = None
    with LiveVideo(options.source) as live:
        for result in classify_stream(
            classifier,
            live,
            every=options.every,
            window_seconds=options.window,
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
    text = f"{result.seconds:8.1f} s   {result.prediction}"
    text += f"   after {1000 * result.latency_seconds:.0f} ms"
    if result.dropped:
        text += f", {result.dropped} frames dropped"
    print(text, flush=True)
