"""What is stored of frames and what the network sees of it: pictures, and key points."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import FramesConfig, ModelConfig
from pipeline.config.file import load_config
from pipeline.errors import ConfigError, DataError
from pipeline.models.recognizer import build_recognizer
from pipeline.pose import Poses
from pipeline.pose.skeleton import MIRRORED, PARTS, POINTS
from pipeline.streams import IMAGES, STREAMS, Shown, StoredImage, Stream
from pipeline.streams.pose import point_shares
from pipeline.streams.pose_points import highest_flags

SIZE = 24
SMALL = FramesConfig(size=SIZE)
PICTURES = {name: each for name, each in IMAGES.items() if isinstance(each, StoredImage)}
IMAGE = pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
SIGHTS = {name: each for name, each in STREAMS.items() if each.is_picture}
EACH_STREAM = pytest.mark.parametrize("stream", SIGHTS.values(), ids=SIGHTS)


@pytest.fixture
def frames():
    """A square that moves by two pixels a frame, uint8 (5, SIZE, SIZE, 3)."""
    rng = np.random.default_rng(0)
    shown = np.full((5, SIZE, SIZE, 3), 60, np.uint8)
    square = rng.integers(90, 256, (9, 9, 3), np.uint8)
    for number, frame in enumerate(shown):
        frame[6:15, 3 + 2 * number : 12 + 2 * number] = square
    return shown


def stored(image, frames):
    before = [None, *frames[:-1]]
    return [image.encode(f, b, quality=95) for f, b in zip(frames, before, strict=True)]


def seen(stream, images, dtype="float32"):
    """What a stream sees of images uint8 (T, H, W, 3)."""
    return np.array(tf.cast(stream.see(tf.cast(images[None], dtype), 2.0), "float32"))[0]


def test_the_frames_come_first_and_are_always_there():
    first, *others = IMAGES
    assert first == "frames"
    assert FramesConfig().images == ("frames",)
    assert FramesConfig(flow=True).images == ("frames", "flow")
    assert FramesConfig(flow=True).only(["frames"]) == FramesConfig()
    assert FramesConfig().only(["flow"]) == FramesConfig(flow=True)
    for name in others:  # Each has a setting of its name.
        assert not getattr(FramesConfig(), name)
        for frames in (FramesConfig(), FramesConfig(flow=True, pose=3)):
            assert frames.only([name]).images == ("frames", name)
    assert ModelConfig(streams=("flow",)).images == ("flow",)
    assert ModelConfig(streams=("flow", "rgb_difference", "rgb")).images == ("frames", "flow")
    assert {type(each) for each in STREAMS.values()} == set(Stream.__subclasses__()), "all listed"


@IMAGE
def test_tensorflow_decodes_the_pixels_of_numpy_also_where_they_shrink(image, frames):
    jpegs = stored(image, frames)
    wanted = np.stack([image.decode(jpeg) for jpeg in jpegs])
    found = image.decode_tensors(tf.constant(jpegs), SMALL)
    np.testing.assert_array_equal(found, wanted)
    assert found.shape == (5, SIZE, SIZE, 3)
    plain = tf.io.decode_jpeg(jpegs[0])
    assert tuple(plain.shape) == image.jpeg_shape(SIZE)
    with pytest.raises(DataError, match="expected the bytes of a JPEG image"):
        image.decode(b"")
    assert image.is_motion == bool((wanted[0] == image.still(wanted[1])).all()), "the first image"
    assert image.is_motion == bool((image.still(wanted[1]) != wanted[1]).any())
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(3, 6, 6, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    jpegs = stored(image, frames)
    whole = np.stack([image.decode(jpeg) for jpeg in jpegs]).astype(float)
    for shrink in (2, 4, 8):
        shown, side = FramesConfig(size=48, shrink=shrink), 48 // shrink
        found = image.decode_tensors(tf.constant(jpegs), shown)
        wanted = np.stack([image.decode(jpeg, shown) for jpeg in jpegs])
        np.testing.assert_array_equal(found, wanted)
        assert wanted.shape[1:] == image.shape(shown) == (side, side, 3)
        means = whole.reshape(3, side, shrink, side, shrink, 3).mean((2, 4))
        assert np.abs(means - wanted).mean() < 12


@IMAGE
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_an_image_turns_as_the_video_does(image, frames, mirrored, backwards):
    """Of frames turned first, an image shows what the turned image does."""
    step = -1 if backwards else 1
    shown = frames[::step, :, ::-1] if mirrored else frames[::step]
    shown = np.ascontiguousarray(shown)
    wanted = image.decode(image.encode(shown[3], shown[2], quality=100)).astype(float)
    # Backwards, the frames are the other way round, and motion leads to the one that was before.
    place = (2 if image.is_motion else 1) if backwards else 3
    plain = image.decode(image.encode(frames[place], frames[place - 1], quality=100))
    found = image.turned(tf.constant(plain[None]), mirrored=mirrored, backwards=backwards)
    moves = np.abs(wanted[..., :2].mean((0, 1)) - 128)
    error = np.abs(np.array(found)[0].mean((0, 1)) - wanted.mean((0, 1)))
    assert error.max() < 0.25 * moves.max()


def test_the_strongest_motion_never_wraps_around():
    extremes = tf.constant([[[[128, 0, 7], [255, 1, 9]]]], tf.uint8)
    for mirrored, backwards, wanted in (
        (False, True, [[128, 255, 7], [1, 255, 9]]),
        (True, False, [[1, 1, 9], [128, 0, 7]]),
        (True, True, [[255, 255, 9], [128, 255, 7]]),
    ):
        found = IMAGES["flow"].turned(extremes, mirrored=mirrored, backwards=backwards)
        np.testing.assert_array_equal(found, [[wanted]])


@EACH_STREAM
def test_a_stream_says_what_it_depends_on(stream, frames):
    images = np.stack([stream.image.decode(jpeg) for jpeg in stored(stream.image, frames)])
    whole = seen(stream, images)
    assert whole.shape == (5, SIZE, SIZE, stream.channels)
    alone = seen(stream, images[2:3])[0]
    assert stream.needs_frame_before == bool((alone != whole[2]).any())
    # The first frame of a clip that stands still looks the same to motion in any video.
    still = [stream.image.still(each)[None] for each in (frames[0], frames[0] // 2)]
    looks = [seen(stream, each) for each in still]
    assert stream.is_motion == bool((looks[0] == looks[1]).all())
    # Half precision sees small differences.
    levels = np.array([128, 200, 203], np.uint8).reshape(3, 1, 1, 1).repeat(3, axis=-1)
    half = seen(stream, levels, "bfloat16")
    np.testing.assert_allclose(half, seen(stream, levels), rtol=2**-7)


# Key points as a stream of the network.

SIDES = ("left", "right")
POSE = IMAGES["pose"]
STREAM = STREAMS["pose"]
FRAMES = FramesConfig(fps=10, size=32, jpeg_quality=95, pose=2)


@pytest.fixture
def points():
    """Two people, of whom the second one comes later, float32 (5, 2, 33, 7)."""
    rng = np.random.default_rng(0)
    found = rng.normal(0, 0.1, (5, 2, 33, 7)).astype(np.float32)
    found[:, 0, :, 0] -= 0.4
    found[:, 1, :, 0] += 0.4
    found[..., 2] = rng.uniform(0, 1, (5, 2, 33))
    found[..., 6] = 0.9
    found[:2, 1] = 0
    return found.astype(np.float16).astype(np.float32)


NAMES = ("nose", "earL", "earR", "tail")
TABLE = dataclasses.replace(FRAMES, key_points=NAMES)


@pytest.fixture
def animals(points):
    """Two animals of four points, of whom the second one comes later, float32 (5, 2, 4, 5)."""
    found = points[:, :, :4, [0, 1, 2, 3, 6]]
    found[..., 2] = 0.2 + 0.8 * found[..., 2]
    found[..., 3] = 0.1
    found[:2, 1] = 0
    return found


class Estimator:
    """Says that one person is where the picture is brightest."""

    def __init__(self, *_, max_people):
        self._people = max_people

    def __call__(self, frame):
        height, width = frame.shape[:2]
        y, x = np.unravel_index(frame[..., 0].argmax(), (height, width))
        points = np.zeros((self._people, 33, 6), np.float32)
        points[0] = 0.5
        points[0, :, :2] = (x + 0.5) / width, (y + 0.5) / height
        points[1:] = 7  # where nobody is, it does not matter
        return Poses(points, np.array([0.75] + [0] * (self._people - 1), np.float32))


@pytest.fixture
def encode(monkeypatch):
    monkeypatch.setattr("pipeline.pose.PoseEstimator", Estimator)
    monkeypatch.setattr("pipeline.streams.pose_points._networks", lambda: ())
    return POSE.encoder(FRAMES)


@pytest.mark.parametrize(("height", "width"), [(40, 80), (60, 30), (1000, 2000)])
def test_points_are_in_heights_of_the_frame_from_its_centre(encode, height, width):
    whole = np.zeros((height, width, 3), np.uint8)
    tenth = height // 10
    whole[tenth : 2 * tenth, -tenth:] = 255
    small = np.zeros((32, 32, 3), np.uint8)
    decoded = POSE.decode(encode(Shown(small, whole), None), FRAMES)
    assert decoded.shape == POSE.shape(FRAMES) == (2, 33, 7)
    x, y = decoded[0, 5, :2]
    assert x == pytest.approx(width / height / 2 - 0.1, abs=0.1)
    assert y == pytest.approx(-0.4, abs=0.1)
    np.testing.assert_allclose(decoded[0, :, 2:], [[0.5, 0.5, 0.5, 0.5, 0.75]] * 33)
    assert not decoded[1].any()


def test_tensorflow_decodes_what_numpy_does(points, animals):
    encode, small = POSE.encoder(TABLE), np.zeros((32, 32, 3), np.uint8)
    of_people = [each.astype(np.float16).tobytes() for each in points]
    of_animals = [encode(Shown(small, points=each), None) for each in animals]
    assert POSE.shape(TABLE) == (2, 4, 5)
    for data, frames, wanted in ((of_people, FRAMES, points), (of_animals, TABLE, animals)):
        found = np.stack([POSE.decode(each, frames) for each in data])
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(POSE.decode_tensors(tf.constant(data), frames), wanted)
        assert highest_flags(data, frames) == pytest.approx([0.9] * 5, abs=1e-3)
        assert POSE.needs_whole(frames) == (frames is FRAMES)
    with pytest.raises(DataError, match="expected key points of people"):
        POSE.decode(b"abc", FRAMES)
    with pytest.raises(ConfigError, match="this run takes key points from tables"):
        encode(Shown(small), None)


MIRROR, LARGER = (-1, 0, 63, 0, 1, 0), (0.5, 0, 15.75, 0, 0.5, 15.75)


def moved(points, *transform, names=()):
    full = tf.constant([*transform, 0, 0], tf.float32)
    return POSE.moved(tf.constant(points), full, tf.constant(64), names).numpy()


def test_points_move_as_the_picture_does_and_change_places_in_a_mirror(points, animals):
    """As do people in their order."""
    signs = np.float32([-1, 1, 1, -1, 1, 1, 1])
    mirrored = moved(points, *MIRROR)
    np.testing.assert_allclose(mirrored, points[:, ::-1, list(MIRRORED)] * signs, atol=1e-6)
    np.testing.assert_allclose(moved(mirrored, *MIRROR), points, atol=1e-6)
    alone = points * np.array([1, 0], np.float32)[:, None, None]
    wanted = alone[:, :, list(MIRRORED)] * signs
    np.testing.assert_allclose(moved(alone, *MIRROR), wanted, atol=1e-6)
    wanted = animals[..., [0, 2, 1, 3], :] * np.float32([-1, 1, 1, 1, 1])
    np.testing.assert_allclose(moved(animals, *MIRROR, names=NAMES), wanted, atol=1e-6)
    seen = points[..., 6] > 0
    # The map leads from the output to the input: the picture goes 6.4 pixels of 64 to the right.
    shifted = moved(points, 1, 0, -6.4, 0, 1, 0)
    np.testing.assert_allclose(shifted[seen][:, 0], points[seen][:, 0] + 0.1, atol=1e-6)
    np.testing.assert_allclose(shifted[..., 1:], points[..., 1:], atol=1e-6)
    assert not shifted[~seen].any()
    # Twice as large about the centre, which lies between pixels 31 and 32; metres stay.
    larger = moved(points, *LARGER)
    twice = np.float32([2, 2, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(larger, twice * points, atol=1e-6)
    larger = moved(animals, *LARGER, names=NAMES)
    np.testing.assert_allclose(larger, np.float32([2, 2, 1, 2, 1]) * animals, atol=1e-6)
    found, before = (see(each).reshape(5, 2, 26) for each in (larger, animals))
    np.testing.assert_allclose(found[..., :-3], before[..., :-3], atol=1e-4)
    there = animals[:, :, 0, 4] > 0
    np.testing.assert_allclose(found[there][:, -3:], 2 * before[there][:, -3:], atol=1e-4)
    # A quarter turn: what was to the right is now below.
    turned = moved(points, 0, 1, 0, -1, 0, 63)
    np.testing.assert_allclose(turned[..., 1], points[..., 0], atol=1e-6)
    np.testing.assert_allclose(turned[..., 0], -points[..., 1], atol=1e-6)
    np.testing.assert_allclose(turned[..., 4], points[..., 3], atol=1e-6)
    # A displacement is in heights of the frame, or in lengths of the animal.
    for each, names, length in ((points, (), 1), (animals, NAMES, 3.5 * 0.1)):
        by = tf.fill((*each.shape[:3], 2), 0.01)
        found = POSE.displaced(tf.constant(each), by, names).numpy()
        wanted = each[..., :2] + 0.01 * length * (each[..., -1:] > 0)
        np.testing.assert_allclose(found[..., :2], wanted, rtol=1e-5)
        np.testing.assert_array_equal(found[..., 2:], each[..., 2:])


def see(points, gain=1.0):
    return STREAM.see(tf.constant(points[None]), gain).numpy()[0]


def test_what_the_network_sees_depends_on_place_and_size_in_the_last_numbers_alone(points):
    seen = see(points)
    assert seen.shape == STREAM.seen_shape((1, *points.shape))[1:] == (5, 540)
    there = (points[..., 6:] > 0).astype(np.float32)
    elsewhere = points.copy()
    elsewhere[..., :2] = (2 * points[..., :2] + 0.3) * there
    before, after = (each.reshape(5, 2, 270) for each in (seen, see(elsewhere)))
    np.testing.assert_allclose(after[..., :-3], before[..., :-3], atol=1e-4)
    middle, size = before[..., -3:-1], before[..., -1:]
    np.testing.assert_allclose(after[..., -3:-1], (2 * middle + 0.3) * there[:, :, 0], atol=1e-4)
    seen = there[:, :, 0] > 0
    np.testing.assert_allclose(after[..., -1:][seen], 2 * size[seen], atol=1e-4)


def test_velocities_are_those_from_frame_to_frame(points):
    person = np.repeat(points[:1, :1], 5, axis=0)
    assert not see(person)[:, 66 : 66 + 68].any(), "it stands still"
    walking = person.copy()
    walking[..., 0] += 0.1 * np.arange(5, dtype=np.float32)[:, None, None]
    hips, shoulders = (
        person[0, 0, [POINTS.index(f"{side}_{name}") for side in SIDES], :2].mean(axis=0)
        for name in ("hip", "shoulder")
    )
    torso = np.linalg.norm(shoulders - hips)
    steps = see(walking, gain=3.0)[:, 66 : 66 + 68]
    np.testing.assert_allclose(steps[:, :66], 0, atol=1e-4)  # of the points, from the hips
    np.testing.assert_allclose(steps[1:, 66], 3 * 0.1 / torso, rtol=1e-3)
    np.testing.assert_allclose(steps[0], 0)
    assert see(walking).shape == STREAM.seen_shape((1, 5, 1, 33, 7))[1:] == (5, 270)
    second = see(points)[:, 270:]
    assert not second[:2, :134].any()
    assert not second[2, 66:134].any(), "there was nobody before"
    assert second[3, 66:134].any()
    assert np.isfinite(see(np.zeros_like(points))).all()


def test_numbers_belong_to_the_points_that_they_are_of(points):
    shares, seen = point_shares(2), see(points, 3.0)
    assert shares.shape == (seen.shape[-1], 2, 33)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 1)
    torso = [POINTS.index(f"{side}_{name}") for side in SIDES for name in ("shoulder", "hip")]
    for person in range(2):
        for point in set(range(33)) - set(torso):
            other = points.copy()
            other[3:, person, point, :6] += 0.1
            changed = (see(other, 3.0) != seen).any(axis=0)
            assert changed.sum() == 8
            assert (shares[changed, person, point] == 1).all()
        walking = points.copy()
        walking[3:, person, :, :2] += 0.1
        changed = np.abs(see(walking, 3.0) - seen).max(axis=0) > 1e-3
        assert changed.any()
        assert (shares[changed, person][:, [23, 24]] > 0).all()
    assert len(PARTS) == 13, "each point is in one part of the body"
    assert sorted(point for points in PARTS.values() for point in points) == list(range(33))


def test_a_network_sees_no_padding_and_in_a_still_clip_the_mean_pose(points):
    config = dataclasses.replace(load_config("pose", {"clip.num_frames": 5}), frames=FRAMES)
    model = build_recognizer(config, 3)
    padded = np.concatenate([points[:3], 9 * np.ones_like(points[:2])])
    mask = np.array([[True, True, True, False, False]])
    assert model.input["pose"].dtype == "float32"
    logits = model({"pose": padded[None], "mask": mask})
    padded[3:] = 0
    np.testing.assert_allclose(model({"pose": padded[None], "mask": mask}), logits, atol=1e-6)
    still = POSE.stilled(points)
    assert (still[:2, 1] == 0).all()  # who comes later
    for number, first in ((0, 0), (1, 2)):
        for frame in still[first:, number]:
            np.testing.assert_allclose(frame, points[first:, number].mean(axis=0), rtol=1e-5)


def test_what_is_seen_of_an_animal_does_not_depend_on_its_place(animals):
    """A point that is not seen moves nothing."""
    seen = see(animals)
    assert seen.shape == STREAM.seen_shape((1, *animals.shape))[1:] == (5, 2 * 26)
    there = (animals[..., 4:] > 0).astype(np.float32)
    elsewhere = animals.copy()
    elsewhere[..., :2] += 0.3 * there
    moved = see(elsewhere) - seen
    np.testing.assert_allclose(moved[:, 23:25], 0.3, atol=1e-4)
    moved[:, 23:25] = moved[:, 49:51] = 0
    np.testing.assert_allclose(moved, 0, atol=1e-4)
    points = seen[:, :8].reshape(5, 4, 2)
    places, sure = animals[:, 0, :, :2], animals[:, 0, :, 2:3]
    middles = (places * sure).sum(axis=1, keepdims=True) / sure.sum(axis=1, keepdims=True)
    wanted = (places - middles) / 0.1 * sure
    np.testing.assert_allclose(points, wanted, atol=1e-4)
    np.testing.assert_allclose(seen[:, 18:22], animals[:, 0, :, 2])
    assert (seen[:, 22] == 1).all()
    second = seen[:, 26:]
    assert not second[:2, :-1].any()
    assert not second[2, 8:18].any(), "there was nobody before"
    assert second[3, 8:18].any()
    assert np.isfinite(see(np.zeros_like(animals))).all()
    walking = np.repeat(animals[:1, :1], 5, axis=0)
    walking[..., 0] += 0.02 * np.arange(5, dtype=np.float32)[:, None, None]
    walking[2, 0, 3, :3] = 0
    seen = see(walking, gain=3.0)
    np.testing.assert_allclose(seen[:, 8:16], 0, atol=1e-4)
    np.testing.assert_allclose(seen[1:, 16], 3 * 0.02 / 0.1, rtol=1e-4)
    np.testing.assert_allclose(seen[1:, 17], 0, atol=1e-4)
    np.testing.assert_allclose(seen[0, 8:18], 0)
    jerk = np.repeat(animals[:1, :1], 3, axis=0)
    jerk[1:, 0, 0, 0] += 0.05
    assert see(jerk)[1, 8] > 0.03
    assert not see(jerk)[2, 8:18].any()
