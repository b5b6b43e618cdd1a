"""Public data sets that were recorded as such: KTH, UT-Interaction, Jester, Something-Something V2.

KTH has six actions by 25 persons in four scenarios, in grey. UT-Interaction has two people
interacting, in 20 sequences cut into 120 videos. Jester, 27 hand gestures, and Something-Something
V2, 174 ways to handle things, are of TwentyBN: their validation videos are the test, as in
published results, since the labels of the official test videos were not published, or long hidden.
Their lists do not say who made a video, so that each is a group of its own.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources import Source
from pipeline.sources.official import (
    VideoIndex,
    check_fold,
    find_lists,
    lines_in,
)
from pipeline.tables import read_text

_KTH_LIST = "00sequences.txt"
_KTH = f"Download {_KTH_LIST} from https://www.csc.kth.se/cvap/actions/."
_KTH_LABELS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
_KTH_PERSONS: dict[Split, tuple[int, ...]] = {
    "train": (11, 12, 13, 14, 15, 16, 17, 18),
    "val": (19, 20, 21, 23, 24, 25, 1, 4),
    "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
}
_KTH_SPLITS = {f"person{n:02d}": split for split, numbers in _KTH_PERSONS.items() for n in numbers}
_KTH_MISSING = "person13_handclapping_d3"
"""Never recorded; the official list says so, too."""

_KTH_FPS = 25
_KTH_VIDEO = rf"((?:person0[1-9]|person1\d|person2[0-5])_(?:{'|'.join(_KTH_LABELS)})_d[1-4])"
_KTH_LINE = re.compile(_KTH_VIDEO + r"\s+(?:frames\s+(\d+-\d+(?:,\s*\d+-\d+)*)|\*missing\*)")
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
    lists = find_lists(path, annotations, _KTH_LIST, download=_KTH if annotations else "")
    if lists:
        times = _read_times(lists[0])
    else:
        names = (
            f"{p}_{label}_d{n}" for p in _KTH_SPLITS for label in _KTH_LABELS for n in range(1, 5)
        )
        times = {name: _WHOLE for name in names if name != _KTH_MISSING}
    rows = []
    for name, parts in times.items():
        person, label, _ = name.split("_")
        file = videos.locate(f"{label}/{name}_uncomp.avi", name)
        rows += [
            Row(
                path=file,
                label=label,
                group=person,
                split=_KTH_SPLITS[person],
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
        match = _KTH_LINE.fullmatch(line)
        ranges = re.findall(r"(\d+)-(\d+)", match[2] or "") if match else []
        parts = tuple(((int(first) - 1) / _KTH_FPS, int(last) / _KTH_FPS) for first, last in ranges)
        if not match or any(not 0 <= start < end for start, end in parts):
            raise DataError(
                f"{place}: expected ranges of frames, such as 'person01_boxing_d1 frames 1-95, "
                f"96-185', got {line!r}."
            )
        times[match[1]] = parts
    return times


KTH = Source.with_lists("kth", scan_kth)


_UT_LABELS = ("shake_hands", "hug", "kick", "point", "punch", "push")
_UT_IN_CLASSES = re.compile(r"set[12]_seq(0[1-9]|1\d|20)_\d+")
_UT_OFFICIAL = re.compile(r"\d+_([1-9]|1\d|20)_([0-5])")
_UT_SET = 10  # sequences


def scan_ut_interaction(path: str | os.PathLike[str], *, fold: int = 0) -> Manifest:
    """Lists the segmented videos of UT-Interaction, with one sequence left out for the test.

    Two ways to name them are known: `kick/set1_seq03_013.avi`, and the official
    `segmented_set1/13_3_2.avi`, where the numbers are a running one, the sequence and the class.
    The group is the sequence, `seq01` to `seq20`; the first ten are set 1.

    Args:
        path: Folder of the videos.
        fold: 0: all videos, not split yet. 1 to 20: the sequence that is the test; the others of
            its set are for training, and those of the other set are left out. The results of
            folds 1 to 10, or 11 to 20, are averaged in the literature.
    """
    check_fold(fold, range(2 * _UT_SET + 1))
    videos = VideoIndex(path, example="kick/set1_seq03_013.avi or segmented_set1/13_3_2.avi")
    rows, unused = [], []
    for file in videos.files:
        label, sequence = _label_and_sequence(file)
        if not label:
            continue
        if fold and (sequence - 1) // _UT_SET != (fold - 1) // _UT_SET:
            unused.append(str(videos.root / file))
            continue
        split: Split = "test" if sequence == fold else "train"
        row = Row(
            path=str(videos.root / file),
            label=label,
            group=f"seq{sequence:02d}",
            split=split if fold else "",
        )
        rows.append(row)
    return videos.manifest(rows, unused=unused)


def _label_and_sequence(file: PurePosixPath) -> tuple[str, int]:
    """Returns class name and number of the sequence; an empty name where the file has none.

    Example:
        >>> _label_and_sequence(PurePosixPath("kick/set2_seq12_011.avi"))
        ('kick', 12)
        >>> _label_and_sequence(PurePosixPath("segmented_set2/11_12_2.avi"))
        ('kick', 12)
    """
    match = _UT_IN_CLASSES.fullmatch(file.stem)
    if match and file.parent.name in _UT_LABELS:
        return file.parent.name, int(match[1])
    match = _UT_OFFICIAL.fullmatch(file.stem)
    return (_UT_LABELS[int(match[2])], int(match[1])) if match else ("", 0)


UT_INTERACTION = Source(
    "ut_interaction",
    lambda config, _: scan_ut_interaction(config.path, fold=config.official_fold),
    takes=("fold",),
)


_TWENTYBN = "Download the labels of {} from https://www.qualcomm.com/developer/software/{}."
_TWENTYBN_FOLDERS = ("annotations", "labels")
_TWENTYBN_LISTS: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "validation"))

_Entry = tuple[str, str, str, str]
"""Where it stands in a list, number and label of the video, and all that stands there."""


def scan_jester(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of Jester with their official splits.

    Jester comes as folders of JPEG frames; what is read are videos made of them, one a gesture, in
    any format: `34870.avi`. The error that is raised for folders of frames says how to make them.

    Args:
        path: Folder of the videos.
        annotations: The folder of `jester-v1-train.csv` and `jester-v1-validation.csv`; empty:
            looked for in `path` and beside it.
    """
    videos = VideoIndex(path, example="34870.avi")
    download = _TWENTYBN.format("Jester", "jester-dataset")
    wanted = "jester-v1-train.csv"
    train, *_ = find_lists(path, annotations, wanted, folders=_TWENTYBN_FOLDERS, download=download)
    names = train.with_name("jester-v1-labels.csv")
    known = {line for _, line in lines_in(names)} if names.exists() else set()
    expected = f"a video and a label that {names.name} lists, such as 34870;Drumming Fingers"
    rows: list[Row] = []
    for split, name in _TWENTYBN_LISTS:
        entries = _lines(train.with_name(f"jester-v1-{name}.csv"))
        rows += _rows(entries, split, videos, ".avi", known, expected)
    if not videos.files:
        _check_no_frames(path, [row.group for row in rows])
    return videos.manifest(rows)


def scan_something_something(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of Something-Something V2 with their official splits.

    The class of a video is its template, without brackets, as in the list of labels: `Holding
    something next to something`.

    Args:
        path: Folder of the videos, such as `20bn-something-something-v2`.
        annotations: The folder of `train.json` and `validation.json`, or of
            `something-something-v2-train.json` and so on; empty: looked for in `path` and beside
            it.
    """
    videos = VideoIndex(path, example="78687.webm")
    download = _TWENTYBN.format("Something-Something V2", "something-something-v-2-dataset")
    wanted = ("something-something-v2-train.json", "train.json")
    train, *_ = find_lists(path, annotations, *wanted, folders=_TWENTYBN_FOLDERS, download=download)
    prefix = train.name.removesuffix("train.json")
    names = train.with_name(f"{prefix}labels.json")
    known = set(_read_json(names, dict)) if names.exists() else set()
    expected = f"an id and a template that {names.name} lists"
    rows: list[Row] = []
    for split, name in _TWENTYBN_LISTS:
        entries = _entries(train.with_name(f"{prefix}{name}.json"))
        rows += _rows(entries, split, videos, ".webm", known, expected)
    return videos.manifest(rows)


def _rows(
    entries: Iterator[_Entry],
    split: Split,
    videos: VideoIndex,
    suffix: str,
    known: set[str],
    expected: str,
) -> Iterator[Row]:
    for place, video, label, entry in entries:
        if not (video and label) or (known and label not in known):
            raise DataError(f"{place}: expected {expected}, got {entry}.")
        yield Row(path=videos.locate(video + suffix), label=label, group=video, split=split)


def _lines(file: Path) -> Iterator[_Entry]:
    for place, line in lines_in(file):
        video, _, label = (part.strip() for part in line.partition(";"))
        yield place, video, label, repr(line)


def _entries(file: Path) -> Iterator[_Entry]:
    for number, entry in enumerate(_read_json(file, list), 1):
        values = entry if isinstance(entry, dict) else {}
        label = str(values.get("template", "")).replace("[", "").replace("]", "")
        place, video = f"{file}, entry {number}", str(values.get("id", ""))
        yield place, video, label, json.dumps(entry)[:100]


def _read_json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: expected JSON: {error.msg}.") from None
    if not isinstance(content, kind):
        raise DataError(f"{path}: expected a JSON {kind.__name__}, got {type(content).__name__}.")
    return content


def _check_no_frames(path: str | os.PathLike[str], names: list[str]) -> None:
    for root in (Path(path), Path(path) / "20bn-jester-v1"):
        if any((root / name / "00001.jpg").exists() for name in names):
            raise DataError(
                f"{root}: expected one video a gesture, such as 34870.avi, got folders of JPEG "
                "frames. Make videos of them, without loss: mkdir videos; "
                f'for f in {root}/*/; do ffmpeg -framerate 12 -i "$f%05d.jpg" -c copy '
                '"videos/$(basename "$f").avi"; done'
            )


SOMETHING_SOMETHING = Source.with_lists("something_something", scan_something_something)
JESTER = Source.with_lists("jester", scan_jester)
