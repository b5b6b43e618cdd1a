"""Stretches of recordings: what is read of them."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import NO_AUGMENT, AugmentConfig, Change, ClipConfig, ModelConfig, RunConfig
from pipeline.config.file import load_config
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.clip_batches import (
    augmented_clips,
    chance,
    epoch_size,
    evaluation_clips,
    training_batches,
)
from pipeline.dataset.recordings import around_pieces, windows_of
from pipeline.dataset.records import recording_labels
from pipeline.dataset.videos import open_of_run, video_reader
from pipeline.errors import ConfigError
from pipeline.manifest.annotation import UNKNOWN_LABEL
from pipeline.prepare.preparation import prepare
from pipeline.video import write_video

LENGTHS = {"a": 300, "b": 130, "c": 20}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Recordings of which each frame is one grey, and a class that holds at each tenth frame."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "videos").mkdir()
    lines = ["video,start_seconds,end_seconds,label,split"]
    for name, length in LENGTHS.items():
        greys = np.arange(length) % 50 * 5
        frames = np.repeat(greys, 16 * 16 * 3).reshape(length, 16, 16, 3).astype(np.uint8)
        write_video(root / "videos" / f"{name}.avi", frames, fps=10, codec="FFV1")
        split = "test" if name == "b" else "train"
        lines += [f"{name}.avi,{t / 10},{t / 10 + 0.1},tick,{split}" for t in range(0, length, 10)]
    (root / "events.csv").write_text("\n".join(lines))
    config = PrepareConfig(
        source="events",
        path=str(root / "events.csv"),
        videos=str(root / "videos"),
        out=str(root / "out"),
        fps=10,
        size=16,
        workers=1,
    )
    return prepare(config).store


def configure(store, **clip):
    clip = {"num_frames": 16, "sampling": "dense", "stride": 1, "views": 1, **clip}
    config = RunConfig(
        data=str(store.path),
        clip=ClipConfig(**clip),
        model=ModelConfig(streams=("rgb",)),
        augment=NO_AUGMENT,
    )
    return open_of_run(config)[0]


def greys_of(inputs):
    return inputs["frames"].numpy()[..., 8, 8, 0].astype(int)


def test_the_task_is_that_of_the_data_set(store):
    config = configure(store)
    assert (config.model.task, config.model.background) == ("frames", "background")
    with pytest.raises(ConfigError, match=r"of recordings; .*\(--config recordings\)"):
        open_of_run(dataclasses.replace(config, model=ModelConfig(task="video")))
    with pytest.raises(ConfigError, match="frames in a row: --config recordings"):
        open_of_run(RunConfig(data=str(store.path)))


@pytest.mark.parametrize("preset", ["small", "recordings"])
def test_a_video_is_no_recording(blob_store, preset):
    """Whatever else does not go together: it is said first."""
    config = load_config(preset, {"data": str(blob_store.path), "model.task": "frames"})
    match = r"of videos with one label each: it is for video \(--config small\)"
    with pytest.raises(ConfigError, match=match):
        open_of_run(config)


def test_the_preset_for_recordings_says_what_videos_take(blob_store):
    config = load_config("recordings", {"data": str(blob_store.path)})
    with pytest.raises(ConfigError, match="^temporal.stages is for recordings.*--config small"):
        open_of_run(config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("temporal.kind", "mean", "takes a temporal.kind that tells frames apart"),
        ("clip.short", "loop", "takes clip.short mask"),
    ],
)
def test_what_does_not_answer_at_every_frame_is_refused(store, key, value, message):
    values = {"temporal.stages": 1, "data": str(store.path), "model.streams": ["rgb"], key: value}
    with pytest.raises(ConfigError, match=f"task frames {message}"):
        open_of_run(load_config("recordings", values))


@pytest.mark.parametrize(("length", "stride"), [(16, 1), (5, 3), (64, 4)])
def test_stretches_hold_any_window_that_meets_their_record(store, length, stride):
    config = configure(store, num_frames=length, stride=stride)
    records = store.of_split("train")
    reach = (length - 1) * stride
    place = 0
    stretches = around_pieces(records, config)
    for record in records:
        first = 0
        for piece in record.pieces:
            found = stretches[place]
            assert found.first == max(0, first - reach)
            last = min(record.num_frames, first + piece.num_frames + reach)
            assert found.first + found.num_frames == last
            first += piece.num_frames
            place += 1
    assert place == len(stretches) == epoch_size(store, config)


def test_a_slower_clip_reaches_further(store):
    config = configure(store)
    augment = AugmentConfig(speed=Change(strength=0.5))
    slower = dataclasses.replace(config, augment=augment)
    one, other = (around_pieces(store.of_split("train"), each) for each in (config, slower))
    assert max(each.num_frames for each in other) > max(each.num_frames for each in one)


def test_what_is_read_of_a_stretch_are_its_frames_and_labels(store):
    config = configure(store, num_frames=150)
    read, number = video_reader(store, "test", config, at_random=False)
    (stretch,) = windows_of(store.of_split("test"), config)
    assert (number, stretch.num_records) == (1, 2)
    found = read(0)
    assert found["num_frames"] == len(found["frames"]) == 130
    np.testing.assert_array_equal(found["label"], recording_labels(store, "test")[0])


@pytest.mark.parametrize(("length", "stride"), [(16, 1), (16, 3), (200, 1)])
def test_windows_of_evaluation_show_their_frames_with_their_labels(store, length, stride):
    config = configure(store, num_frames=length, stride=stride)
    (truth,) = recording_labels(store, "test")
    seen = set()
    for inputs, labels, source in evaluation_clips(store, config, "test"):
        for row, first in enumerate(source["first_frame"].numpy()):
            mask = inputs["mask"][row].numpy()
            frames = first + (stride - 1) // 2 + np.arange(length)[mask] * stride
            greys = greys_of(inputs)[row][mask]
            np.testing.assert_allclose(greys, frames % 50 * 5, atol=2)
            np.testing.assert_array_equal(labels[row][mask], truth[frames])
            assert (labels[row].numpy()[~mask] == UNKNOWN_LABEL).all()
            seen |= set(frames.tolist())
    assert seen == set(range((stride - 1) // 2, LENGTHS["b"], stride))


def test_labels_of_training_follow_their_frames(store):
    changes = {"speed": Change(strength=0.4), "drop_frames": Change(strength=0.3)}
    augment = AugmentConfig(
        **changes,
        flip=0.5,
        brightness=Change(),
        contrast=Change(),
        **dict.fromkeys(("crop", "scale", "rotation"), Change()),
    )
    config = dataclasses.replace(configure(store), augment=augment)
    tick = store.class_names.index("tick")
    for epoch in range(4):
        for inputs, labels in augmented_clips(store, config, epoch=epoch):
            mask = inputs["mask"].numpy()
            # Each tenth frame has a grey of its own, as has each frame of fifty.
            is_tick = np.rint(greys_of(inputs) / 5)[mask] % 10 == 0
            np.testing.assert_array_equal(labels.numpy()[mask][:, tick], is_tick)
            assert (labels.numpy()[~mask] == UNKNOWN_LABEL).all()


def test_all_frames_are_trained_on(store):
    config = configure(store)
    seen = {
        (int(inputs["mask"][row].numpy().sum()), int(grey))
        for inputs, _ in training_batches(store, config).take(30)
        for row in range(len(inputs["mask"]))
        for grey in np.rint(greys_of(inputs)[row] / 5)
    }
    assert {grey for _, grey in seen} == set(range(50))


def test_rare_classes_are_shown_more_often(store):
    config = configure(store)
    balanced = dataclasses.replace(config.train, balanced=True)
    assert epoch_size(store, config) == 4
    # Each of their records has both classes: none is rarer.
    assert epoch_size(store, dataclasses.replace(config, train=balanced)) == 4


def test_chance_is_the_share_of_the_most_frequent_class(store):
    assert chance(store, configure(store)) == pytest.approx(0.9, abs=0.01)
