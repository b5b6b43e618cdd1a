"""Training straight from files gives the clips of a prepared data set."""

import dataclasses
import shutil
import warnings

import numpy as np
import pytest

from pipeline.config import AugmentConfig, ClipConfig, RunConfig, TrainConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset import videos
from pipeline.dataset.clip_batches import evaluation_clips, training_batches
from pipeline.dataset.unprepared import UnreadableWarning, encode_part
from pipeline.dataset.videos import damage_named, open_data
from pipeline.errors import DataError
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import open_store
from pipeline.training.fit import train
from pipeline.video import write_video

COLUMNS = "path,label,group,split,start_seconds,end_seconds"
CONFIG = RunConfig(
    seed=3,
    clip=ClipConfig(num_frames=4, views=2),
    augment=AugmentConfig(flip=0.5),
    train=TrainConfig(batch_size=4),
)


def prepare_files(folder):
    """Twelve videos of six people, two of them parts of one file."""
    rng = np.random.default_rng(0)
    lines = [COLUMNS]
    (folder / "files").mkdir(parents=True)
    for person in range(6):
        frames = rng.integers(256, size=(30, 24, 32, 3), dtype=np.uint8)
        write_video(folder / "files" / f"{person}.avi", frames, fps=10, codec="FFV1")
        split = "test" if person == 5 else "train"
        lines.append(f"{person}.avi,left,p{person},{split},0,1.5")
        lines.append(f"{person}.avi,right,p{person},{split},1.5,")
    table = folder / "files" / "videos.csv"
    table.write_text("\n".join(lines) + "\n")
    out = str(folder / "store")
    prepare(PrepareConfig(source="csv", path=str(table), out=out, size=32, workers=1))


@pytest.fixture(scope="module")
def table(made):
    return made("files", prepare_files) / "files" / "videos.csv"


@pytest.fixture(scope="module")
def both(table):
    store = open_store(table.parents[1] / "store")
    return open_data(table, store.frames), store


def changed(table, tmp_path, *changes):
    """The table elsewhere, with other words."""
    head, *lines = table.read_text().splitlines()
    text = "\n".join([head, *(f"{table.parent}/{line}" for line in lines), ""])
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "videos.csv").write_text(text)
    return tmp_path / "videos.csv"


def test_clips_batches_and_what_is_known_of_videos_are_those_of_the_store(both, table):
    seen = 0
    clips = (evaluation_clips(data, CONFIG, "test", view=0) for data in both)
    for (inputs, label, source), (wanted, wanted_label, wanted_source) in zip(*clips, strict=True):
        for key in ("frames", "mask"):
            np.testing.assert_array_equal(inputs[key], wanted[key])
        np.testing.assert_array_equal(label, wanted_label)
        for key in ("video", "group"):
            np.testing.assert_array_equal(source[key], wanted_source[key])
        seen += len(label)
    assert seen == both[0].num_videos["test"]
    batches = [training_batches(data, CONFIG).take(6) for data in both]
    for (inputs, labels), (wanted, wanted_labels) in zip(*batches, strict=True):
        np.testing.assert_array_equal(inputs["frames"], wanted["frames"])
        np.testing.assert_array_equal(labels, wanted_labels)
    files, store = both
    assert files.path == table
    assert (files.class_names, files.num_videos) == (store.class_names, store.num_videos)
    assert dataclasses.replace(open_data(table).frames, size=32) == store.frames
    assert not files.leaks


@pytest.fixture
def decoded(monkeypatch):
    """The names of videos, each time that one is decoded."""
    names = []

    def count(source, frames):
        names.append(source.name)
        return encode_part(source, frames)

    monkeypatch.setattr(videos, "encode_part", count)
    return names


@pytest.mark.parametrize("num_bytes", [2**30, 0])
def test_videos_are_decoded_once_while_they_fit_into_memory(both, monkeypatch, decoded, num_bytes):
    monkeypatch.setattr(videos, "IN_MEMORY_BYTES", num_bytes)
    one_by_one = dataclasses.replace(CONFIG, train=TrainConfig(batch_size=1))
    assert len(list(training_batches(both[0], one_by_one).take(30))) == 30
    assert len(set(decoded)) == 10
    # Two threads may decode the same one at the same time.
    assert len(decoded) < 20 if num_bytes else len(decoded) >= 30


def test_no_videos_wait_in_memory_for_their_turn(table, tmp_path, decoded):
    """At 224 pixels, a thousand of them would take gigabytes."""
    path = f"{table.parent}/0.avi"
    lines = [f"{path},left,p0,train,{start / 300},{start / 300 + 1}" for start in range(300)]
    (tmp_path / "many.csv").write_text("\n".join([COLUMNS, *lines]))
    (inputs, _), *_ = training_batches(open_data(tmp_path / "many.csv"), CONFIG).take(1)
    assert len(inputs["mask"]) <= len(decoded) < 150


def test_a_file_that_cannot_be_read_is_left_out_and_named(table, tmp_path):
    (tmp_path / "bad.avi").write_text("no video")
    files = (("left", "bad"), ("right", "gone"))
    changes = ((f"{table.parent}/0.avi,{label},", f"{name}.avi,{label},") for label, name in files)
    other = changed(table, tmp_path, *changes)
    message = r"left out 2 files: .*bad.avi: it is text.*gone.avi"
    with pytest.warns(UnreadableWarning, match=message):
        files = open_data(other)
    assert files.num_videos == {"train": 8, "test": 2}
    # Without splits they are those of a preparation.
    other = changed(table, tmp_path, ("split,", ""), ("train,", ""), ("test,", ""))
    splits = {source.row.group: source.row.split for source in open_data(other).sources}
    assert sorted(splits.values()) == ["test", *["train"] * 5]


def test_a_class_without_a_readable_video_or_another_class_and_neither_folder_nor_table(
    tmp_path, table
):
    write_video(tmp_path / "a.avi", np.zeros((5, 24, 32, 3), np.uint8), fps=10)
    (tmp_path / "videos.csv").write_text("path,label\na.avi,walk\nb.avi,run\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableWarning)
        with pytest.raises(DataError, match="a readable video of each class, got none of 'run'"):
            open_data(tmp_path / "videos.csv")
    single = changed(table, tmp_path, (",left,", ",right,"))
    assert list(open_data(single).class_names) == ["right"]
    with pytest.raises(DataError, match="expected two classes or more, got only 'right'"):
        train(RunConfig(data=str(single)), tmp_path / "run")
    for name, message in (("x", "not a prepared data set"), ("x.csv", r"x\.csv: cannot be read")):
        with pytest.raises(DataError, match=message):
            open_data(tmp_path / name)


def test_leaks_are_refused_and_a_part_without_frames_is_named(table, tmp_path):
    leaking = changed(table, tmp_path, ("0.avi,left,p0,train", "0.avi,left,p0,test"))
    with pytest.raises(DataError, match="group 'p0' is in train and test.*'.*0.avi' is in train"):
        open_data(leaking)
    shutil.copyfile(table.with_name("0.avi"), tmp_path / "copy.avi")
    copies = changed(table, tmp_path, ("end_seconds\n", "end_seconds\ncopy.avi,left,new,test,,\n"))
    with pytest.raises(DataError, match=r"copy.avi \(test left\).* have the same content. Mend"):
        open_data(copies)
    late = changed(table, tmp_path, ("0.avi,right,p0,train,1.5,", "0.avi,right,p0,train,9,"))
    data = open_data(late)
    message = r"0.avi: it has no frame from 9 s to its end"
    with pytest.raises(DataError, match=message), damage_named():
        list(evaluation_clips(data, CONFIG, "train"))
    # The same table elsewhere names the same videos.
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
