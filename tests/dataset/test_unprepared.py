"""Training straight from files gives the clips of a prepared data set."""

import dataclasses
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import AugmentConfig, ClipConfig, RunConfig, TrainConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset import videos
from pipeline.dataset.clip_batches import evaluation_clips, training_batches
from pipeline.dataset.unprepared import UnreadableWarning, VideoFiles, encode_part
from pipeline.dataset.videos import damage_named, open_data
from pipeline.errors import DataError
from pipeline.prepare.preparation import prepare
from pipeline.training.fit import train
from pipeline.video import write_video


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve videos of six people, two of them parts of one file."""
    root = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split,start_seconds,end_seconds"]
    for person in range(6):
        frames = rng.integers(256, size=(30, 24, 32, 3), dtype=np.uint8)
        write_video(root / f"{person}.avi", frames, fps=10, codec="FFV1")
        split = "test" if person == 5 else "train"
        lines.append(f"{person}.avi,left,p{person},{split},0,1.5")
        lines.append(f"{person}.avi,right,p{person},{split},1.5,")
    (root / "videos.csv").write_text("\n".join(lines) + "\n")
    return root / "videos.csv"


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig(
        seed=3,
        clip=ClipConfig(num_frames=4, views=2),
        augment=AugmentConfig(flip=0.5),
        train=TrainConfig(batch_size=4),
    )


@pytest.fixture(scope="module")
def both(table: Path) -> tuple[VideoFiles, object]:
    out = table.parent.parent / "store"
    store = prepare(PrepareConfig(source="csv", path=str(table), out=str(out), workers=1)).store
    return open_data(table), store


def test_what_is_known_of_the_videos_is_the_same(both, table) -> None:
    files, store = both
    assert files.path == table
    assert (files.class_names, files.num_videos) == (store.class_names, store.num_videos)
    assert files.frames == store.frames
    assert not files.leaks


@pytest.mark.parametrize("split", ["train", "test"])
def test_clips_of_evaluation_are_those_of_the_store(both, config, split) -> None:
    seen = 0
    for mine, prepared in zip(
        *(evaluation_clips(data, config, split, view=0) for data in both), strict=True
    ):
        (inputs, label, source), (wanted, wanted_label, wanted_source) = mine, prepared
        for key in ("frames", "mask"):
            np.testing.assert_array_equal(inputs[key], wanted[key])
        np.testing.assert_array_equal(label, wanted_label)
        np.testing.assert_array_equal(source["video"], wanted_source["video"])
        np.testing.assert_array_equal(source["group"], wanted_source["group"])
        seen += len(label)
    assert seen == both[0].num_videos[split]


def test_batches_of_training_are_those_of_the_store(both, config) -> None:
    batches = [training_batches(data, config).take(6) for data in both]
    for (inputs, labels), (wanted, wanted_labels) in zip(*batches, strict=True):
        np.testing.assert_array_equal(inputs["frames"], wanted["frames"])
        np.testing.assert_array_equal(labels, wanted_labels)


def decoded(monkeypatch) -> list[str]:
    """The names of videos, each time that one is decoded."""
    names: list[str] = []

    def count(source, frames):
        names.append(source.name)
        return encode_part(source, frames)

    monkeypatch.setattr(videos, "encode_part", count)
    return names


@pytest.mark.parametrize("num_bytes", [2**30, 0])
def test_videos_are_decoded_once_while_they_fit_into_memory(
    both, config, monkeypatch, num_bytes
) -> None:
    monkeypatch.setattr(videos, "IN_MEMORY_BYTES", num_bytes)
    names = decoded(monkeypatch)
    batches = training_batches(
        both[0], dataclasses.replace(config, train=TrainConfig(batch_size=1))
    )
    assert len(list(batches.take(30))) == 30
    assert len(set(names)) == 10
    # Two threads may decode the same one at the same time.
    assert len(names) < 20 if num_bytes else len(names) >= 30


def test_no_videos_wait_in_memory_for_their_turn(table, config, monkeypatch) -> None:
    """At 224 pixels, a thousand of them would take gigabytes."""
    lines = [f"0.avi,left,p0,train,{start / 1000},{start / 1000 + 1}" for start in range(1000)]
    many = table.with_name("many.csv")
    many.write_text("\n".join(["path,label,group,split,start_seconds,end_seconds", *lines]))
    names = decoded(monkeypatch)
    (inputs, _), *_ = training_batches(open_data(many), config).take(1)
    assert len(inputs["mask"]) <= len(names) < 500


def test_without_splits_they_are_those_of_a_preparation(table, tmp_path) -> None:
    lines = [line.split(",") for line in table.read_text().splitlines()]
    rows = [
        ",".join((str(table.parent / path), label, group, start, end))
        for path, label, group, _, start, end in lines[1:]
    ]
    other = tmp_path / "videos.csv"
    other.write_text("\n".join(("path,label,group,start_seconds,end_seconds", *rows, "")))
    splits = {source.row.group: source.row.split for source in open_data(other).sources}
    assert sorted(splits.values()) == ["test", "train", "train", "train", "train", "train"]


def test_a_file_that_cannot_be_read_is_left_out_and_named(table, tmp_path) -> None:
    (tmp_path / "bad.avi").write_text("no video")
    text = table.read_text().replace("\n0.avi", "\nbad.avi")
    text = "\n".join(
        line if line.startswith(("path", "bad")) else f"{table.parent}/{line}"
        for line in text.splitlines()
    )
    (tmp_path / "videos.csv").write_text(text.replace("bad.avi,right,p0", "gone.avi,right,p0"))

    with pytest.warns(
        UnreadableWarning, match=r"left out 2 files: .*bad.avi: it is text.*gone.avi"
    ):
        files = open_data(tmp_path / "videos.csv")

    assert files.num_videos == {"train": 8, "test": 2}


def test_a_class_without_a_readable_video(tmp_path) -> None:
    write_video(tmp_path / "a.avi", np.zeros((5, 24, 32, 3), np.uint8), fps=10)
    (tmp_path / "videos.csv").write_text("path,label\na.avi,walk\nb.avi,run\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableWarning)
        with pytest.raises(DataError, match="a readable video of each class, got none of 'run'"):
            open_data(tmp_path / "videos.csv")


def test_one_class_only(table) -> None:
    single = table.with_name("single.csv")
    single.write_text(table.read_text().replace(",left,", ",right,"))
    assert list(open_data(single).class_names) == ["right"]
    with pytest.raises(DataError, match="expected two classes or more, got only 'right'"):
        train(RunConfig(data=str(single)), table.parent / "run")


def test_a_leak_is_refused(table, tmp_path) -> None:
    leaking = table.with_name("leaking.csv")
    leaking.write_text(table.read_text().replace("0.avi,left,p0,train", "0.avi,left,p0,test"))
    with pytest.raises(DataError, match="group 'p0' is in train and test.*'.*0.avi' is in train"):
        open_data(leaking)


def test_a_copy_in_another_split_is_refused(table, tmp_path) -> None:
    shutil.copyfile(table.with_name("0.avi"), tmp_path / "copy.avi")
    leaking = table.with_name("copies.csv")
    leaking.write_text(f"{table.read_text()}{tmp_path}/copy.avi,left,new,test,,\n")
    with pytest.raises(DataError, match=r"copy.avi \(test left\).* have the same content. Mend"):
        open_data(leaking)


def test_a_part_without_frames_ends_in_an_error_that_names_it(table, config) -> None:
    late = table.with_name("late.csv")
    late.write_text(
        table.read_text().replace("0.avi,right,p0,train,1.5,", "0.avi,right,p0,train,9,")
    )
    data = open_data(late)
    with (
        pytest.raises(DataError, match=r"0.avi: it has no frame from 9 s to its end"),
        damage_named(),
    ):
        list(evaluation_clips(data, dataclasses.replace(config), "train"))


def test_the_same_table_elsewhere_names_the_same_videos(table, tmp_path) -> None:
    here = open_data(table)
    shutil.copytree(table.parent, tmp_path / "moved")
    moved = tmp_path / "moved" / table.name
    for video in moved.parent.glob("*.avi"):
        video.touch()
    assert open_data(moved).fingerprint == here.fingerprint
    video = moved.parent / "3.avi"
    content = bytearray(video.read_bytes())
    content[-1] ^= 1
    video.write_bytes(content)
    assert open_data(moved).fingerprint != here.fingerprint


def test_neither_folder_nor_table(tmp_path) -> None:
    with pytest.raises(DataError, match="not a prepared data set"):
        open_data(tmp_path / "none")
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        open_data(tmp_path / "none.csv")
