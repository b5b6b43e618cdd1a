"""What becomes of each video of a shard."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import FramesConfig
from pipeline.manifest.rows import Row
from pipeline.prepare import shard_writer, stored_frames
from pipeline.prepare.plan import ShardTask, SourceVideo, finished_report, plan_shards
from pipeline.prepare.prepared import PARTIAL
from pipeline.prepare.publish import clear_partial
from pipeline.prepare.shard_writer import check_shard, write_shard
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import VideoReader
from tests.prepare.shards import FRAMES, TRAIN, plan, render

JPEGS = {"frames": tf.io.RaggedFeature(tf.string)}


def only_task(root: Path, out: Path, splits: dict[str, str]) -> ShardTask:
    """One shard of all the videos, which can be written."""
    (task,) = plan(root, out, splits, shard_videos=9)
    clear_partial(out, [task])
    return task


def test_shard_that_is_there_is_not_written_again(videos: Path, tmp_path: Path) -> None:
    task = only_task(videos, tmp_path, TRAIN)
    shard = task.path

    report = write_shard(task)

    assert report == finished_report(task)
    assert report.num_records == 5
    assert report.num_bytes == shard.stat().st_size == report.record_bytes + 5 * 16
    read: list[str] = []
    first = shard.stat().st_ino
    assert write_shard(task, on_video=read.append) == report
    assert (read, shard.stat().st_ino) == ([], first)

    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    assert write_shard(task, on_video=read.append) == report
    assert read == [source.name for source in task.sources]
    assert shard.read_bytes() == content


def test_report_is_there_only_beside_its_shard(videos: Path, tmp_path: Path) -> None:
    task = only_task(videos, tmp_path, TRAIN)
    write_shard(task)
    there = []

    changed = dataclasses.replace(task, frames=FramesConfig(fps=4, size=16, jpeg_quality=90))
    write_shard(changed, on_video=lambda _: there.append(task.report_path.exists()))

    assert there == [False] * 5
    assert finished_report(changed)
    assert not finished_report(task)


def test_report_tells_what_became_of_each_video(videos: Path, tmp_path: Path) -> None:
    splits = {"run/0 ü.avi": "test", "run/no.avi": "test", "run/gone.avi": "test"}
    task = only_task(videos, tmp_path, splits)

    report = write_shard(task)

    videos = {video.name: video for video in report.videos}
    found = {n: (v.decoded_frames, v.stored_frames, v.problem) for n, v in videos.items()}
    assert found == {
        "run/0 ü.avi": (12, 6, ""),
        "run/gone.avi": (0, 0, "missing"),
        "run/no.avi": (0, 0, "unreadable"),
    }
    assert "it is text, not a video" in videos["run/no.avi"].reason
    whole = videos["run/0 ü.avi"]
    assert (whole.declared_frames, whole.width, whole.height, whole.fps) == (12, 32, 24, 10)
    assert (whole.duration_seconds, whole.codec) == (pytest.approx(1.2), "ffv1")
    assert report.num_records == 1


def test_damaged_video_is_kept_and_marked(tmp_path: Path) -> None:
    render(tmp_path / "a/1.avi", num_frames=60)
    content = (tmp_path / "a/1.avi").read_bytes()
    (tmp_path / "a/1.avi").write_bytes(content[: len(content) // 2])
    task = only_task(tmp_path, tmp_path / "out", {"a/1.avi": "train"})

    (video,) = write_shard(task).videos

    assert video.damaged
    assert not video.problem
    assert video.declared_frames == 60
    assert 20 <= video.decoded_frames <= 40


def test_parts_of_a_file_are_stored_one_by_one(tmp_path: Path) -> None:
    """Overlapping parts as well; each holds the frames of its time only."""
    path = render(tmp_path / "a.avi", num_frames=40)

    def part(label: str, start: float, end: float) -> SourceVideo:
        times = {"start_seconds": start, "end_seconds": end}
        row = Row(path=str(path), label=label, group="g", split="train", **times)
        return SourceVideo(row=row, file="a.avi", num_bytes=1, modified_ns=2)

    parts = [part("a", 0, 1), part("b", 1, 3), part("a", 2, 4), part("b", 3.5, math.inf)]
    parts.append(part("a", 5, 9))
    tasks = plan_shards(parts, tmp_path / "out" / PARTIAL, frames=FRAMES, shard_videos=9, seed=0)
    clear_partial(tmp_path / "out", tasks)

    reports = [write_shard(task) for task in tasks]

    (report,) = (report for report in reports if report.videos)
    found = {v.name: (v.decoded_frames, v.stored_frames, v.duration_seconds) for v in report.videos}
    assert found == {
        "a.avi#t=0,1": (10, 5, 1.0),
        "a.avi#t=1,3": (20, 10, 2.0),
        "a.avi#t=2,4": (20, 10, 2.0),
        "a.avi#t=3.5": (5, 3, 0.5),
        "a.avi#t=5,9": (0, 0, 0.0),
    }
    assert report.videos[-1].problem == "too short"
    assert report.videos[-1].reason == "the file has no frame there: it ends at 4.00 seconds."
    stored = [
        [frame.numpy() for frame in tf.io.parse_single_example(record, JPEGS)["frames"]]
        for record in tf.data.TFRecordDataset(str(tasks[reports.index(report)].path))
    ]
    whole = encode_video(path, FRAMES)[0]["frames"]
    assert stored[0] == whole[:5]
    assert stored[1] == whole[5:15]
    assert stored[2] == whole[10:20]


def test_windows_that_overlap_are_read_side_by_side(tmp_path: Path, monkeypatch) -> None:
    path = render(tmp_path / "a.avi", num_frames=200)
    windows = []
    for start in np.arange(0, 19.5, 0.5):
        row = Row(path=str(path), label="a", group="g", split="train", start_seconds=start)
        row = dataclasses.replace(row, end_seconds=start + 1)
        windows.append(SourceVideo(row=row, file="a.avi", num_bytes=1, modified_ns=2))
    tasks = plan_shards(windows, tmp_path / "out", frames=FRAMES, shard_videos=99, seed=0)
    decoded = []
    grab = VideoReader._timestamps

    def counted(reader: VideoReader) -> Iterator[float]:
        for stamp in grab(reader):
            decoded.append(stamp)
            yield stamp

    monkeypatch.setattr(VideoReader, "_timestamps", counted)

    (report,) = (check_shard(task) for task in tasks if task.sources)

    assert [video.decoded_frames for video in report.videos] == [10] * len(windows)
    assert len(decoded) <= 2 * 200


def fail(error: Exception) -> Callable[[str], None]:
    def raising(_: str) -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("happens", "problem", "reason"),
    [
        (fail(cv2.error("wrong\nsize")), "unreadable", "error: wrong size"),
        (fail(MemoryError()), "unreadable", "there is not enough memory to decode it."),
        (
            fail(OSError(5, "Input/output error")),
            "unreadable",
            "cannot be read: Input/output error.",
        ),
        (lambda path: Path(path).unlink(), "missing", "cannot be read: No such file or directory"),
    ],
)
def test_whatever_happens_at_a_file_costs_that_file_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[str], None],
    problem: str,
    reason: str,
) -> None:
    splits = {f"a/{number}.avi": "train" for number in range(3)}
    for name in splits:
        render(tmp_path / name)
    task = only_task(tmp_path, tmp_path / "out", splits)

    def stored(reader: Any, *arguments: Any, **options: Any) -> Iterator[dict[str, bytes]]:
        yield from stored_frames.stored_frames(reader, *arguments, **options)
        if reader.info.path.endswith("1.avi"):
            happens(reader.info.path)

    monkeypatch.setattr(shard_writer, "stored_frames", stored)
    report = write_shard(task)

    (video,) = (video for video in report.videos if video.problem)
    assert (video.name, video.problem) == ("a/1.avi", problem)
    assert reason in video.reason
    assert report.num_records == len(report.videos) - 1 == 2


def test_after_an_error_the_next_part_of_a_file_is_read_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = render(tmp_path / "a.avi", num_frames=30)
    parts = [
        Row(path=str(path), label="a", group="g", start_seconds=start, end_seconds=start + 1)
        for start in range(3)
    ]
    sources = [SourceVideo(row=row, file="a.avi", num_bytes=1, modified_ns=2) for row in parts]
    (task,) = plan_shards(sources, tmp_path, frames=FRAMES, shard_videos=9, seed=0)
    errors = [MemoryError()]

    def check_length(_: object, seconds: float) -> None:
        if seconds > 1.4 and errors:
            raise errors.pop()

    monkeypatch.setattr("pipeline.video.reader.VideoReader._check_length", check_length)
    found = [(video.problem, video.stored_frames) for video in check_shard(task).videos]
    assert found == [("", 5), ("unreadable", 0), ("", 5)]


@pytest.mark.parametrize("is_set", [True, False])
def test_a_full_folder_of_temporary_files_is_named(
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full_disk: Callable[[], AbstractContextManager[None]],
    is_set: bool,
) -> None:
    task = only_task(videos, tmp_path / "out", TRAIN)
    monkeypatch.delenv("TMPDIR", raising=False)
    if is_set:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(stored_frames, "_IN_MEMORY", 1000)

    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write_shard(task)

    assert str(caught.value.filename) == (str(tmp_path) if is_set else task.folder)


def test_a_video_that_cost_a_worker_its_life_is_not_read_again(
    videos: Path, tmp_path: Path
) -> None:
    task = only_task(videos, tmp_path, TRAIN)
    task = dataclasses.replace(task, skip=(("run/2 ü.avi", "its decoder crashed"),))

    report = write_shard(task)

    (lost,) = (video for video in report.videos if video.problem)
    assert (lost.name, lost.problem, lost.reason) == ("run/2 ü.avi", "lost", "its decoder crashed")
    assert report.num_records == 4


def test_a_video_whose_frames_and_flow_together_do_not_fit_a_record(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = dataclasses.replace(FRAMES, flow=True)
    (task,) = plan(videos, tmp_path, {"run/0 ü.avi": "train"}, shard_videos=9)
    images, _ = encode_video(videos / "run" / "0 ü.avi", frames)
    limit = sum(len(image) for name in images for image in images[name])

    monkeypatch.setattr(shard_writer, "MAX_BYTES", limit)
    assert not check_shard(dataclasses.replace(task, frames=frames)).videos[0].problem
    monkeypatch.setattr(shard_writer, "MAX_BYTES", limit - 1)
    (video,) = check_shard(dataclasses.replace(task, frames=frames)).videos

    assert video.problem == "too large"
    assert "its frames take more than 2 GiB" in video.reason


def test_a_video_with_too_few_frames(videos: Path, tmp_path: Path) -> None:
    task = only_task(videos, tmp_path, {"run/0 ü.avi": "train"})

    (video,) = write_shard(dataclasses.replace(task, min_frames=7)).videos

    assert video.problem == "too short"
    assert video.reason == "its 12 frames give fewer than 7 at 5 per second."
    assert not write_shard(dataclasses.replace(task, min_frames=6)).videos[0].problem


def test_checking_reads_as_writing_does_and_leaves_nothing(videos: Path, tmp_path: Path) -> None:
    (task,) = plan(videos, tmp_path / "a", {**TRAIN, "run/no.avi": "train"}, shard_videos=9)

    checked = check_shard(task)

    assert not (tmp_path / "a").exists()
    clear_partial(tmp_path / "a", [task])
    written = write_shard(task).videos
    assert tuple(dataclasses.replace(video, record_bytes=0) for video in written) == checked.videos
