"""What lets a model be tested on what it was trained on, by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.manifest.rows import Row
from pipeline.prepare.leaks import Video, copied, crossing, duplicates, harmless, leaking
from pipeline.prepare.plan import SourceVideo, VideoReport


def part(label: str, start: float, end: float, split: str = "train") -> Row:
    return Row(
        path="/v/a.avi",
        label=label,
        group="ann",
        split=split,  # type: ignore[arg-type]
        start_seconds=start,
        end_seconds=end,
    )


@pytest.mark.parametrize(
    ("parts", "labels"),
    [
        ([("run", 0, 2), ("walk", 1, 3)], "'run' and 'walk'"),
        ([("run", 1, 3), ("walk", 0, 9), ("sit", 9, 10)], "'run' and 'walk'"),
        ([("run", 0, 9), ("run", 1, 2), ("walk", 3, 4)], "'run' and 'walk'"),
        ([("run", 0, 2), ("walk", 2, 3)], ""),
        ([("run", 0, 2), ("run", 1, 3)], ""),
    ],
)
def test_parts_of_a_file_that_overlap_have_one_label(
    parts: list[tuple[str, float, float]], labels: str
) -> None:
    wanted = [f"video file '/v/a.avi' is labelled {labels} at the same time"] if labels else []
    assert crossing([part(*values) for values in parts]) == wanted


def test_groups_and_files_in_two_splits() -> None:
    assert crossing([part("run", 0, 1), part("run", 1, 2, "test")]) == [
        "group 'ann' is in train and test",
        "video file '/v/a.avi' is in train and test",
    ]


def video(path: Path, split: str = "train", label: str = "run") -> Video:
    row = Row(path=str(path), label=label, group=path.name, split=split)  # type: ignore[arg-type]
    source = SourceVideo(row=row, file=path.name, num_bytes=1, modified_ns=0)
    return source, VideoReport(name=path.name, digest=path.name[:1])


def test_copies_within_a_split_and_label_are_no_leak(tmp_path: Path) -> None:
    videos = [video(tmp_path / name) for name in ("a1", "a2", "b1", "a3")]
    message = "a1 (train run), a2 (train run), a3 (train run) are the same, or nearly"
    found = duplicates(videos)
    assert (leaking(found), harmless(found)) == ([], [message])

    other = [videos[0], video(tmp_path / "a2", label="walk")]
    assert leaking(duplicates(other)) == ["a1 (train run), a2 (train walk) have the same content"]
    videos.append(video(tmp_path / "b2", "test"))
    found = duplicates(videos)
    assert leaking(found) == ["b1 (train run), b2 (test run) have the same content"]
    assert harmless(found) == [message]
    assert copied([source for source, _ in videos], [(0, 1, 3), (2, 4)]) == found


def test_copies_of_one_video_are_named_together(tmp_path: Path) -> None:
    """Those that hold the same bytes, and those that look the same."""
    looks = np.random.default_rng(0).bytes(128).hex()
    videos = [
        (source, dataclasses.replace(report, hash=looks))
        for source, report in (video(tmp_path / name) for name in ("a1", "b1", "c1", "c2"))
    ]
    assert [text.count("train run") for text in harmless(duplicates(videos))] == [4]


def test_many_copies_of_one_video_are_one_finding(tmp_path: Path) -> None:
    """As of a class that was filled up with copies; of all pairs there would be 200 million."""
    looks = np.random.default_rng(0).bytes(128).hex()
    source, report = video(tmp_path / "a")
    report = dataclasses.replace(report, hash=looks)
    copies = [(renamed(source, f"a{number}"), report) for number in range(20_000)]
    other = renamed(source, "b"), dataclasses.replace(report, digest="b")

    same, alike = duplicates([*copies, other])

    assert (len(same.sources), same.what) == (20_000, "have the same content")
    assert [source.name for source in alike.sources] == ["a0", "b"]


def renamed(source: SourceVideo, name: str) -> SourceVideo:
    row = dataclasses.replace(source.row, path=f"/{name}", group=name)
    return dataclasses.replace(source, row=row, file=name)


def test_copies_without_labels(tmp_path: Path) -> None:
    videos = [video(tmp_path / name, "", "") for name in ("a1", "a2")]
    assert harmless(duplicates(videos)) == ["a1, a2 are the same, or nearly"]


def test_bouts_of_a_group_may_look_the_same_and_the_same_bout_in_two_groups_may_not() -> None:
    looks = np.random.default_rng(0).bytes(128).hex()
    bouts = []
    for group, split in (("ann", "train"), ("bob", "test")):
        for file in range(2):
            row = dataclasses.replace(part(group, 0, 2, split), path=f"/{group}{file}", group=group)
            source = SourceVideo(row=row, file=f"{group}{file}")
            bouts.append((source, VideoReport(name=source.name, digest=source.file, hash=looks)))
    assert not duplicates(bouts[:2])
    (found,) = leaking(duplicates(bouts))
    assert found.endswith(" look the same")
    assert [found.count(name) for name in ("ann0", "ann1", "bob0", "bob1")] == [1, 1, 1, 1]
