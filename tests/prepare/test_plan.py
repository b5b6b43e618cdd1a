"""Which videos go into which shard, and what tells shards and data sets apart."""

import dataclasses
import itertools

from pipeline.manifest.rows import Row
from pipeline.prepare.plan import ShardTask, SourceVideo, content_fingerprint, plan_shards
from tests.prepare.people import FRAMES, plan, source


def test_plan_deals_the_videos_of_each_split_out(tmp_path):
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


def test_a_video_more_or_less_leaves_the_others_where_they_are(tmp_path):
    splits = {f"{'ab'[i % 2]}/{i:03d}": "train" for i in range(100)}
    before = plan(tmp_path, tmp_path, splits, shard_videos=16)
    after = plan(tmp_path, tmp_path, {**splits, "a/new": "train"}, shard_videos=16)
    pairs = zip(before, after, strict=True)
    ((old, new),) = [(old, new) for old, new in pairs if old.sources != new.sources]
    assert [source for source in new.sources if source.name != "a/new"] == list(old.sources)


def test_the_parts_of_a_file_lie_together_in_the_order_of_time(tmp_path):
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


def test_fingerprint_depends_on_all_that_a_shard_holds(tmp_path):
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


def test_a_run_remembers_what_its_videos_are_and_not_where_they_lie(tmp_path):
    flow = dataclasses.replace(FRAMES, flow=True)

    def mark(frames=FRAMES, content="c", **changes):
        values = {"path": "/a", "label": "run", "group": "g", "split": "val", **changes}
        places = {"file": values.pop("file", "a"), "num_bytes": values.pop("num_bytes", 1)}
        row = Row(**values)
        video = SourceVideo(row=row, modified_ns=len(values), **places)
        return content_fingerprint(frames, [(source(tmp_path, "b", "test"), "d"), (video, content)])

    assert mark() == mark(path="/elsewhere/a") == mark(num_bytes=2)
    changes = [{"content": "d"}, {"file": "b"}, {"label": "walk"}, {"group": "h"}]
    changes += [{"split": "train"}, {"start_seconds": 1}, {"frames": flow}]
    assert len({mark(), *(mark(**each) for each in changes)}) == 8
