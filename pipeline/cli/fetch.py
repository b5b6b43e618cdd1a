"""Fetches what other commands need and this program may not bring along.

pose: the two models that find key points of people, from the wheel of MediaPipe (Apache-2.0). They
are kept in your cache, once for all data sets.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.script import Parser


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "fetch", "pose")
    parser.add_argument("what", metavar="WHAT", choices=["pose"], help="What to fetch: pose.")
    parser.add_argument(
        "--from",
        dest="folder",
        metavar="FOLDER",
        default="",
        help="Folder with pose_detection.tflite and pose_landmark_full.tflite, in place of a "
        "download.",
    )
    options = parser.parse(arguments)

    from pipeline.pose.fetch import fetch_pose

    fetch_pose(Path(options.folder) if options.folder else None)
