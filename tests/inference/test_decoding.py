"""What worker processes do with one file; that they cost no other is in `test_many`."""

import dataclasses
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.inference import decoding, decoding_process
from pipeline.inference.bundle import read_bundle
from pipeline.inference.clips import StoredVideo, clips_of
from pipeline.inference.decoding_process import Means
from pipeline.video import DamagedVideoWarning
from tests.inference.videos import write_cut


@pytest.fixture(scope="module")
def bundle(hasty_run):
    return read_bundle(hasty_run)


@pytest.fixture
def name(video):
    return str(video)


def at(bundle, fps):
    return dataclasses.replace(bundle, frames=dataclasses.replace(bundle.frames, fps=fps))


def test_it_says_that_it_lives_while_new_frames_come(bundle, name, monkeypatch):
    """Where a frame repeats, it may be that nothing else comes for ever."""
    said = []
    decoding_process.decode((name, [bundle], Means()), said.append)
    assert said == [name], "it says so seldom"
    monkeypatch.setattr(decoding_process, "_SIGN_OF_LIFE_SECONDS", 0)
    decoded = decoding_process.decode((name, [at(bundle, fps=20)], Means()), said.append)
    assert decoded.info.num_frames == 12
    assert said == [name] * (1 + 1 + 12)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "there is not enough memory to decode it."),
        (ValueError("over\ntwo lines"), "ValueError: over two lines"),
        (VideoDecodeError("a.avi", "it is empty."), "it is empty."),
    ],
)
def test_whatever_happens_is_the_reason(bundle, name, monkeypatch, error, reason):
    def fail(*_):
        raise error

    monkeypatch.setattr(decoding_process, "_WatchedVideo", fail)
    for found in (
        decoding_process.decode((name, [bundle], Means()), lambda _: None),
        decoding_process.read_on((name, [bundle.frames], Means()), lambda _: None),
    ):
        assert isinstance(found, VideoDecodeError)
        assert found.reason == reason


def test_a_clip_holds_its_real_frames(bundle, name):
    for each, number in ((bundle, 8), (at(bundle, fps=2), 3)):
        (clips,), _ = clips_of(partial(StoredVideo, name), [each])
        assert [len(clip["frames"]) for clip in clips] == [number] * 2


def test_another_process_gives_the_same_frames(bundle, name, monkeypatch):
    here = StoredVideo(name, [bundle.frames])
    wanted = list(here)
    for at_once in (4, 5, 100):
        monkeypatch.setattr(decoding_process, "_AT_ONCE", at_once)
        first, *others = parts = list(iter_parts(name, [bundle.frames]))
        assert [frame for part in parts for frame in part.stored] == wanted
        assert [bool(part.info) for part in parts] == [False] * len(others) + [True]
        assert parts[-1].info == here.info
        assert len(first.stored) == min(at_once, 12)


def iter_parts(name, frames):
    while True:
        part = decoding_process.read_on((name, frames, Means()), lambda _: None)
        yield part
        if part.info:
            return
        frames = None


def test_files_one_after_the_other_in_another_process(
    bundle, name, video, blob_videos, endless, tmp_path
):
    """A crash costs its file alone. Of one who was killed, the file may not be to blame."""
    cut = write_cut(tmp_path)
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        for path in (name, blob_videos / "right" / "g01 0.avi"):
            here = StoredVideo(path, [bundle.frames])
            there = decoder.open_video(path, [bundle.frames])
            assert list(there) == list(here)
            assert there.info == here.info
        with pytest.raises(VideoDecodeError, match="none.avi: it cannot be opened"):
            list(decoder.open_video(tmp_path / "none.avi", [bundle.frames]))
        with pytest.warns(DamagedVideoWarning, match="cut.avi: decoded"):
            list(decoder.open_video(cut, [bundle.frames]))
        crashed = thread.submit(endless.crash, os.getpid())
        with pytest.raises(VideoDecodeError, match=r"its decoder crashed \(SIGSEGV\)\.") as error:
            list(decoder.open_video(endless.path, [bundle.frames]))
        crashed.result()
        assert not isinstance(error.value, decoding.DecoderKilledError)
        killed = thread.submit(endless.crash, os.getpid(), signal.SIGKILL)
        with pytest.raises(decoding.DecoderKilledError):
            decoder.clips(endless.path, [bundle])
        killed.result()
        assert decoder.clips(video, [bundle]).info.num_frames == 12


def test_a_decoder_that_is_stopped_ends_what_it_reads(bundle, endless):
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        reading = thread.submit(decoder.clips, endless.path, [bundle])
        with endless.hanging():
            decoder.stop()
            with pytest.raises(PipelineError, match="the worker processes were stopped"):
                reading.result(timeout=60)
        assert decoder.is_stopped
