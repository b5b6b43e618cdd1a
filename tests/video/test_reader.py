"""Files read from front to back, and frame by frame in any order; and when a frame is shown."""

import csv
import itertools
import math
import random
import warnings
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.video import DamagedVideoWarning, VideoReader, iter_frames, probe, write_video
from pipeline.video.opening import open_capture
from pipeline.video.seeking import SeekingReader, mark_frames
from pipeline.video.timing import Ticks, count_ticks, increasing, near_clock, on_display
from tests.conftest import REAL, VIDEOS
from tests.video.videos import SpoiltFrame, cut, lossless, noise


def coded_frames(indices):
    """Frames of one colour, different for every index below 256."""
    colours = [(index, 255 - index, index * 7 % 256) for index in indices]
    return np.array(colours).astype(np.uint8)[:, None, None].repeat(48, 1).repeat(64, 2)


def coded_video(path, num_frames=40):
    """A lossless video of coded frames."""
    return lossless(path, coded_frames(range(num_frames)), fps=25)


def shown(path, **options):
    """The first value of each frame, which is its index."""
    return [frame[0, 0, 0] for frame in iter_frames(path, **options)]


def patched(path, *fields):
    """Overwrites fields of a file, each a mark, a distance behind it and what is written there."""
    data = bytearray(path.read_bytes())
    for mark, distance, value in fields:
        place = data.index(mark) + len(mark) + distance
        data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.fixture
def video(tmp_path):
    return coded_video(tmp_path / "coded.avi")


def test_probe_says_what_the_container_declares_and_counts_frames(video):
    info = probe(video)
    assert (info.path, info.codec) == (str(video), "ffv1")
    assert (info.width, info.height, info.fps) == (64, 48, 25.0)
    assert (info.declared_frames, info.num_frames) == (40, None)
    assert info.duration_seconds == pytest.approx(1.6)
    declare_frames(video, 45)
    assert probe(video).duration_seconds == pytest.approx(1.8)
    info = probe(video, count_frames=True)
    assert (info.declared_frames, info.num_frames) == (45, 40)
    assert info.duration_seconds == pytest.approx(1.6)
    assert cv2.getNumThreads() == 1
    assert open_capture(str(video)).get(cv2.CAP_PROP_N_THREADS) == 1


@pytest.mark.parametrize("name", ["coded.mp4", "take:1.avi"])
def test_every_frame_once(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)  # The second one looks like the address of a protocol.
    frames = list(iter_frames(coded_video(Path(name), 30)))
    assert frames[0].dtype == np.uint8
    assert np.array_equal(np.stack(frames), coded_frames(range(30)))


def animation(path, milliseconds):
    """A GIF of grey frames, each on display for a time of its own."""
    animation = cv2.Animation()
    levels = range(len(milliseconds))
    animation.frames = [np.full((48, 64, 3), 36 * index % 256, np.uint8) for index in levels]
    animation.durations = milliseconds
    assert cv2.imwriteanimation(str(path), animation)
    return path


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (10, [0, 1, 2, 2, 2, 2, 3, 4, 4, 4, 4, 4, 5, 5, 5]),
        (2, [0, 2, 4]),
        (None, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_variable_frame_rate_and_the_number_of_a_frame_in_its_file(tmp_path, fps, expected):
    path = animation(tmp_path / "variable.gif", [100, 100, 400, 100, 500, 100])
    with VideoReader(path) as reader:
        pairs = [(frame[0, 0, 0] // 36, reader.index) for frame in reader.frames(fps=fps)]
    assert pairs == [(index, index) for index in expected]
    assert probe(path).codec == "gif"


def set_timescale(mp4, units):
    """Makes an MP4 count its time in so many units a second."""
    patched(mp4, (b"mdhd", 12, units.to_bytes(4)))  # after the fields of version 0
    # An edit would cut off what comes later.
    mp4.write_bytes(mp4.read_bytes().replace(b"edts", b"free"))


def test_clocks_that_jump_or_stand_still_or_cannot_be(tmp_path, video):
    """Each frame comes minutes after the one before it; or there are a million seconds in one."""
    path = animation(tmp_path / "jump.gif", [100, 100, 600_000, 100, 300_000, 100])
    with pytest.warns(DamagedVideoWarning, match=r"jump\.gif: its clock jumps ahead by more than"):
        info = probe(path, count_frames=True)
    assert (info.num_frames, info.damaged) == (6, True)
    assert info.duration_seconds < 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)
        assert [level // 36 for level in shown(path, fps=20)] == [0, 0, 1, 1, 2, 3, 3, 4, 5]
    path = coded_video(tmp_path / "still.mp4")
    patched(path, (b"stts", 8 + 4, (2**32 - 1).to_bytes(4)))  # ticks, taken for -1
    with pytest.warns(DamagedVideoWarning, match=r"still\.mp4: its clock gives 40 frames 0\.003 s"):
        assert probe(path, count_frames=True).damaged
    slow = coded_video(tmp_path / "slow.mp4")
    set_timescale(slow, 1)
    scale = (10**6).to_bytes(4, "little") + (1).to_bytes(4, "little")  # seconds in `rate` frames
    for path in (slow, patched(video, (b"strh", 4 + 20, scale))):
        with pytest.warns(DamagedVideoWarning, match="its clock jumps"):
            info = probe(path, count_frames=True)
        assert (info.fps, info.num_frames) == (25.0, 40)
        assert info.duration_seconds == pytest.approx(1.6)
    # Hours with hardly a frame are refused.
    path = coded_video(tmp_path / "slides.mp4", 400)
    data = path.read_bytes()
    place = data.index(b"stts") + 4 + 8 + 4
    ticks = int.from_bytes(data[place : place + 4])
    set_timescale(path, round(ticks / 8))
    assert probe(path, count_frames=True).num_frames == 400, "nearly an hour"
    set_timescale(path, round(ticks / 9.9))
    with pytest.raises(VideoDecodeError, match=r"\.mp4: its clock gives \d+ frames 1\.0 hours"):
        probe(path, count_frames=True)


def test_frames_by_time_of_which_a_repeated_one_is_the_same_array(video):
    assert shown(video, fps=10)[:8] == [0, 2, 5, 7, 10, 12, 15, 17]
    assert shown(video, fps=1) == [0, 25]
    frames = list(iter_frames(video, fps=50, size=(20, 30)))
    assert frames[0] is frames[1]
    assert frames[1] is not frames[2]
    assert (frames[14] == coded_frames([7])[0, 0, 0]).all()
    assert (len(frames), frames[14].shape) == (80, (20, 30, 3))
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="fps: expected a number above 0"):
            next(iter_frames(video, fps=fps))
    for fps in (None, 10, 60):  # Memory is constant.
        alive: set[int] = set()
        most = 0
        for frame in iter_frames(video, fps=fps):
            if id(frame) not in alive:
                alive.add(id(frame))
                weakref.finalize(frame, alive.discard, id(frame))
            most = max(most, len(alive))
        assert 1 <= most <= 3


def test_parts_of_a_file_are_read_in_one_pass_up_to_the_last_once_and_while_it_is_open(video):
    whole = coded_frames(range(40))
    with VideoReader(video) as reader:
        rate = reader.info.fps
        found = list(reader.frames(fps=rate, ticks=[(3, 7), (7, 9), (20, 21)]))
        assert reader.index == 20
        assert reader.info.num_frames is None, "it was not read to its end"
    np.testing.assert_array_equal(found, whole[[3, 4, 5, 6, 7, 8, 20]])
    with VideoReader(video) as reader:
        rest = list(reader.frames(fps=rate / 2, ticks=[(15, 17), (18, math.inf)]))
        assert reader.info.num_frames == 40
    np.testing.assert_array_equal(rest, whole[[30, 32, 36, 38]])
    with VideoReader(video) as reader:
        assert not list(reader.frames(fps=rate, ticks=[(40, 50)]))
        assert reader.info.num_frames == 40
    with VideoReader(video) as reader:
        begun = reader.frames()
        next(begun)
        with pytest.raises(RuntimeError, match="read once"):
            next(reader.frames())
    with VideoReader(video) as reader:
        pass
    for frames in (begun, reader.frames()):
        with pytest.raises(RuntimeError, match="closed before its last frame"):
            next(frames)


def test_frames_and_codecs_that_are_not_declared_or_not_there(tmp_path, video):
    path = patched(coded_video(tmp_path / "live.mkv"), (b"\x44\x89\x88", 0, bytes(8)))
    info = probe(path)
    assert (info.declared_frames, info.duration_seconds) == (None, 0)
    assert probe(path, count_frames=True).num_frames == 40
    write_video(tmp_path / "raw.avi", coded_frames([0]), fps=25, codec="\0\0\0\0")
    assert probe(tmp_path / "raw.avi").codec == "unknown"
    declare_frames(video, 48)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # So few are no damage.
        assert len(shown(video)) == 40
    declare_frames(video, 300)
    with pytest.warns(DamagedVideoWarning, match=r"coded\.avi: decoded 40 of 300 declared frames"):
        assert len(shown(video)) == 40
    cut(video)
    with pytest.warns(DamagedVideoWarning, match=r"decoded \d+ of 300 declared frames"):
        frames = shown(video)
    assert 3 < len(frames) < 37
    assert frames == [*range(len(frames))]


# A 2 x 2 block of the display matrix for turning clockwise, and the corner where top left goes.
TURNS = {
    0: ((1, 0, 0, 1), (0, 0)),
    90: ((0, 1, -1, 0), (0, -1)),
    180: ((-1, 0, 0, -1), (-1, -1)),
    270: ((0, -1, 1, 0), (-1, 0)),
}


@pytest.mark.parametrize("degrees", TURNS)
def test_rotation_is_applied_once(tmp_path, degrees):
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:16, :16] = 255  # top left is white
    path = lossless(tmp_path / "turned.mp4", [frame] * 3)
    matrix, corner = TURNS[degrees]
    fields = zip((0, 4, 12, 16), matrix, strict=True)  # from 40 on, after the fields of version 0
    patched(path, *((b"tkhd", 40 + at, (n << 16).to_bytes(4, signed=True)) for at, n in fields))

    width, height = (48, 64) if degrees in (90, 270) else (64, 48)
    info = probe(path)
    assert (info.width, info.height) == (width, height)
    full = next(iter_frames(path))
    assert full.shape == (height, width, 3)
    small = next(iter_frames(path, size=(height // 2, width // 2)))
    assert small.shape == (height // 2, width // 2, 3)
    for turned in (full, small):
        corners = {(y, x): turned[y, x, 0] for y in (0, -1) for x in (0, -1)}
        assert [place for place, value in corners.items() if value == 255] == [corner]


def declare_frames(avi, number):
    """Makes the header of an AVI file claim a number of frames."""
    return patched(avi, (b"strh", 4 + 32, number.to_bytes(4, "little")))


def open_as(monkeypatch, make):
    """Has files opened as what a function makes of them."""
    opening = "pipeline.video.reader.open_capture"
    monkeypatch.setattr(opening, lambda *of: make(open_capture(*of)))


@pytest.mark.parametrize("fps", [None, 5, 25, 50])
def test_a_file_ends_before_a_frame_that_cannot_be_converted(video, monkeypatch, fps):
    open_as(monkeypatch, lambda capture: SpoiltFrame(capture, 30))
    expected = coded_frames(range(30))[:: 5 if fps == 5 else 1, 0, 0, 0]
    with VideoReader(video) as reader:
        with pytest.warns(DamagedVideoWarning, match="decoded 30 of 40 declared frames"):
            frames = [frame[0, 0, 0] for frame in reader.frames(fps=fps)]
        assert frames == list(expected.repeat(2) if fps == 50 else expected)
        assert reader.info.num_frames == 30
        assert reader.info.duration_seconds == pytest.approx(1.2)
        ticks = count_ticks(1.2, fps=fps or 25, frame_seconds=1 / 25)
        assert len(frames) == ticks, "the number of ticks follows from the time"
    open_as(monkeypatch, lambda capture: SpoiltFrame(capture, 0))
    with pytest.raises(VideoDecodeError, match="no frame of it can be converted to RGB"):
        list(iter_frames(video))


def test_damage_near_the_end_is_not_taken_for_the_end(tmp_path):
    path = tmp_path / "damaged.mp4"
    write_video(path, noise(60), fps=25)
    start = b"\x00\x00\x01\xb6"  # of a frame of MPEG-4
    parts = path.read_bytes().split(start)
    assert len(parts) == 1 + 60
    spoilt = bytes(len(start) + len(parts[56]))
    path.write_bytes(start.join(parts[:56]) + spoilt + start + start.join(parts[57:]))
    with pytest.warns(DamagedVideoWarning, match="decoded 55 of 60 declared frames"):
        probe(path, count_frames=True)


@pytest.mark.parametrize("num_parts", [1, 10, 50])
def test_a_file_with_a_jittering_clock_is_decoded_once(tmp_path, monkeypatch, num_parts):
    milliseconds = np.random.default_rng(0).choice([20, 30, 30, 30, 60], size=400)
    path = animation(tmp_path / "jitter.gif", milliseconds.tolist())
    times = np.cumsum([0, *milliseconds]) / 1000
    whole = shown(path)
    opened = []

    def counting(capture):
        opened.append(SpoiltFrame(capture, 10_000))
        return opened[-1]

    open_as(monkeypatch, counting)
    starts = np.linspace(0, 128, num_parts, endpoint=False).astype(int).tolist()
    parts = [(start, start + 2) for start in starts]
    with VideoReader(path) as reader:
        found = [(frame[0, 0, 0], reader.index) for frame in reader.frames(fps=10, ticks=parts)]
    ticks = np.array([tick for start, end in parts for tick in range(start, end)]) / 10
    number = np.searchsorted(times[:-1], ticks + 0.001, side="right") - 1
    assert found == [(whole[index], index) for index in number]
    assert sum(each.grabs for each in opened) <= 1.1 * (number[-1] + 2)


def coded(num_frames, height=48, width=64):
    """Frames that say their number by their brightness in three places."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    for number in range(num_frames):
        for place, digit in enumerate(divmod(number, 16)):
            frames[number, :, place * 32 : place * 32 + 32] = 16 * digit + 8
    return frames


def number_of(frame):
    first, second = (int(frame[:, at : at + 16].mean()) // 16 for at in (8, 40))
    return 16 * first + second


def stamps_of(path):
    return [mark.stamp for mark in mark_frames(path)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.avi", "FFV1"), ("a.avi", "MJPG"), ("a.avi", "mp4v"), ("a.mp4", "mp4v"), ("a.mkv", "FFV1")],
)
def test_a_frame_is_the_one_of_its_number_in_any_order(tmp_path, name, codec):
    path = tmp_path / name
    write_video(path, coded(200), fps=25, codec=codec)
    stamps = stamps_of(path)
    assert len(stamps) == 200
    rng, number = random.Random(0), 0
    with SeekingReader(path) as reader:
        for step in range(60):
            number = rng.randrange(200) if step % 3 else (number + rng.choice((-1, 1, -9))) % 200
            few = stamps[max(0, number - 99) : number + 1]
            frame = reader.frame(number, few, size=None)
            assert number_of(frame) == number
        assert reader.frame(0, stamps[:1], size=(24, 32)).shape == (24, 32, 3)


def test_marks_are_those_of_the_reader_and_of_the_file_as_it_was(tmp_path):
    frames = coded(30)
    frames[10:] = frames[9]
    marks = list(mark_frames(lossless(tmp_path / "a.avi", frames)))
    assert [mark.seconds for mark in marks] == pytest.approx([n / 10 for n in range(30)])
    assert marks[0].motion == 0
    assert all(mark.motion > 1 for mark in marks[1:10])
    assert all(mark.motion == 0 for mark in marks[10:])
    path = lossless(tmp_path / "a.avi", coded(60), fps=25)
    stamps = stamps_of(path)
    for num_frames, fps in ((60, 10), (20, 25)):
        lossless(path, coded(num_frames), fps=fps)
        told = pytest.raises(VideoDecodeError, match="its frame 50 is not where it was before")
        with SeekingReader(path) as reader, told:
            reader.frame(50, stamps[:51], size=None)


# Files of many codecs and containers, some broken: what decodes is what is known of them.


@REAL
@pytest.mark.parametrize(
    "name",
    [
        *("decord_unordered.mov", "flipping_a_pancake.mkv", "grid_bbaf2n.mpg"),
        *("imageio_newtonscradle.gif", "mmaction2_test.avi", "golfdb_test_video.mp4"),
        *("torchcodec_h265_10bits.mp4", "ucf101_v_Basketball_g01_c01.avi", "vidtest.ogv"),
        *("decord_video_90.mov", "torchcodec_nasa_13013.mp4", "thetis_p3_backhand_s3.avi"),
    ],
)
def test_real_files(name):
    """Frames that depend on later ones, a clock that breaks off, frames on their side."""
    path = Path(VIDEOS, "odd", name)
    with VideoReader(path) as reader:
        frames = [frame[::4, ::4].copy() for frame in itertools.islice(reader.frames(), 100)]
    stamps, rng = stamps_of(path), random.Random(0)
    with SeekingReader(path) as reader:
        for _ in range(8):
            number = rng.randrange(len(frames))
            frame = reader.frame(number, stamps[: number + 1], size=None)
            assert np.array_equal(frame[::4, ::4], frames[number])


REASONS = {
    "odd/torchcodec_audio_only.mp3": "sound only",
    "odd/derived/audio_only.mp4": "sound only",
    "odd/derived/lfs_pointer_text.mp4": "Git LFS pointer",
    "odd/derived/truncated_nomoov.mp4": "cut off: its index",
    "odd/derived/zero_bytes.avi": "empty (0 bytes)",
}
AV1 = "odd/torchcodec_av1_video.mkv"
"""OpenCV decodes it from 5.1 on."""
MOST_PIXELS = 120_000_000
"""Of longer files, what they declare is tested, and not all frames."""
DAMAGED = {"odd/decord_corrupted.mp4", "odd/derived/truncated_half.avi"}


def listed(name: str) -> list[dict[str, str]]:
    if not VIDEOS:
        return []
    with Path(VIDEOS, name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows(*, expect: str) -> list:
    return [
        pytest.param(row, id=row["path"]) for row in listed("odd.csv") if row["expect"] == expect
    ]


@REAL
@pytest.mark.parametrize("row", rows(expect="ok"))
def test_odd_files_that_decode(row):
    path, size = Path(VIDEOS, row["path"]), (int(row["width"]), int(row["height"]))
    is_short = int(row["frames"]) * math.prod(size) < MOST_PIXELS
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        info = probe(path, count_frames=is_short)
    assert info.num_frames == (int(row["frames"]) if is_short else None)
    assert info.declared_frames == int(row["declared"])
    assert (info.width, info.height) == size
    assert info.fps == pytest.approx(float(row["fps"]), abs=0.01)
    expected = f"{path}: decoded {row['frames']} of {row['declared']} declared frames"
    told = [str(warning.message).startswith(expected) for warning in caught]
    assert told == [True] * (row["path"] in DAMAGED)
    assert all(warning.category is DamagedVideoWarning for warning in caught)


@REAL
def test_odd_files_without_a_frame():
    assert len(rows(expect="ok")) + len(rows(expect="error")) == 58
    assert {row.id for row in rows(expect="error")} == {*REASONS, AV1}
    for name, reason in REASONS.items():
        with pytest.raises(VideoDecodeError) as caught:
            probe(Path(VIDEOS, name))
        assert reason in caught.value.reason
    if tuple(map(int, cv2.__version__.split(".")[:2])) >= (5, 1):
        assert probe(Path(VIDEOS, AV1), count_frames=True).num_frames == 125
    else:
        with pytest.raises(VideoDecodeError, match="no frame of its AV01 video decodes"):
            probe(Path(VIDEOS, AV1))


@REAL
def test_clocks_that_begin_before_the_first_frame_or_vary_or_run_backwards(tmp_path):
    """Of those, each time in a table of times is taken for a negative one; of B-frames, none."""
    videos, others = listed("ut_interaction.csv")[::6], listed("jhmdb_part.csv")[::20]
    infos = [probe(Path(VIDEOS, row["path"]), count_frames=True) for row in (*videos, *others)]
    counted = [info.num_frames for info in infos[: len(videos)]]
    assert counted == [int(row["frames"]) for row in videos]
    assert all(info.declared_frames > info.num_frames for info in infos)
    assert not any(info.missing_frames for info in infos)
    data = bytearray(Path(VIDEOS, "odd/mmaction2_test.mp4").read_bytes())
    table = data.index(b"stts") + 4 + 8
    for entry in range(int.from_bytes(data[table - 4 : table], "big")):
        delta = table + 8 * entry + 4
        data[delta : delta + 4] = (2**32 - 1).to_bytes(4, "big")
    (tmp_path / "back.mp4").write_bytes(data.replace(b"edts", b"free"))
    with pytest.warns(DamagedVideoWarning, match="back.mp4: its clock runs backwards again and"):
        assert probe(tmp_path / "back.mp4", count_frames=True).damaged


# When a frame is on display.

MILLISECOND = [0.0, 0.033, 0.067, 0.1, 0.133, 0.167]  # 30 frames per second, as Matroska rounds


def test_timestamps_that_increase_or_keep_near_the_clock():
    """Each jump ahead is told."""
    for timestamps, expected in (
        ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]),
        ([7.0, 7.5, 8.0], [0.0, 0.5, 1.0]),  # from the first frame on
        ([-0.5, 0.0, 0.5], [0.0, 0.5, 1.0]),
        ([0.0, 0.1, 1.0, 1.2], [0.0, 0.1, 1.0, 1.2]),  # variable frame rate
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 1.5]),  # none at all: index / fps
        ([1.0, 1.5, 2.0, 0.0, 0.0], [0.0, 0.5, 1.0, 1.5, 2.0]),  # none for the last frames
        ([0.0, 1.0, 0.5, 2.0], [0.0, 1.0, 1.5, 2.0]),  # one goes back
        ([0.0, 1.0, 1.0, 3.0], [0.0, 1.0, 1.5, 3.0]),  # one stands still
        ([0.0, 1.0, 11.0, 12.0], [0.0, 1.0, 11.0, 12.0]),  # the longest gap
        ([0.0, 1.0, 86400.0, 86401.0], [0.0, 1.0, 1.5, 2.5]),  # a jump ahead
        ([0.0, 1.0, 86400.0, 2.0, 3.0], [0.0, 1.0, 1.5, 2.0, 3.0]),  # one wild timestamp
        ([0.0, 1e9, 1e9 + 1, 2e9, 2e9 + 1], [0.0, 0.5, 1.5, 2.0, 3.0]),  # two jumps
        ([0.0, 1.0, math.inf, 2.0, 3.0], [0.0, 1.0, 1.5, 2.0, 3.0]),
        ([0.0, 1.0, math.nan, 2.0], [0.0, 1.0, 1.5, 2.0]),
        ([], []),
    ):
        assert list(increasing(timestamps, frame_seconds=0.5)) == expected
    told, stamps = [], [5.0, 6.0, 46.5, 46.0, 47.0, 99.0]
    times = increasing(stamps, frame_seconds=0.5, on_jump=lambda: told.append(True))
    found = [(time, len(told)) for time in times]
    assert found == [(0.0, 0), (1.0, 0), (1.5, 1), (2.0, 1), (2.5, 1), (3.0, 2)]
    for times, arrivals, expected in (
        ([0, 1, 2, 3], [7.0, 8.2, 8.9, 10.5], [0, 1, 2, 3]),  # unevenly: as the stream says
        ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8], [0, 1, 3, 5, 7]),  # half as fast as it says
        ([0, 2, 4, 6, 8], [0, 1, 2, 3, 4], [0, 2, 3, 4, 5]),  # twice as fast
        ([0, 1, 1e6, 1e6 + 1], [0, 1, 2, 3], [0, 1, 3, 4]),  # a jump
        ([0, 1, 2, 3, 4], [0, 1, 5, 5, 5], [0, 1, 4, 5, 6]),  # a pause, then what was held up
        ([], [], []),
    ):
        shown = near_clock(times, iter(arrivals).__next__, most_seconds=1)
        assert list(shown) == pytest.approx(expected)


class Player:
    """Steps through frames, which are their own numbers, and remembers what was retrieved."""

    def __init__(self, times):
        self.times = times
        self.index = -1
        self.retrieved, self.again = [], []

    def steps(self):
        for time in self.times:
            self.index += 1
            yield time

    def retrieve(self):
        self.retrieved.append(self.index)
        return self.index

    def retrieve_previous(self):
        self.again.append(self.index - 1)
        return self.index - 1

    def shown(self, **options):
        return on_display(self.steps(), self.retrieve, self.retrieve_previous, **options)


def test_on_display():
    for times, fps, frame_seconds, expected in (
        # The rate of the file: every frame once.
        ([0.0, 0.1, 0.2, 0.3], 10, 0.1, [0, 1, 2, 3]),
        (MILLISECOND, 30, 1 / 30, [0, 1, 2, 3, 4, 5]),
        # Slower: frames are left out.
        ([0.0, 0.1, 0.2, 0.3], 5, 0.1, [0, 2]),
        (MILLISECOND, 15, 1 / 30, [0, 2, 4]),
        (MILLISECOND, 10, 1 / 30, [0, 3]),
        ([0.0, 0.1, 0.2, 0.3], 4, 0.1, [0, 2]),  # ticks 0, 0.25; at 0.25 frame 2 is on display
        # Faster: frames repeat, the last one for its duration.
        ([0.0, 0.1, 0.2], 20, 0.1, [0, 0, 1, 1, 2, 2]),
        ([0.0, 0.1], 25, 0.1, [0, 0, 0, 1, 1]),  # ticks 0, 0.04, 0.08, 0.12, 0.16
        # Variable frame rate: what is on display stays until the next frame comes.
        ([0.0, 0.1, 0.7, 0.8], 10, 0.1, [0, 1, 1, 1, 1, 1, 1, 2, 3]),
        ([0.0, 0.01, 0.02, 0.5], 4, 0.1, [0, 2, 3]),
        # One frame, however short: one tick.
        ([0.0], 10, 0.1, [0]),
        ([0.0], 10, 0.35, [0, 0, 0, 0]),
        ([0.0], 10, 0.0001, [0]),
        ([0.0, 0.0103], 2000, 0.01, [0] * 19 + [1] * 20),  # a tick is less than the tolerance
        ([7.3, 7.4, 7.5], 5, 0.1, [0, 2]),  # from the first frame on
        ([], 10, 0.1, []),
    ):
        shown = list(Player(times).shown(fps=fps, frame_seconds=frame_seconds))
        assert all(ticks > 0 for _, ticks in shown)
        assert [frame for frame, ticks in shown for _ in range(ticks)] == expected


def test_only_frames_that_a_tick_is_due_for_are_retrieved_if_need_be_after_all():
    player = Player([index / 30 for index in range(60)])
    shown = [frame for frame, _ in player.shown(fps=10, frame_seconds=1 / 30)]
    assert shown == player.retrieved == list(range(0, 60, 3))
    assert not player.again
    # Frame 1 is to last until 0.2, so that no tick needs it; it lasts until 0.6.
    times = [0.0, 0.1, 0.6, 0.7, 0.8]
    player = Player(times)
    assert list(player.shown(fps=2, frame_seconds=0.1)) == [(0, 1), (1, 1)]
    assert (player.retrieved, player.again) == ([0], [1])
    player = Player(times)
    shown = player.shown(fps=2, frame_seconds=0.1, is_uneven=lambda: True)
    assert list(shown) == [(0, 1), (1, 1)]
    assert (player.retrieved, player.again) == ([0, 1, 2, 3, 4], [])


def test_ticks_that_are_not_asked_for_cost_nothing():
    times = [index / 30 for index in range(300)]
    player = Player(times)
    asked = Ticks([(2, 4), (50, 51), (60, 61)])
    assert list(player.shown(fps=10, frame_seconds=1 / 30, ticks=asked)) == [
        *((6, 1), (9, 1), (150, 1), (180, 1))
    ]
    assert (player.retrieved, player.again) == ([6, 9, 150, 180], [])
    assert player.index == 181, "one frame beyond the last is read, no more"
    # Of frames that may stay, those are retrieved that may be seen at a tick: up to 10 s before.
    player = Player(times)
    asked = {"ticks": Ticks([(199, 200)]), "is_uneven": lambda: True}
    assert list(player.shown(fps=20, frame_seconds=1 / 30, **asked)) == [(298, 1)]
    assert min(player.retrieved) == 0
    player = Player([index / 30 for index in range(900)])
    asked = {"ticks": Ticks([(580, 581)]), "is_uneven": lambda: True}
    assert list(player.shown(fps=20, frame_seconds=1 / 30, **asked)) == [(870, 1)]
    assert 560 < min(player.retrieved) < 575


@pytest.mark.parametrize("fps", [1, 7, 12.5, 23.976, 24, 29.97, 60])
def test_a_tick_is_never_more_than_rounding_away_from_its_frame(fps):
    times = [index / 29.97 for index in range(300)]
    shown = Player(times).shown(fps=fps, frame_seconds=1 / 29.97)
    frames = [times[index] for index, ticks in shown for _ in range(ticks)]
    lag = [tick / fps - time for tick, time in enumerate(frames)]
    assert len(lag) == pytest.approx(300 / 29.97 * fps, abs=1)
    assert min(lag) > -0.0011
    assert max(lag) < 1 / 29.97
