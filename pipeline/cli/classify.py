"""Says what video files show.

With --timeline it says what happens in a long video, from when to when; so it does in any case by a
run that answers at every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.cli.script import Parser, named_run, positive
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier


def main(arguments: Sequence[str]) -> int:
    """Parses the command line and does it; returns the exit code."""
    parser = Parser(__doc__ or "", "classify", "NEW.mp4 --run runs/NAME")
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="Video files, folders of them, or patterns."
    )
    add_classifier(parser)
    parser.add_argument("--top", type=positive, help="How many classes to list; default: 5.")
    parser.add_argument(
        "--json", action="store_true", default=None, help="Print one JSON object a line."
    )
    parser.add_argument(
        "--out",
        nargs="+",
        default=(),
        help="A table to write (.csv); what is in it already is not done again. With --timeline, "
        "one file or several: .json, .csv, .srt (subtitles), .png; .bouts.csv (how often and how "
        "long); for annotation programs .boris.tsv, .eaf (ELAN), .via.json, .label-studio.json.",
    )
    parser.add_argument(
        "--timeline", action="store_true", help="Say what happens from when to when."
    )
    parser.add_argument(
        "--overlap",
        type=float,
        help="Share that neighbouring windows have in common, 0 to below 1; default: 0.75.",
    )
    parser.add_argument(
        "--window",
        type=float,
        help="Seconds of a window, about; default: those of a usual training video.",
    )
    parser.add_argument(
        "--bins",
        type=float,
        metavar="SECONDS",
        help="With --out NAME.bouts.csv: count in bins of time of this length as well.",
    )
    parser.add_argument(
        "--annotate", help="A video to write, labelled with what happens (--timeline)."
    )
    options = parser.parse(arguments)

    from pipeline.cli.answers import show_predictions
    from pipeline.cli.timelines import show_timelines

    classifier = open_classifier(options)
    options.timeline |= classifier.bundle.model.per_frame
    _refuse_unused(options)
    return (show_timelines if options.timeline else show_predictions)(classifier, options)


def add_classifier(parser: Parser) -> None:
    """Adds the options that name a run and what runs its model, for `open_classifier`."""
    parser.add_run()
    parser.add_argument(
        "--runtime",
        choices=("auto", "savedmodel", "keras"),
        default="auto",
        help="What computes. auto: the exported model, in LiteRT or else ONNX. savedmodel, keras: "
        "TensorFlow. Such a model can run any program: use it only from people whom you trust.",
    )


def open_classifier(options: Any) -> Classifier:
    """The classifier that the options of `add_classifier` name.

    Raises:
        DataError: There is none, or it cannot be used.
    """
    from pipeline.inference.classifier import Classifier

    return Classifier(named_run(options), runtime=options.runtime)


def _refuse_unused(options: Any) -> None:
    """Refuses an option of the command line, None where not given, that has no effect."""
    if options.timeline:
        unused = {"top": "is not for a timeline"}
    else:
        unused = dict.fromkeys(("overlap", "window", "bins", "annotate"), "is for --timeline")
        if options.out:
            unused |= dict.fromkeys(("top", "json"), "is for what is printed, --out for a table")
    for name, reason in unused.items():
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name} {reason}")
