"""Says what video files show.

With --timeline it says what happens in a long video, from when to when; so it does in any case by a
run that answers at every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.script import Parser, positive
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier


def main(arguments: Sequence[str]) -> int:
    """Parses the command line and does it; returns the exit code."""
    options = _parser().parse(arguments)
    if not options.videos and (not options.list or len(options.run) > 1):
        options.videos = words_after_runs(options, "VIDEO", may_lack=bool(options.list))

    from pipeline.cli.answers import show_archive, show_predictions
    from pipeline.cli.timelines import show_timelines

    classifier = open_classifier(options, key_points=options.key_points)
    _check_key_points(classifier, options)
    options.timeline |= classifier.bundle.model.per_frame
    _refuse_unused(options)
    if options.runner == "beam":
        return show_archive(options)
    return (show_timelines if options.timeline else show_predictions)(classifier, options)


def _parser() -> Parser:
    parser = Parser(__doc__ or "", "classify", "NEW.mp4 --run runs/NAME")
    parser.add_argument(
        "videos", nargs="*", metavar="VIDEO", help="Video files, folders of them, or patterns."
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
        help="A table to write (.csv), or a folder (--runner beam); what is in it already is not "
        "done again. With --timeline, "
        "one file or several: .json, .csv, .srt (subtitles), .png; .bouts.csv (how often and how "
        "long); for annotation programs .eaf (ELAN), .via.json, .label-studio.json; .boris.tsv (a "
        "table as BORIS exports, for spreadsheets, R and pandas: BORIS does not open it).",
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
    parser.add_argument(
        "--key-points",
        metavar="TABLES",
        help="Folder of the tables of key points of the videos, or the table of one, for a run "
        "that was trained on such.",
    )
    parser.add_argument(
        "--list",
        metavar="FILE",
        help="A text file with a path on each line, or an address (--runner beam).",
    )
    parser.add_argument(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="Apache Beam spreads an archive over the machines of a cluster (--out FOLDER).",
    )
    parser.add_argument("--beam-options", help='What it needs, such as "--runner=FlinkRunner".')
    parser.hold_options.add("--beam-options")
    return parser


def add_classifier(parser: Parser) -> None:
    """Adds the options that name runs and what runs their models, for `open_classifier`."""
    parser.add_argument(
        "--run",
        action="extend",
        nargs="+",
        default=[],
        help="Folder of the run; default: the one in runs/ whose training ended last. Of several, "
        "the answers are fused, as those of a folder that `clipline fuse` made.",
    )
    parser.add_argument(
        "--rule",
        choices=("average", "product"),
        help="How the answers of several runs are fused: the mean of their probabilities, or their "
        "product; default: average.",
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", "savedmodel", "keras"),
        default="auto",
        help="What computes. auto: the exported model, in LiteRT or else ONNX. savedmodel, keras: "
        "TensorFlow. Such a model can run any program: use it only from people whom you trust.",
    )


def words_after_runs(options: Any, name: str, *, may_lack: bool = False) -> list[str]:
    """The words after `--run` that are no runs, which are taken from there.

    Raises:
        ConfigError: There are none, and they may not lack.
    """
    from pipeline.run import is_run

    words = [word for word in options.run[1:] if not is_run(Path(word))]
    if not words and not may_lack:
        raise ConfigError(f"the following arguments are required: {name}")
    options.run = [word for word in options.run if word not in words]
    return words


def open_classifier(options: Any, key_points: str | None = None) -> Classifier:
    """The classifier that the options of `add_classifier` name, with tables of key points.

    Raises:
        ConfigError: A rule is given for one run.
        DataError: There is none, or it cannot be used.
    """
    from pipeline.inference.classifier import Classifier
    from pipeline.run import Run, latest_run

    runs = [Run(Path(folder)) for folder in options.run] or [latest_run()]
    if options.rule and len(runs) == 1:
        fused = runs[0].fusion_file.is_file()
        why = "fuse it again with another one" if fused else "it is for several runs: leave it out"
        raise ConfigError(f"--rule {options.rule}: {why}")
    return Classifier(
        runs,
        runtime=options.runtime,
        rule=options.rule or "average",
        key_points=key_points,
    )


def _check_key_points(classifier: Classifier, options: Any) -> None:
    """Makes sure that there are tables where a run takes them, and only there."""
    from pipeline.inference.many import find_videos

    if classifier.takes_tables and not classifier.tables:
        raise ConfigError(
            "this run takes key points from tables of DeepLabCut or SLEAP: add --key-points and "
            "their folder"
        )
    if classifier.tables and not classifier.takes_tables:
        raise ConfigError("--key-points is for runs that were trained on tables: leave it out")
    if classifier.tables and classifier.tables.is_one and len(find_videos(options.videos)) > 1:
        raise ConfigError(
            f"--key-points: {options.key_points} is the table of one video: name the folder of all"
        )


def _refuse_unused(options: Any) -> None:
    """Refuses an option of the command line, None where not given, that has no effect."""
    if options.timeline:
        unused = {"top": "is not for a timeline"}
    else:
        unused = dict.fromkeys(("overlap", "window", "bins", "annotate"), "is for --timeline")
        if options.out:
            unused |= dict.fromkeys(("top", "json"), "is for what is printed, --out for a table")
    if options.runner == "beam":
        if options.timeline or options.annotate:
            raise ConfigError("--runner beam classifies videos, and makes no timelines")
        if len(options.out) != 1 or Path(options.out[0]).suffix:
            raise ConfigError("--runner beam writes a folder: --out runs/NAME-archive")
    elif options.beam_options is not None:
        raise ConfigError("--beam-options are for --runner beam")
    for name, reason in unused.items():
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name} {reason}")
