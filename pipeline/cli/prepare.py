"""Turns labelled videos into a data set to train on.

Without options it renders videos of its own, the demo. Put your own videos into one folder for each
class, and name the folder that holds these folders:
"""

from collections.abc import Sequence

from pipeline.cli.parser import ConfigParser
from pipeline.config.prepare import PrepareConfig


def main(arguments: Sequence[str]) -> int:
    """Parses the command line and does it; returns the exit code."""
    parser = ConfigParser(__doc__ or "", "prepare", "--source folder --path VIDEOS --out data/NAME")
    parser.add_fields(PrepareConfig)
    config = PrepareConfig(**vars(parser.parse(arguments)))

    from pipeline.prepare.preparation import check_videos, prepare

    if not config.check:
        print(prepare(config))
        return 0
    report = check_videos(config)
    print(report)
    return 1 if report.obstacle or report.report["leaks"] else 0
