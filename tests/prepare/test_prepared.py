from __future__ import annotations

import dataclasses
import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import FramesConfig
from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.manifest.rows import Row
from pipeline.prepare import shard_writer
from pipeline.prepare.plan import (
    ShardTask,
    SourceVideo,
    content_fingerprint,
    finished_report,
    plan_shards,
)
from pipeline.prepare.prepared import FINDINGS, PARTIAL, Store, open_store
from pipeline.prepare.publish import check_folder, clear_partial, finish_store
from pipeline.prepare.shard_writer import check_shard, write_shard
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import VideoReader, decode_jpeg, encode_jpeg, write_video

JPEGS = {"frames": tf.io.RaggedFeature(tf.string)}
FRAMES = FramesConfig(fps=5, size=16, jpeg_quality=90)


def render(path: Path, *, num_frames: int = 12, fps: float = 10, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(256, size=(num_frames, 3, 4, 3), dtype=np.uint8)
    write_video(path, blocks.repeat(8, axis=1).repeat(8, axis=2), fps=fps, codec="FFV1")
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven videos of 6 stored frames each, and two that cannot be read."""
    root = tmp_path_factory.mktemp("videos")
    for index, label in enumerate(("run", "wälk fast") * 3):
        render(root / label / f"{index} ü.avi", seed=index)
    render(root / "run" / "6.avi", seed=6)
    for name in ("run/no.avi", "wälk fast/none.avi"):
        (root / name).write_text("no video")
    return root


def source(root: Path, name: str, split: str) -> SourceVideo:
    row = Row(path=str(root / name), label=name.split("/")[0], group=f"g {name}", split=split)
    return SourceVideo(row=row, file=name, num_bytes=1, modified_ns=2)


def sources(root: Path, splits: dict[str, str]) -> list[SourceVideo]:
    return [source(root, name, split) for name, split in splits.items()]


TRAIN = {
    "run/0 ü.avi": "train",
    "wälk fast/1 ü.avi": "train",
    "run/2 ü.avi": "train",
    "wälk fast/3 ü.avi": "train",
    "run/4 ü.avi": "train",
}
SPLITS = {**TRAIN, "wälk fast/5 ü.avi": "test", "run/6.avi": "test"}


def plan(root: Path, out: Path, splits: dict[str, str], shard_videos: int = 2) -> list[ShardTask]:
    return plan_shards(
        sources(root, splits), out / PARTIAL, frames=FRAMES, shard_videos=shard_videos, seed=0
    )


def write(root: Path, out: Path, splits: dict[str, str], shard_videos: int = 2) -> Store:
    tasks = plan(root, out, splits, shard_videos)
    clear_partial(out, tasks)
    reports = [finished_report(task, out) or write_shard(task) for task in tasks]
    settings = {"source": "folder", "path": str(root)}
    for name in FINDINGS:
        (out / PARTIAL / name).write_text("{}")
    return finish_store(
        out, tasks, reports, settings=settings, leaks=["x"], duplicates=(), made_of="f"
    )


def test_encode_video_gives_the_frames_of_the_reader_as_jpeg(videos: Path) -> None:
    path = videos / "run" / "0 ü.avi"
    with VideoReader(path) as reader:
        expected = [encode_jpeg(f, quality=90) for f in reader.frames(fps=5, size=(16, 16))]

    images, info = encode_video(path, FRAMES)

    assert images == {"frames": expected}
    assert len(expected) == 6
    assert info.num_frames == 12
    assert decode_jpeg(expected[0]).shape == (16, 16, 3)


def test_encode_video_repeats_frames_of_a_slow_video(tmp_path: Path) -> None:
    path = render(tmp_path / "slow.avi", num_frames=3, fps=2)
    with VideoReader(path) as reader:
        expected = [encode_jpeg(f, quality=90) for f in reader.frames(fps=6, size=(16, 16))]

    images = encode_video(path, FramesConfig(fps=6, size=16, jpeg_quality=90))[0]["frames"]

    assert images == expected
    assert [images.index(image) for image in images] == [0, 0, 0, 3, 3, 3, 6, 6, 6]
    assert images[0] is images[2], "encoded once"


def test_encode_video_that_cannot_be_read(videos: Path) -> None:
    with pytest.raises(VideoDecodeError, match=r"no\.avi"):
        encode_video(videos / "run" / "no.avi", FRAMES)


def test_plan_deals_the_videos_of_each_split_out(tmp_path: Path) -> None:
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
    reverse = dict(reversed(splits.items()))
    assert plan(tmp_path, tmp_path, reverse, shard_videos=16) == tasks


def test_a_video_more_or_less_leaves_the_others_where_they_are(tmp_path: Path) -> None:
    splits = {f"{'ab'[i % 2]}/{i:03d}": "train" for i in range(100)}
    before = plan(tmp_path, tmp_path, splits, shard_videos=16)

    after = plan(tmp_path, tmp_path, {**splits, "a/new": "train"}, shard_videos=16)

    changed = [
        (old, new) for old, new in zip(before, after, strict=True) if old.sources != new.sources
    ]
    ((old, new),) = changed
    assert [source for source in new.sources if source.name != "a/new"] == list(old.sources)


def test_the_parts_of_a_file_lie_together_in_the_order_of_time(tmp_path: Path) -> None:
    parts = [
        dataclasses.replace(
            source(tmp_path, f"a/{index % 20}.avi", "train"),
            row=Row(
                path=str(tmp_path / f"a/{index % 20}.avi"),
                label="a",
                group="g",
                split="train",
                start_seconds=index // 20 + 0.5,
                end_seconds=index // 20 + 1.5,
            ),
        )
        for index in range(100)
    ]
    tasks = plan_shards(parts, tmp_path, frames=FRAMES, shard_videos=20, seed=0)

    assert sum(len(task.sources) for task in tasks) == 100
    for task in tasks:
        files = [file for file, _ in itertools.groupby(task.sources, key=lambda s: s.file)]
        assert len(files) == len(set(files))
        names = [s.name for s in task.sources if s.file == files[0]]
        times = ("0.5,1.5", "1.5,2.5", "2.5,3.5", "3.5,4.5", "4.5,5.5")
        assert names == [f"{files[0]}#t={time}" for time in times]


def test_fingerprint_depends_on_all_that_a_shard_holds(tmp_path: Path) -> None:
    def mark(frames: FramesConfig = FRAMES, out: str = "x", **changes: object) -> str:
        values = {"file": "a", "num_bytes": 1, "modified_ns": 2, "label": "run", "group": "g"}
        values |= changes
        row = Row(path=str(tmp_path), label=values.pop("label"), group=values.pop("group"))
        task = ShardTask(
            folder=out,
            name="x",
            split="train",
            sources=(SourceVideo(row=row, **values),),
            class_names=("run", "walk"),
            frames=frames,
        )
        return task.fingerprint

    changed = [
        mark(file="b"),
        mark(num_bytes=2),
        mark(modified_ns=3),
        mark(label="walk"),
        mark(group="h"),
        mark(FramesConfig(fps=6, size=16, jpeg_quality=90)),
        mark(FramesConfig(fps=5, size=17, jpeg_quality=90)),
        mark(FramesConfig(fps=5, size=16, jpeg_quality=91)),
        mark(FramesConfig(fps=5, size=16, jpeg_quality=90, flow=True)),
    ]
    assert len({mark(), *changed}) == 10
    assert mark() == mark(out="elsewhere")


def test_a_run_remembers_what_its_videos_are_and_not_where_they_lie(tmp_path: Path) -> None:
    def mark(frames: FramesConfig = FRAMES, content: str = "c", **changes: object) -> str:
        values = {"path": "/a", "label": "run", "group": "g", "split": "val", **changes}
        places = {"file": values.pop("file", "a"), "num_bytes": values.pop("num_bytes", 1)}
        row = Row(**values)  # type: ignore[arg-type]
        video = SourceVideo(row=row, modified_ns=len(values), **places)  # type: ignore[arg-type]
        return content_fingerprint(frames, [(source(tmp_path, "b", "test"), "d"), (video, content)])

    assert mark() == mark(path="/elsewhere/a") == mark(num_bytes=2)
    others = [
        mark(content="d"),
        mark(file="b"),
        mark(label="walk"),
        mark(group="h"),
        mark(split="train"),
        mark(start_seconds=1),
        mark(dataclasses.replace(FRAMES, flow=True)),
    ]
    assert len({mark(), *others}) == 8


def test_shard_that_is_there_is_not_written_again(videos: Path, tmp_path: Path) -> None:
    (task,) = plan(videos, tmp_path, TRAIN, shard_videos=9)
    clear_partial(tmp_path, [task])
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
    (task,) = plan(videos, tmp_path, TRAIN, shard_videos=9)
    clear_partial(tmp_path, [task])
    write_shard(task)
    there = []

    changed = dataclasses.replace(task, frames=FramesConfig(fps=4, size=16, jpeg_quality=90))
    write_shard(changed, on_video=lambda _: there.append(task.report_path.exists()))

    assert there == [False] * 5
    assert finished_report(changed)
    assert not finished_report(task)


def test_shards_of_a_split_without_readable_videos_count_as_written(
    videos: Path, tmp_path: Path
) -> None:
    splits = {**SPLITS, "run/no.avi": "val"}

    write(videos, tmp_path, splits)

    assert all(finished_report(task, tmp_path) for task in plan(videos, tmp_path, splits))
    assert not list(tmp_path.glob("clipline-val*"))


def test_report_tells_what_became_of_each_video(videos: Path, tmp_path: Path) -> None:
    splits = {"run/0 ü.avi": "test", "run/no.avi": "test", "run/gone.avi": "test"}
    (task,) = plan(videos, tmp_path, splits, shard_videos=9)
    clear_partial(tmp_path, [task])

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
    (task,) = plan(tmp_path, tmp_path / "out", {"a/1.avi": "train"})
    clear_partial(tmp_path / "out", [task])

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


def test_a_video_that_cost_a_worker_its_life_is_not_read_again(
    videos: Path, tmp_path: Path
) -> None:
    (task,) = plan(videos, tmp_path, TRAIN, shard_videos=9)
    clear_partial(tmp_path, [task])
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
    (task,) = plan(videos, tmp_path, {"run/0 ü.avi": "train"}, shard_videos=9)
    clear_partial(tmp_path, [task])

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


def test_open_store(videos: Path, tmp_path: Path) -> None:
    written = write(videos, tmp_path / "out", {**SPLITS, "run/no.avi": "val"})

    store = open_store(tmp_path / "out")

    assert store == written
    assert store.frames == FRAMES
    assert store.class_names == ("run", "wälk fast")
    assert store.num_videos == {"train": 5, "test": 2}
    assert store.settings["path"] == str(videos)
    assert store.leaks == ("x",)
    assert [row.path for row in store.manifest.rows] == [str(videos / n) for n in sorted(SPLITS)]


def test_tensorflow_datasets_reads_the_store(videos: Path, tmp_path: Path) -> None:
    # Some training shards and the whole of val have no video that can be read.
    out = tmp_path / "out"
    unreadable = {"run/no.avi": "val", "wälk fast/none.avi": "train"}
    store = write(videos, out, {**SPLITS, **unreadable}, shard_videos=1)
    reports = [json.loads(path.read_text()) for path in (out / "shards").glob("*train*")]
    assert sorted(report["num_records"] for report in reports) == [0, 0, 0, 1, 1, 1, 1, 1]

    found = {}
    for split in store.num_videos:
        for video in store.builder.as_dataset(split=split).as_numpy_iterator():
            name = video["video"].decode()
            found[name] = split
            assert store.class_names[video["label"]] == name.split("/")[0]
            assert video["group"].decode() == f"g {name}"
            assert (video["num_frames"], video["fps"]) == (12, 10)
            assert video["duration_seconds"] == pytest.approx(1.2)
            with VideoReader(videos / name) as reader:
                frames = np.stack(list(reader.frames(fps=5, size=(16, 16))))
            assert video["frames"].shape == frames.shape == (6, 16, 16, 3)
            assert np.abs(video["frames"].astype(int) - frames).mean() < 8
    assert found == SPLITS
    assert list(store.builder.info.splits) == ["train", "test"]
    assert store.builder.info.features["label"].names == list(store.class_names)


def test_stale_files_are_cleared(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(videos, out, SPLITS, shard_videos=1)
    (out / "clipline-partial" / "shards").mkdir(parents=True)
    (out / "clipline-partial" / "clipline-train.tfrecord-00001-of-00003.tmp").touch()
    (
        out / "clipline-partial" / "shards" / "clipline-train.tfrecord-00001-of-00003.json.tmp"
    ).touch()
    (out / "notes.txt").touch()

    write(videos, out, SPLITS, shard_videos=9)

    shards = ["clipline-test.tfrecord-00000-of-00001", "clipline-train.tfrecord-00000-of-00001"]
    assert sorted(path.name for path in out.glob("clipline*")) == shards
    assert sorted(path.stem for path in out.glob("shards/*")) == shards
    assert (out / "notes.txt").exists()
    assert not (out / PARTIAL).exists()


def test_what_was_prepared_stays_until_the_new_is_whole(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = write(videos, out, SPLITS)

    tasks = plan(videos, out, TRAIN, shard_videos=1)
    clear_partial(out, tasks)
    for task in tasks[:2]:
        write_shard(task)

    assert open_store(out) == before
    assert write(videos, out, TRAIN, shard_videos=1).num_videos == {"train": 5}
    assert len(list(out.glob("clipline*"))) == len(list(out.glob("shards/*"))) == 8


def test_a_folder_that_holds_something_else_is_refused(videos: Path, tmp_path: Path) -> None:
    origin = {"source": "folder", "path": str(videos)}
    check_folder(tmp_path / "new", origin, overwrite=False)
    check_folder(tmp_path, origin, overwrite=False)
    (tmp_path / "notes.txt").touch()
    for folder in ("shards", "partial"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train-0001.json").touch()
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds something else than a data set. Name a new"):
            check_folder(tmp_path, origin, overwrite=overwrite)
    with pytest.raises(ConfigError, match=r"notes.txt is a file. Name a folder"):
        check_folder(tmp_path / "notes.txt", origin, overwrite=True)

    write(videos, tmp_path / "out", SPLITS)
    check_folder(tmp_path / "out", origin, overwrite=False)
    other = {**origin, "path": "/other"}
    with pytest.raises(ConfigError, match=rf"of other videos \(folder {videos}\).* --overwrite"):
        check_folder(tmp_path / "out", other, overwrite=False)
    check_folder(tmp_path / "out", other, overwrite=True)


def test_class_without_a_readable_training_video(videos: Path, tmp_path: Path) -> None:
    splits = {**TRAIN, "wälk fast/1 ü.avi": "test", "wälk fast/3 ü.avi": "test"}
    splits["wälk fast/none.avi"] = "train"

    with pytest.raises(DataError, match=r"got none of 'wälk fast'; .*quarantine\.csv says why"):
        write(videos, tmp_path / "out", splits)
    with pytest.raises(DataError, match="was not finished"):
        open_store(tmp_path / "out")


def test_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a prepared data set. Make one with: clipline"):
        open_store(tmp_path)


def test_store_that_is_not_whole(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(videos, out, SPLITS)
    state = out / "prepare.json"
    shard = out / "clipline-test.tfrecord-00000-of-00001"

    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"00001: missing or cut off\. Run the same clipline"):
        open_store(out)
    shard.write_bytes(content)
    assert open_store(out).num_videos["test"] == 2

    for name in ("manifest.csv", "features.json", "label.labels.txt", "dataset_info.json"):
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:-2] + b"xx")
        with pytest.raises(DataError, match=f"{name}: missing, or changed since it was written"):
            open_store(out)
        (out / name).write_bytes(content)
    whole = state.read_text()
    for damaged in ("", "{}", "[]", '{"settings": null}', whole[:-5]):
        state.write_text(damaged)
        with pytest.raises(DataError, match=r"prepare.json: damaged. Run the same clipline"):
            open_store(out)
    state.write_text(json.dumps({**json.loads(whole), "format": 0}))
    with pytest.raises(DataError, match="prepared by another version"):
        open_store(out)

    state.unlink()
    with pytest.raises(DataError, match=r"not finished\. Run the same clipline prepare"):
        open_store(out)


def test_store_can_move(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "a" / "videos")
    write(tmp_path / "a" / "videos", tmp_path / "a", SPLITS)

    (tmp_path / "a").rename(tmp_path / "b")

    rows = open_store(tmp_path / "b").manifest.rows
    assert all(Path(row.path).is_file() for row in rows)
