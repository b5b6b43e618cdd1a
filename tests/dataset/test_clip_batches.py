"""Batches of clips. Each frame of the videos here says by its colour where it comes from."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, AugmentConfig, Change, ClipConfig, RunConfig, TrainConfig
from pipeline.dataset import clip_batches
from pipeline.dataset.augment.draw import draw
from pipeline.dataset.clip_batches import (
    augmented_clips,
    batches_to_fit,
    epoch_size,
    evaluation_batches,
    evaluation_clips,
    load_clips,
    training_batches,
)
from pipeline.dataset.order import Share
from pipeline.dataset.sampling import sample_clip
from pipeline.dataset.videos import damage_named
from pipeline.errors import DataError
from pipeline.frames.chunks import read_index, segment_file
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import open_prepared
from pipeline.video import write_video
from tests.prepare.people import configure
from tests.prepare.recordings import prepare_greys

# Stored frames of each video by its number, which is also its group; a clip has 6.
LENGTHS = {0: 3, 1: 9, 2: 14, 3: 20, 4: 1, 5: 6, 6: 24, 7: 11, 8: 17, 9: 13}
TEST_LENGTHS = {10: 4, 11: 15, 12: 6, 13: 1, 14: 22}
BLACK = 20
CONFIG = RunConfig(
    clip=ClipConfig(num_frames=6, views=2),
    augment=NO_AUGMENT,
    train=TrainConfig(batch_size=4),
)
MIXING = dataclasses.replace(NO_AUGMENT, mixup=Change(probability=0.5, strength=0.8))


def coloured(video, length):
    """Red is ten times the number of the video, green ten times that of the frame."""
    frames = np.full((length, 16, 16, 3), 55, np.uint8)
    frames[..., 0] = 10 * video + 5
    frames[..., 1] = 10 * np.arange(length)[:, None, None] + 5
    return frames


def addresses(frames):
    """Numbers (..., 2) of video and frame that the colours say."""
    return (np.asarray(frames)[..., :2].mean(axis=(-3, -2)) // 10).astype(int)


def prepare_coloured(root):
    videos = {v: coloured(v, length) for v, length in {**LENGTHS, **TEST_LENGTHS}.items()}
    videos[BLACK] = np.zeros((4, 16, 16, 3), np.uint8)
    for number, frames in videos.items():
        path = root / "videos" / ("even", "odd")[number % 2] / f"{number:02d}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames, fps=10, codec="FFV1")
    named = {"group_regex": r"(\d+)\.avi", "test_groups": tuple(map(str, (*TEST_LENGTHS, BLACK)))}
    config = configure(root / "videos", root / "store", **named, val_fraction=0, fps=10)
    prepare(config)


@pytest.fixture(scope="module")
def store(made):
    return open_prepared(made("coloured", prepare_coloured) / "store")


def configured(**changes):
    return dataclasses.replace(CONFIG, **changes)


def augmented(**changes):
    return configured(augment=dataclasses.replace(NO_AUGMENT, **changes))


def training_clips(store, config, epochs):
    """(epoch, video, frames, mask, label) of each clip, in the order of training."""
    clips = training_batches(store, config).unbatch().take(epochs * len(LENGTHS))
    return [
        (position // len(LENGTHS), int(addresses(inputs["frames"])[0, 0]), inputs, int(label))
        for position, (inputs, label) in enumerate(clips.as_numpy_iterator())
    ]


def test_labelled_clips_in_one_call(blob_store, made):
    recordings = open_prepared(made("grey recordings", prepare_greys) / "store")
    for store, shape, number in ((blob_store, (), 16), (recordings, (6, 3), 43)):
        batches = list(load_clips(store.path, "test", num_frames=6, batch_size=5))
        for inputs, label in batches:
            side = store.frames.size
            assert inputs["frames"].shape == (*inputs["mask"].shape, side, side, 3)
            assert label.shape == (len(inputs["mask"]), *shape)
        assert sum(len(label) for _, label in batches) == number
        (inputs, _), *_ = load_clips(store.path, batch_size=2, augmented=True).take(30)
        assert inputs["mask"].shape == (2, 16)
    with pytest.raises(DataError, match="expected a split of train, test, got val"):
        load_clips(recordings.path, "val")


def test_contract_of_a_batch(store):
    all_at_once = training_batches(store, configured(train=TrainConfig(batch_size=64))).take(1)
    evaluated = evaluation_batches(store, CONFIG, "test")
    for batches, wanted in ((all_at_once, [10]), (evaluated, [4, 2])):
        for (inputs, label), size in zip(batches, wanted, strict=True):
            frames, mask = inputs["frames"], inputs["mask"].numpy()
            assert (frames.dtype, mask.dtype, label.dtype) == (np.uint8, np.bool_, np.int64)
            assert (frames.shape, mask.shape) == ((size, 6, 16, 16, 3), (size, 6))
            assert label.shape == (size,)
            assert mask[:, 0].all()
            assert (mask[:, :-1] >= mask[:, 1:]).all(), "a real frame after padding"
        inputs, label = batches.element_spec
        assert inputs["frames"].shape[1:] == (6, 16, 16, 3), "models know it in advance"
        assert inputs["mask"].shape[1:] == (6,)
        assert label.shape.rank == 1
        # So that a reader that is given up ends at once.
        assert batches.options().autotune.enabled is False
    assert [len(label) for _, label in training_batches(store, CONFIG).take(3)] == [4] * 3


def test_every_epoch_shows_each_training_video_once_with_its_frames_in_order(store):
    clips = training_clips(store, CONFIG, epochs=3)
    orders = [[video for epoch, video, *_ in clips if epoch == wanted] for wanted in range(3)]
    assert [sorted(order) for order in orders] == [sorted(LENGTHS)] * 3
    assert len(set(map(tuple, orders))) == 3, "a new order in each epoch"
    for _, video, inputs, label in clips:
        assert label == video % 2
        videos, frames = addresses(inputs["frames"]).T
        assert (videos == video).all()
        assert inputs["mask"].sum() == min(LENGTHS[video], 6)
        assert (np.diff(frames[inputs["mask"]]) >= 0).all()
    # A clip is changed as a whole, and otherwise than the next.
    clips = training_clips(store, augmented(brightness=Change(strength=0.1)), 1)
    blue = np.array([inputs["frames"][..., 2] for *_, inputs, _ in clips])
    assert (np.ptp(blue.reshape(len(LENGTHS), -1).astype(int), axis=1) <= 4).all()
    assert len(set(blue[:, 0, 0, 0].tolist())) > len(LENGTHS) / 2


EVERYTHING = AugmentConfig(
    flip_labels=(("even", "odd"),),
    translate=Change(strength=0.2),
    saturation=Change(strength=1),
    noise=Change(strength=0.1),
    erase=Change(strength=0.5),
    speed=Change(strength=0.5),
    drop_frames=Change(strength=0.5),
    reverse=0.5,
    reverse_labels=(("even", "even"),),
)


def unshuffled_order(labels, **_):
    return lambda _: np.arange(len(labels))


def test_a_changed_clip_depends_on_seed_epoch_and_video_alone(store, monkeypatch):
    """In whatever order, and whichever the others are: in a fixed one, one by one, too."""
    config = configured(augment=EVERYTHING)

    def as_bytes(inputs, label):
        return np.array(inputs["frames"]).tobytes(), np.array(inputs["mask"]).tobytes(), int(label)

    def trained():
        return [
            (epoch, *as_bytes(inputs, label))
            for epoch, _, inputs, label in training_clips(store, config, epochs=2)
        ]

    shuffled = trained()
    monkeypatch.setattr(clip_batches, "TrainingOrder", unshuffled_order)
    unshuffled = trained()
    alone = [
        (epoch, *as_bytes(*clip))
        for epoch in range(2)
        for clip in augmented_clips(store, config, epoch=epoch)
    ]
    assert shuffled != unshuffled
    assert sorted(shuffled) == sorted(unshuffled) == sorted(alone)
    assert len(set(alone)) == 2 * len(LENGTHS)
    reseeded = augmented_clips(store, dataclasses.replace(config, seed=1), epoch=0)
    assert [(0, *as_bytes(*clip)) for clip in reseeded] != alone[: len(LENGTHS)]


def test_only_classes_that_may_run_backwards_and_with_the_other_label(store):
    for share, pair, wanted in (
        (1.0, ("odd", "odd"), {(0, 0, False), (1, 1, True)}),
        (0.5, ("even", "odd"), {(0, 0, False), (0, 1, True), (1, 1, False), (1, 0, True)}),
    ):
        seen, config = set(), augmented(reverse=share, reverse_labels=(pair,))
        for _, video, inputs, label in training_clips(store, config, 2):
            if LENGTHS[video] > 1:
                frames = addresses(inputs["frames"])[inputs["mask"], 1]
                backwards = frames[0] > frames[-1]
                assert (np.sort(frames)[:: -1 if backwards else 1] == frames).all()
                seen.add((video % 2, label, backwards))
        assert seen == wanted
    # Speed and frames that are left out reach the clips.
    for change, wanted in (("speed", {6}), ("drop_frames", {3, 4, 5, 6})):
        config = augmented(**{change: Change(strength=0.6)})
        spans, counts = set(), set()
        for _, video, inputs, _ in training_clips(store, config, 4):
            if LENGTHS[video] > 12:
                frames = addresses(inputs["frames"])[inputs["mask"], 1]
                spans.add((frames[-1] - frames[0]) / LENGTHS[video])
                counts.add(len(frames))
        assert counts == wanted
        assert change != "speed" or min(spans) < 0.5
    # A mirrored clip gets the other label of its pair.
    config = augmented(flip=0.5, flip_labels=(("even", "odd"),))
    clips = augmented_clips(store, CONFIG, epoch=0)
    kept, order = set(), [int(addresses(inputs["frames"])[0, 0]) for inputs, _ in clips]
    for epoch, video, _, label in training_clips(store, config, epochs=4):
        kept.add(label == video % 2)
        # The draw alone tells which are mirrored: these videos are the same in the mirror.
        rng = np.random.default_rng((CONFIG.seed, epoch, order.index(video)))
        assert draw(config.augment, 16, rng).mirrored == (label != video % 2)
    assert kept == {True, False}
    plain = augmented(flip=0.5)
    assert all(label == video % 2 for _, video, _, label in training_clips(store, plain, 2))


def evaluation_addresses(store, config=CONFIG, **kwargs):
    """The numbers of the real frames by video, of clips of the videos that are not black."""
    clips = evaluation_clips(store, config, "test", **kwargs).unbatch().as_numpy_iterator()
    found = {}
    for inputs, _, source in clips:
        if source["group"] != str(BLACK).encode():
            videos, frames = addresses(inputs["frames"]).T
            assert (videos == int(source["group"])).all()
            found[videos[0]] = frames[inputs["mask"]].tolist()
    return found


def test_every_video_of_a_split_comes_once_in_a_fixed_order(store):
    names, numbers = [], []
    for inputs, labels, source in evaluation_clips(store, CONFIG, "test"):
        groups = source["group"].numpy().astype(int)
        np.testing.assert_array_equal(labels, groups % 2)
        names += source["video"].numpy().astype(str).tolist()
        numbers += groups.tolist()
        for place in np.flatnonzero(groups == BLACK):
            assert not inputs["frames"][place].numpy().any()
            assert inputs["mask"][place].numpy().tolist() == [True] * 4 + [False] * 2
    assert sorted(numbers) == [*TEST_LENGTHS, BLACK]
    assert names == [f"{('even', 'odd')[number % 2]}/{number}.avi" for number in numbers]
    again = [source["video"] for *_, source in evaluation_clips(store, CONFIG, "test")]
    assert np.concatenate(again).astype(str).tolist() == names
    assert evaluation_batches(store, CONFIG, "test").cardinality() == 2
    # Views and orders are those of the sampling.
    for view in (0, 1):
        clips = {video: sample_clip(n, CONFIG.clip, view=view) for video, n in TEST_LENGTHS.items()}
        expected = {video: indices[mask].tolist() for video, (indices, mask) in clips.items()}
        assert evaluation_addresses(store, view=view) == expected
    orders = ("in_order", "reversed", "shuffled", "shuffled")
    plain, reversed_, shuffled, again = (evaluation_addresses(store, order=o) for o in orders)
    other = evaluation_addresses(store, configured(seed=1), order="shuffled")
    assert reversed_ == {video: frames[::-1] for video, frames in plain.items()}
    assert {video: sorted(frames) for video, frames in shuffled.items()} == plain
    assert shuffled == again
    assert all(shuffled[video] != plain[video] for video in (11, 14))
    orders = (np.argsort(found[video]) for found in (shuffled, other) for video in (11, 14))
    assert len({tuple(order) for order in orders}) == 4, "depends on seed and video"


def spoil(store, keep):
    """Replaces the frames of test videos by garbage, but for those that `keep` leaves."""
    for clip in store.of_split("test"):
        index = read_index(store.frames_folder, clip.frames)
        file = segment_file(store.frames_folder, clip.frames, 0)
        content = bytearray(file.read_bytes())
        for number in set(range(clip.num_frames)) - {*keep(clip.num_frames)}:
            start, length, _ = index.entries[number, 0].tolist()
            content[start : start + length] = b"?" * length
        file.write_bytes(content)


@pytest.fixture
def copied(store, tmp_path):
    return open_prepared(shutil.copytree(store.path, tmp_path / "copy"))


def test_only_the_frames_of_the_clip_are_decoded_and_no_video_is_read_for_the_order(store, copied):
    spoil(copied, lambda length: sample_clip(length, CONFIG.clip)[0])
    assert evaluation_addresses(copied) == evaluation_addresses(store)
    spoil(copied, lambda length: range(1, length))
    with pytest.raises(DataError, match="damaged"), damage_named():
        list(evaluation_clips(copied, CONFIG, "test"))
    # Labels, and all else that the order takes, are in the manifest.
    for file in copied.frames_folder.glob("*.tfrecord-*"):
        file.write_bytes(bytes(file.stat().st_size))
    balanced = configured(train=TrainConfig(batch_size=5, balanced=True))
    batches = iter(training_batches(copied, balanced, first_step=1000))
    with pytest.raises(DataError, match=r"clipline-.*: damaged\."), damage_named():
        next(batches)


@pytest.fixture(scope="module")
def uneven(store):
    """In training are the five even videos and two odd ones."""
    rows = (
        dataclasses.replace(row, split="test") if int(row.group) in (1, 3, 5) else row
        for row in store.manifest.rows
    )
    return store.with_rows(tuple(rows))


def test_balanced_epochs_show_each_class_as_often_in_other_clips(uneven):
    config = configured(train=TrainConfig(batch_size=5, balanced=True))
    assert epoch_size(uneven, config) == 10
    clips = training_batches(uneven, config).unbatch().take(40).as_numpy_iterator()
    frames = [inputs["frames"] for inputs, _ in clips]
    shown = np.array([addresses(clip)[0, 0] for clip in frames]).reshape(4, 10)
    for epoch, videos in enumerate(shown.astype(int)):
        counts = {video: int((videos == video).sum()) for video in (0, 2, 4, 6, 7, 8, 9)}
        assert {counts[video] for video in (0, 2, 4, 6, 8)} == {1}
        assert sorted([counts[7], counts[9]]) == [2, 3], epoch
        again = [frames[10 * epoch + place].tobytes() for place in np.flatnonzero(videos == 9)]
        assert len(set(again)) == len(again)
    assert (shown == 7).sum() == (shown == 9).sum() == 10
    # A training that goes on sees what it would have seen.
    config = configured(augment=AugmentConfig(), train=TrainConfig(batch_size=4, balanced=True))
    whole = list(training_batches(uneven, config).take(12).as_numpy_iterator())
    for first in (1, 9):
        rest = training_batches(uneven, config, first_step=first).take(3).as_numpy_iterator()
        for (inputs, labels), (wanted, others) in zip(rest, whole[first:], strict=False):
            np.testing.assert_array_equal(inputs["frames"], wanted["frames"])
            np.testing.assert_array_equal(labels, others)


def test_a_data_set_that_is_prepared_anew_or_deleted_stays_the_same_or_is_missed(store, tmp_path):
    data = open_prepared(shutil.copytree(store.path, tmp_path / "store"))
    assert data.is_current
    (data.path / "manifest.csv").write_text("other videos")
    os.utime(data.path / "prepare.json")
    assert not data.is_current

    def expect_same():
        clips = (evaluation_clips(each, CONFIG, "test") for each in (data, store))
        for found, wanted in zip(*clips, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, found, wanted)

    expect_same()
    shutil.rmtree(data.path)
    expect_same()  # They were read, and are held open.
    with pytest.raises(DataError, match=r"^/.*store/.*missing or damaged. Run"), damage_named():
        next(iter(evaluation_clips(data, CONFIG, "train")))


@pytest.mark.parametrize("augment", [NO_AUGMENT, MIXING])
def test_shares_are_together_the_batch(store, augment):
    train = dataclasses.replace(CONFIG.train, class_weights=augment is MIXING)
    config = configured(augment=augment, train=train)
    whole, first, second = (
        batches_to_fit(store, config, first_step=3, share=share).take(4)
        for share in (Share(), Share(0, 2), Share(1, 2))
    )
    for batches in zip(whole, first, second, strict=True):
        expected, *parts = (tf.nest.flatten(batch) for batch in batches)
        assert {len(part[0]) for part in parts} == {2}
        for all_of_it, *shares in zip(expected, *parts, strict=True):
            np.testing.assert_allclose(all_of_it, np.concatenate(shares))


def test_a_share_is_given_in_pieces_for_its_devices(store):
    whole = batches_to_fit(store, CONFIG).take(3)
    pieces = iter(batches_to_fit(store, CONFIG, share=Share(0, 1, 2)))
    for inputs, targets in whole:
        for rows in (slice(0, 2), slice(2, 4)):
            piece, those = next(pieces)
            np.testing.assert_array_equal(piece["frames"], inputs["frames"][rows])
            np.testing.assert_array_equal(those, targets[rows])
    # What it has no use for is not read.
    config = augmented(mixup=Change(probability=1e-9, strength=0.8))
    whole, share = (
        next(iter(training_batches(store, config, share=share)))[0]["frames"].numpy()
        for share in (Share(), Share(1, 2))
    )
    np.testing.assert_array_equal(share[2:], whole[2:])
    assert whole[:2].min() > 0
    assert share[:2].max() == 0
