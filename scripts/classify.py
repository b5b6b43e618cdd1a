"""Says what video files show; or, with --timeline, what happens in them from when to when."""

from collections.abc import Sequence

from pipeline.cli.classify import (
    add_classifier,
    open_classifier,
    refuse_unused,
    show_predictions,
    show_timelines,
)
from pipeline.cli.script import Parser, run_script
from pipeline.config.checks import expect_at_least
from pipeline.inference.timeline import OVERLAP


def main(arguments: Sequence[str]) -> int:
    parser = Parser(__doc__)
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="Video files, folders of them, or patterns."
    )
    add_classifier(parser)
    parser.add_argument("--top", type=int, help="Number of classes to report; default: 5.")
    parser.add_argument(
        "--json", action="store_true", default=None, help="Print one JSON object a line."
    )
    parser.add_argument(
        "--out",
        nargs="+",
        default=(),
        help="Write a table (.csv), which goes on where it was stopped; or a timeline as .json, "
        ".csv, .srt (subtitles) or .png, several at once.",
    )
    parser.add_argument("--timeline", action="store_true", help="What happens when in a video.")
    parser.add_argument(
        "--overlap", type=float, help=f"Of windows, 0 to below 1; default: {OVERLAP}."
    )
    parser.add_argument(
        "--window",
        type=float,
        help="About how many seconds a window has; default: a usual training video.",
    )
    parser.add_argument("--annotate", help="A video to write with what happens in it.")
    options = parser.parse(arguments)
    refuse_unused(options)
    if options.top is None:
        options.top = 5
    if options.overlap is None:
        options.overlap = OVERLAP
    expect_at_least(options.top, "--top", 1)
    classifier = open_classifier(options)
    return (show_timelines if options.timeline else show_predictions)(classifier, options)


if __name__ == "__main__":
    run_script(main)
