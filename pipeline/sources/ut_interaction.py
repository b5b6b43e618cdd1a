"""UT-Interaction: two people interacting, in 20 sequences cut into 120 videos."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.official import VideoIndex, check_fold
from pipeline.sources.source import Source

_LABELS = ("shake_hands", "hug", "kick", "point", "punch", "push")
_IN_CLASSES = re.compile(r"set[12]_seq(0[1-9]|1\d|20)_\d+")
_OFFICIAL = re.compile(r"\d+_([1-9]|1\d|20)_([0-5])")
_SET = 10  # sequences


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
    check_fold(fold, range(2 * _SET + 1))
    videos = VideoIndex(path, example="kick/set1_seq03_013.avi or segmented_set1/13_3_2.avi")
    rows, unused = [], []
    for file in videos.files:
        label, sequence = _label_and_sequence(file)
        if not label:
            continue
        if fold and (sequence - 1) // _SET != (fold - 1) // _SET:
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
    match = _IN_CLASSES.fullmatch(file.stem)
    if match and file.parent.name in _LABELS:
        return file.parent.name, int(match[1])
    match = _OFFICIAL.fullmatch(file.stem)
    return (_LABELS[int(match[2])], int(match[1])) if match else ("", 0)


SOURCE = Source(
    "ut_interaction",
    lambda config, _: scan_ut_interaction(config.path, fold=config.official_fold),
    takes=("fold",),
)
