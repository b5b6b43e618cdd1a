from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import pipeline.streams
from pipeline.config import FramesConfig, ModelConfig
from pipeline.errors import DataError
from pipeline.streams import IMAGES, STREAMS, StoredImage

SIZE = 24
FRAMES = FramesConfig(size=SIZE)
PICTURES = {name: each for name, each in IMAGES.items() if isinstance(each, StoredImage)}
IMAGE = pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
SIGHTS = {name: each for name, each in STREAMS.items() if each.is_picture}
STREAM = pytest.mark.parametrize("stream", SIGHTS.values(), ids=SIGHTS)


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
    for streams, images in (
        (("rgb",), ("frames",)),
        (("flow",), ("flow",)),
        (("flow", "rgb_difference", "rgb"), ("frames", "flow")),
    ):
        assert ModelConfig(streams=streams).images == images
    folder = Path(pipeline.streams.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "stream", "frames"}
    assert modules == {*STREAMS, "pose_points"}, "each is in the module of its name"


@IMAGE
def test_tensorflow_decodes_the_pixels_of_numpy(image, frames):
    jpegs = stored(image, frames)
    wanted = np.stack([image.decode(jpeg) for jpeg in jpegs])
    found = image.decode_tensors(tf.constant(jpegs), FRAMES)
    np.testing.assert_array_equal(found, wanted)
    assert found.shape == (5, SIZE, SIZE, 3)
    plain = tf.io.decode_jpeg(jpegs[0])
    assert tuple(plain.shape) == image.jpeg_shape(SIZE)
    with pytest.raises(DataError, match="expected the bytes of a JPEG image"):
        image.decode(b"")
    assert image.is_motion == bool((wanted[0] == image.still(wanted[1])).all()), "the first image"
    assert image.is_motion == bool((image.still(wanted[1]) != wanted[1]).any())


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


@STREAM
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


@IMAGE
@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_images_that_shrink_are_the_same_in_tensorflow(image, shrink):
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(3, 6, 6, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    jpegs = stored(image, frames)
    shown = FramesConfig(size=48, shrink=shrink)
    found = image.decode_tensors(tf.constant(jpegs), shown)
    wanted = np.stack([image.decode(jpeg, shown) for jpeg in jpegs])
    np.testing.assert_array_equal(found, wanted)
    assert wanted.shape[1:] == image.shape(shown) == (48 // shrink, 48 // shrink, 3)
    whole = np.stack([image.decode(jpeg) for jpeg in jpegs]).astype(float)
    means = whole.reshape(3, 48 // shrink, shrink, 48 // shrink, shrink, 3).mean((2, 4))
    assert np.abs(means - wanted).mean() < 12
