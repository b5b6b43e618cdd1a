"""KTH actions: six actions by 25 persons in four scenarios, in grey."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.official import VideoIndex, find_lists, lines_in
from pipeline.sources.source import Source

_SEQUENCES = "00sequences.txt"
_DOWNLOAD = f"Download {_SEQUENCES} from https://www.csc.kth.se/cvap/actions/."
_LABELS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
_PERSONS: dict[Split, tuple[int, ...]] = {
    "train": (11, 12, 13, 14, 15, 16, 17, 18),
    "val": (19, 20, 21, 23, 24, 25, 1, 4),
    "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
}
_SPLITS = {f"person{n:02d}": split for split, numbers in _PERSONS.items() for n in numbers}
_MISSING = "person13_handclapping_d3"
"""Never recorded; the official list says so, too."""

_FPS = 25
_VIDEO = rf"((?:person0[1-9]|person1\d|person2[0-5])_(?:{'|'.join(_LABELS)})_d[1-4])"
_LINE = re.compile(_VIDEO + r"\s+(?:frames\s+(\d+-\d+(?:,\s*\d+-\d+)*)|\*missing\*)")
_WHOLE = ((0.0, math.inf),)

_Times = tuple[tuple[float, float], ...]


def scan_kth(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of KTH actions with the split of their paper, by persons.

    In a video a person does the action several times, often with pauses in between, in which nobody
    is to be seen. With `00sequences.txt` each time is a video of its own: 2391 in all. Without it
    the 599 files are taken whole. The group is the person.

    Args:
        path: Folder of the videos, in folders of classes or not.
        annotations: The file `00sequences.txt` or its folder; empty: looked for in `path` and
            beside it, and done without if it is not there.

    Source:
        Schuldt, Laptev and Caputo, "Recognizing human actions: a local SVM approach", ICPR 2004.
    """
    videos = VideoIndex(path, example="boxing/person01_boxing_d1_uncomp.avi")
    lists = find_lists(path, annotations, _SEQUENCES, download=_DOWNLOAD if annotations else "")
    if lists:
        times = _read_times(lists[0])
    else:
        names = (f"{p}_{label}_d{n}" for p in _SPLITS for label in _LABELS for n in range(1, 5))
        times = {name: _WHOLE for name in names if name != _MISSING}
    rows = []
    for name, parts in times.items():
        person, label, _ = name.split("_")
        file = videos.locate(f"{label}/{name}_uncomp.avi", name)
        rows += [
            Row(
                path=file,
                label=label,
                group=person,
                split=_SPLITS[person],
                start_seconds=start,
                end_seconds=end,
            )
            for start, end in parts
        ]
    return videos.manifest(rows)


def _read_times(path: Path) -> dict[str, _Times]:
    """Returns the times of each video, in seconds; the list counts frames from 1, both included."""
    times: dict[str, _Times] = {}
    for place, line in lines_in(path):
        if not re.match(r"person\d", line):
            continue  # The list opens with a page of text.
        match = _LINE.fullmatch(line)
        ranges = re.findall(r"(\d+)-(\d+)", match[2] or "") if match else []
        parts = tuple(((int(first) - 1) / _FPS, int(last) / _FPS) for first, last in ranges)
        if not match or any(not 0 <= start < end for start, end in parts):
            raise DataError(
                f"{place}: expected ranges of frames, such as 'person01_boxing_d1 frames 1-95, "
                f"96-185', got {line!r}."
            )
        times[match[1]] = parts
    return times


SOURCE = Source.with_lists("kth", scan_kth)
