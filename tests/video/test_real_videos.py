"""Files of many codecs and containers, some broken: what decodes is what is known of them."""

import csv
import math
import os
import warnings
from pathlib import Path

import cv2
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import DamagedVideoWarning, probe

VIDEOS = os.environ.get("PIPELINE_VIDEOS")
pytestmark = pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")

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


def test_all_odd_files_are_tested():
    assert len(rows(expect="ok")) + len(rows(expect="error")) == 58
    assert {row.id for row in rows(expect="error")} == {*REASONS, AV1}


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


@pytest.mark.parametrize("name", REASONS)
def test_odd_files_without_a_frame(name):
    with pytest.raises(VideoDecodeError) as caught:
        probe(Path(VIDEOS, name))
    assert REASONS[name] in caught.value.reason


def test_av1_decodes_or_is_told():
    if tuple(map(int, cv2.__version__.split(".")[:2])) >= (5, 1):
        assert probe(Path(VIDEOS, AV1), count_frames=True).num_frames == 125
    else:
        with pytest.raises(VideoDecodeError, match="no frame of its AV01 video decodes"):
            probe(Path(VIDEOS, AV1))


def test_ordinary_files_whose_clock_begins_before_their_first_frame_or_varies():
    videos = listed("ut_interaction.csv")[::6]
    infos = [probe(Path(VIDEOS, row["path"]), count_frames=True) for row in videos]
    assert [info.num_frames for info in infos] == [int(row["frames"]) for row in videos]
    infos += [
        probe(Path(VIDEOS, row["path"]), count_frames=True)
        for row in listed("jhmdb_part.csv")[::20]
    ]
    assert all(info.declared_frames > info.num_frames for info in infos)
    assert not any(info.missing_frames for info in infos)


def test_a_clock_that_runs_backwards_is_told(tmp_path):
    """Each time in its table of times is taken for a negative one; those of B-frames are not."""
    data = bytearray(Path(VIDEOS, "odd/mmaction2_test.mp4").read_bytes())
    table = data.index(b"stts") + 4 + 8
    for entry in range(int.from_bytes(data[table - 4 : table], "big")):
        delta = table + 8 * entry + 4
        data[delta : delta + 4] = (2**32 - 1).to_bytes(4, "big")
    (tmp_path / "back.mp4").write_bytes(data.replace(b"edts", b"free"))
    with pytest.warns(DamagedVideoWarning, match="back.mp4: its clock runs backwards again and"):
        assert probe(tmp_path / "back.mp4", count_frames=True).damaged
