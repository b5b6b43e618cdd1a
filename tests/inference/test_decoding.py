"""What worker processes do with one file; that they cost no other is in `test_many`."""

import dataclasses
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.inference import decoding, decoding_process
from pipeline.inference.bundle import read_bundle
from pipeline.inference.clips import StoredVideo, clips_of
from pipeline.inference.decoding_process import Means
from pipeline.video import DamagedVideoWarning, write_video

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def bundle(hasty_run):
    return read_bundle(hasty_run)


@pytest.fixture
def video(blob_videos):
    return str(blob_videos / "left" / "g00 0.avi")


def at(bundle, fps):
    return dataclasses.replace(bundle, frames=dataclasses.replace(bundle.frames, fps=fps))


def test_it_says_that_it_lives_while_new_frames_come(bundle, video, monkeypatch):
    """Where a frame repeats, it may be that nothing else comes for ever."""
    monkeypatch.setattr(decoding_process, "_SIGN_OF_LIFE_SECONDS", 0)
    said = []
    decoded = decoding_process.decode((video, [at(bundle, fps=20)], Means()), said.append)
    assert decoded.info.num_frames == 12
    assert said == [video] * (1 + 12)


def test_it_says_so_seldom(bundle, video):
    said = []
    decoding_process.decode((video, [bundle], Means()), said.append)
    assert said == [video]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "there is not enough memory to decode it."),
        (ValueError("over\ntwo lines"), "ValueError: over two lines"),
        (VideoDecodeError("a.avi", "it is empty."), "it is empty."),
    ],
)
def test_whatever_happens_is_the_reason(bundle, video, monkeypatch, error, reason):
    def fail(*_):
        raise error

    monkeypatch.setattr(decoding_process, "_WatchedVideo", fail)
    for found in (
        decoding_process.decode((video, [bundle], Means()), lambda _: None),
        decoding_process.read_on((video, [bundle.frames], Means()), lambda _: None),
    ):
        assert isinstance(found, VideoDecodeError)
        assert found.reason == reason


def test_a_clip_holds_its_real_frames(bundle, video):
    (clips,), _ = clips_of(partial(StoredVideo, video), [bundle])
    assert [len(clip["frames"]) for clip in clips] == [8, 8]
    slow = at(bundle, fps=2)
    (clips,), _ = clips_of(partial(StoredVideo, video), [slow])
    assert [len(clip["frames"]) for clip in clips] == [3, 3]


@pytest.mark.parametrize("at_once", [1, 4, 5, 100])
def test_another_process_gives_the_same_frames(bundle, video, monkeypatch, at_once):
    monkeypatch.setattr(decoding_process, "_AT_ONCE", at_once)
    here = StoredVideo(video, [bundle.frames])
    wanted = list(here)
    first, *others = parts = list(iter_parts(video, [bundle.frames]))
    assert [frame for part in parts for frame in part.stored] == wanted
    assert [bool(part.info) for part in parts] == [False] * len(others) + [True]
    assert parts[-1].info == here.info
    assert len(first.stored) == min(at_once, 12)


def iter_parts(video, frames):
    while True:
        part = decoding_process.read_on((video, frames, Means()), lambda _: None)
        yield part
        if part.info:
            return
        frames = None


def test_files_one_after_the_other_in_another_process(bundle, video, blob_videos, tmp_path):
    cut = tmp_path / "cut.avi"
    noise = np.random.default_rng(0).integers(256, size=(60, 32, 32, 3), dtype=np.uint8)
    write_video(cut, noise, fps=10)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with decoding.reading_elsewhere() as open_video:
        for path in (video, blob_videos / "right" / "g01 0.avi"):
            here, there = StoredVideo(path, [bundle.frames]), open_video(path, [bundle.frames])
            assert list(there) == list(here)
            assert there.info == here.info
        with pytest.raises(VideoDecodeError, match="none.avi: it cannot be opened"):
            list(open_video(tmp_path / "none.avi", [bundle.frames]))
        with pytest.warns(DamagedVideoWarning, match="cut.avi: decoded"):
            list(open_video(cut, [bundle.frames]))


@linux
def test_a_crash_of_the_other_process_costs_its_file(bundle, video, endless):
    with decoding.reading_elsewhere() as open_video, ThreadPoolExecutor(1) as thread:
        crashed = thread.submit(endless.crash, os.getpid())
        with pytest.raises(VideoDecodeError, match=r"its decoder crashed \(SIGSEGV\)\."):
            list(open_video(endless.path, [bundle.frames]))
        crashed.result()
        assert len(list(open_video(video, [bundle.frames]))) == 12


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_decoder_that_is_killed_says_so_and_goes_on(bundle, video, endless, number):
    """Other than by a crash, the file may not be to blame."""
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        killed = thread.submit(endless.crash, os.getpid(), number)
        with pytest.raises(VideoDecodeError) as error:
            decoder.clips(endless.path, [bundle])
        killed.result()
        assert isinstance(error.value, decoding.DecoderKilledError) == (number == signal.SIGKILL)
        assert decoder.clips(video, [bundle]).info.num_frames == 12


@linux
def test_a_decoder_that_is_stopped_ends_what_it_reads(bundle, endless):
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        reading = thread.submit(decoder.clips, endless.path, [bundle])
        with endless.hanging():
            decoder.stop()
            with pytest.raises(PipelineError, match="the worker processes were stopped"):
                reading.result(timeout=60)
        assert decoder.is_stopped
