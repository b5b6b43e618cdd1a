"""What becomes of each video of a shard, and which videos are in it."""

import dataclasses
import itertools
import math
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from pipeline.manifest.rows import Row
from pipeline.prepare import shard_workers, shard_writer, stored_frames
from pipeline.prepare.plan import (
    ShardTask,
    SourceVideo,
    content_fingerprint,
    finished_report,
    plan_shards,
)
from pipeline.prepare.prepared import PARTIAL
from pipeline.prepare.publish import clear_partial
from pipeline.prepare.shard_writer import check_shard, write_shard
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import VideoReader
from tests.prepare.people import FRAMES, configure, plan, render, source

TRAIN = {f"{name} 1.avi": "train" for name in ("run/ann", "run/bob", "wälk fast/ann", "run/eve")}
JPEGS = {"frames": tf.io.RaggedFeature(tf.string)}


def only_task(root, out, splits):
    """One shard of all the videos, which can be written."""
    (task,) = plan(root, out, splits, shard_videos=9)
    clear_partial(out, [task])
    return task


def task_of_parts(path, out, *parts):
    """One shard of parts of a file, each with its label, from when on and until when."""
    sources = []
    for label, start, end in parts:
        part = source(path.parent, path.name, "train")
        row = dataclasses.replace(part.row, label=label, start_seconds=start, end_seconds=end)
        sources.append(dataclasses.replace(part, row=row))
    (task,) = plan_shards(sources, out / PARTIAL, frames=FRAMES, shard_videos=99, seed=0)
    clear_partial(out, [task])
    return task


def test_shard_that_is_there_is_not_written_again(people, tmp_path):
    task = only_task(people, tmp_path, TRAIN)
    shard = task.path
    report = write_shard(task)
    assert report == finished_report(task)
    assert report.num_records == 4
    assert report.num_bytes == shard.stat().st_size == report.record_bytes + 4 * 16
    read = []
    first = shard.stat().st_ino
    assert write_shard(task, on_video=read.append) == report
    assert (read, shard.stat().st_ino) == ([], first)
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    assert write_shard(task, on_video=read.append) == report
    assert read == [source.name for source in task.sources]
    assert shard.read_bytes() == content
    there = []
    changed = dataclasses.replace(task, frames=dataclasses.replace(FRAMES, fps=4))
    write_shard(changed, on_video=lambda _: there.append(task.report_path.exists()))
    assert there == [False] * 4, "a report is there only beside its shard"
    assert finished_report(changed)
    assert not finished_report(task)


def test_report_tells_what_became_of_each_video_checked_or_written(root, tmp_path):
    content = render(root / "run/hal 1.avi", 1, num_frames=60).read_bytes()
    (root / "run/hal 1.avi").write_bytes(content[: len(content) // 2])
    names = [f"run/{person} 1.avi" for person in ("bob", "ann", "hal", "gone", "cid")]
    (task,) = plan(root, tmp_path / "out", dict.fromkeys(names, "train"), shard_videos=9)
    task = dataclasses.replace(task, skip=((names[1], "its decoder crashed"),))

    def reported(report):
        videos = {video.name: video for video in report.videos}
        return [videos[name] for name in names]

    checked = check_shard(task)
    assert not (tmp_path / "out").exists()
    clear_partial(tmp_path / "out", [task])
    report = write_shard(task)
    assert report.num_records == 2
    written = tuple(dataclasses.replace(video, record_bytes=0) for video in report.videos)
    assert written == checked.videos
    whole, lost, damaged, gone, bad = reported(report)
    assert (whole.decoded_frames, whole.stored_frames, whole.problem) == (8, 4, "")
    assert (whole.declared_frames, whole.width, whole.height, whole.fps) == (8, 32, 24, 10)
    assert (whole.duration_seconds, whole.codec) == (pytest.approx(0.8), "MJPG")
    assert (lost.problem, lost.reason) == ("lost", "its decoder crashed")
    assert (whole.damaged, damaged.damaged) == (False, True)
    assert (damaged.problem, damaged.declared_frames) == ("", 60)
    assert 20 <= damaged.decoded_frames <= 40
    assert (gone.problem, gone.decoded_frames, gone.stored_frames) == ("missing", 0, 0)
    assert (bad.problem, bad.decoded_frames, bad.stored_frames) == ("unreadable", 0, 0)
    whole, _, damaged, *_ = reported(check_shard(dataclasses.replace(task, min_frames=5)))
    assert (whole.problem, damaged.problem) == ("too short", "")
    assert whole.reason == "its 8 frames give fewer than 5 at 5 per second."
    assert not reported(check_shard(dataclasses.replace(task, min_frames=4)))[0].problem


def test_parts_of_a_file_are_stored_one_by_one(tmp_path):
    """Overlapping parts as well; each holds the frames of its time only."""
    path = render(tmp_path / "a.avi", 1, num_frames=40)
    parts = [("a", 0, 1), ("b", 1, 3), ("a", 2, 4), ("b", 3.5, math.inf), ("a", 5, 9)]
    task = task_of_parts(path, tmp_path / "out", *parts)
    report = write_shard(task)
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
        for record in tf.data.TFRecordDataset(str(task.path))
    ]
    whole = encode_video(path, FRAMES)[0]["frames"]
    assert stored[:3] == [whole[:5], whole[5:15], whole[10:20]]


def test_windows_that_overlap_are_read_side_by_side_and_after_an_error_anew(tmp_path, monkeypatch):
    path = render(tmp_path / "a.avi", 1, num_frames=200)
    windows = [("a", start, start + 1) for start in np.arange(0, 19.5, 0.5)]
    task = task_of_parts(path, tmp_path / "out", *windows)
    decoded = []
    grab = VideoReader._timestamps

    def counted(reader):
        for stamp in grab(reader):
            decoded.append(stamp)
            yield stamp

    monkeypatch.setattr(VideoReader, "_timestamps", counted)
    report = check_shard(task)
    assert [video.decoded_frames for video in report.videos] == [10] * len(windows)
    assert len(decoded) <= 2 * 200
    # After an error, the next part of a file is read from the start.
    task = task_of_parts(path, tmp_path / "out", ("a", 0, 1), ("a", 1, 2), ("a", 2, 3))
    errors = [MemoryError()]

    def check_length(_, seconds):
        if seconds > 1.4 and errors:
            raise errors.pop()

    monkeypatch.setattr("pipeline.video.reader.VideoReader._check_length", check_length)
    found = [(video.problem, video.stored_frames) for video in check_shard(task).videos]
    assert found == [("", 5), ("unreadable", 0), ("", 5)]


def fail(error):
    def raising(_):
        raise error

    return raising


@pytest.mark.parametrize(
    ("happens", "problem", "reason"),
    [
        (fail(cv2.error("wrong\nsize")), "unreadable", "error: wrong size"),
        (fail(MemoryError()), "unreadable", "there is not enough memory to decode it."),
        (fail(OSError(5, "Input/output")), "unreadable", "cannot be read: Input/output."),
        (lambda path: Path(path).unlink(), "missing", "cannot be read: No such file or directory"),
    ],
)
def test_whatever_happens_at_a_file_costs_it_alone(tmp_path, monkeypatch, happens, problem, reason):
    splits = {f"a/{number}.avi": "train" for number in range(3)}
    for name in splits:
        render(tmp_path / name, 1)
    task = only_task(tmp_path, tmp_path / "out", splits)

    def stored(reader, *arguments, **options):
        yield from stored_frames.stored_frames(reader, *arguments, **options)
        if reader.info.path.endswith("1.avi"):
            happens(reader.info.path)

    monkeypatch.setattr(shard_writer, "stored_frames", stored)
    report = write_shard(task)
    (video,) = (video for video in report.videos if video.problem)
    assert (video.name, video.problem) == ("a/1.avi", problem)
    assert reason in video.reason
    assert report.num_records == len(report.videos) - 1 == 2


def test_whatever_else_is_raised_at_a_video_costs_it_alone(people, tmp_path):
    task, work = only_task(people, tmp_path, TRAIN), import_module("tests.prepare.people")
    config = configure(people, tmp_path)
    (report,) = shard_workers._run_locally(work.write_but_ann, [task], config, doing="")
    lost = [(video.name, video.reason) for video in report.videos if video.problem == "lost"]
    names = sorted(name for name in TRAIN if "ann" in name)
    assert sorted(lost) == [(name, "there is not enough memory to decode it.") for name in names]
    assert finished_report(task) == report


def test_a_full_folder_is_named_and_what_fits_no_record_left_out(
    people, tmp_path, monkeypatch, full_disk
):
    task = only_task(people, tmp_path / "out", TRAIN)
    monkeypatch.setattr(stored_frames, "_IN_MEMORY", 1000)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for work, folder in ((write_shard, task.folder), (check_shard, str(Path(task.folder).parent))):
        with full_disk(), pytest.raises(OSError, match="File too large") as caught:
            work(task)
        assert str(caught.value.filename) == folder, "beside the data, wherever else there is room"
    frames = dataclasses.replace(FRAMES, flow=True)
    (task,) = plan(people, tmp_path, {"run/ann 1.avi": "train"}, shard_videos=9)
    images, _ = encode_video(people / "run" / "ann 1.avi", frames)
    limit = sum(len(image) for name in images for image in images[name])
    task = dataclasses.replace(task, frames=frames)
    monkeypatch.setattr(shard_writer, "MAX_BYTES", limit)
    assert not check_shard(task).videos[0].problem
    monkeypatch.setattr(shard_writer, "MAX_BYTES", limit - 1)
    (video,) = check_shard(task).videos
    assert video.problem == "too large"
    assert "its frames take more than 2 GiB" in video.reason


# Which videos go into which shard, and what tells shards and data sets apart.


def test_plan_deals_the_videos_of_each_split_out_and_parts_of_a_file_together(tmp_path):
    splits = {f"{'ab'[i % 2]}/{i:03d}": "train" for i in range(100)}
    splits |= {f"a/{i}": "val" for i in range(100, 103)}
    tasks = plan(tmp_path, tmp_path, splits, shard_videos=16)
    train, val = tasks[:-1], tasks[-1]
    assert [task.name for task in train] == [
        f"clipline-train.tfrecord-{index:05d}-of-00008" for index in range(8)
    ]
    assert (val.name, len(val.sources)) == ("clipline-val.tfrecord-00000-of-00001", 3)
    names = [s.name for task in train for s in task.sources]
    assert sorted(names) == [name for name in sorted(splits) if splits[name] == "train"]
    assert names != sorted(names)
    assert all(6 <= len(task.sources) <= 20 for task in train)
    assert all({s.row.label for s in task.sources} == {"a", "b"} for task in train)
    assert plan(tmp_path, tmp_path, dict(reversed(splits.items())), shard_videos=16) == tasks
    # One more leaves the others where they are.
    after = plan(tmp_path, tmp_path, {**splits, "a/new": "train"}, shard_videos=16)
    pairs = zip(tasks, after, strict=True)
    ((old, new),) = [(old, new) for old, new in pairs if old.sources != new.sources]
    assert [source for source in new.sources if source.name != "a/new"] == list(old.sources)
    # The parts of a file lie together in the order of time.
    parts = []
    for index in range(100):
        part = source(tmp_path, f"a/{index % 20}.avi", "train")
        start = index // 20 + 0.5
        row = dataclasses.replace(part.row, start_seconds=start, end_seconds=start + 1)
        parts.append(dataclasses.replace(part, row=row))
    tasks = plan_shards(parts, tmp_path, frames=FRAMES, shard_videos=20, seed=0)
    assert sum(len(task.sources) for task in tasks) == 100
    for task in tasks:
        files = [file for file, _ in itertools.groupby(task.sources, key=lambda s: s.file)]
        assert len(files) == len(set(files))
        names = [s.name for s in task.sources if s.file == files[0]]
        assert names == [f"{files[0]}#t={time}.5,{time + 1}.5" for time in range(5)]


def test_fingerprints_depend_on_what_a_shard_holds_and_what_the_videos_of_a_run_are(tmp_path):
    def mark(out="x", frames=None, **changes):
        values = {"file": "a", "num_bytes": 1, "modified_ns": 2, "label": "run", "group": "g"}
        values |= changes
        row = Row(path=str(tmp_path), label=values.pop("label"), group=values.pop("group"))
        task = ShardTask(
            folder=out,
            name="x",
            split="train",
            sources=(SourceVideo(row=row, **values),),
            class_names=("run", "walk"),
            frames=dataclasses.replace(FRAMES, **(frames or {})),
        )
        return task.fingerprint

    changes = [{"file": "b"}, {"num_bytes": 2}, {"modified_ns": 3}, {"label": "walk"}]
    of_frames = ({"fps": 6}, {"size": 17}, {"jpeg_quality": 91}, {"flow": True})
    changes += [{"group": "h"}, *({"frames": each} for each in of_frames)]
    assert len({mark(), *(mark(**each) for each in changes)}) == 10
    assert mark() == mark(out="elsewhere")

    def mark_of_run(frames=FRAMES, content="c", **changes):
        values = {"path": "/a", "label": "run", "group": "g", "split": "val", **changes}
        places = {"file": values.pop("file", "a"), "num_bytes": values.pop("num_bytes", 1)}
        row = Row(**values)
        video = SourceVideo(row=row, modified_ns=len(values), **places)
        return content_fingerprint(frames, [(source(tmp_path, "b", "test"), "d"), (video, content)])

    # Where they lie does not count.
    assert mark_of_run() == mark_of_run(path="/elsewhere/a") == mark_of_run(num_bytes=2)
    changes = [{"content": "d"}, {"file": "b"}, {"label": "walk"}, {"group": "h"}]
    changes += [{"split": "train"}, {"start_seconds": 1}]
    changes.append({"frames": dataclasses.replace(FRAMES, flow=True)})
    assert len({mark_of_run(), *(mark_of_run(**each) for each in changes)}) == 8
