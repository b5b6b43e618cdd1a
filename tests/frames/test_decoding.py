"""What is decoded of a file, and what becomes of it when something goes wrong."""

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config import FramesConfig
from pipeline.frames import chunks, decoding, encoding
from pipeline.frames.chunks import StoredVideo
from pipeline.frames.decoding import WHOLE_FILE, DecodeTask, Look, decode_file
from pipeline.frames.encoding import encode_video
from pipeline.frames.hashing import hash_positions, video_hash
from pipeline.frames.store import frames_key
from pipeline.video import VideoReader, decode_grey_jpeg, write_video
from tests.prepare.people import render

FRAMES = FramesConfig(fps=5, size=16, jpeg_quality=90)


def task_of(path, folder, *spans, **changes):
    folder.mkdir(exist_ok=True)
    values = {"path": str(path), "name": path.name, "folder": str(folder), "frames": FRAMES}
    return DecodeTask(**{**values, "spans": spans or (WHOLE_FILE,), **changes})


@pytest.fixture
def passes(monkeypatch):
    """Frames that were decoded, by each reader of a file."""
    found = []
    grab = VideoReader._timestamps

    def counted(reader):
        found.append(0)
        for stamp in grab(reader):
            found[-1] += 1
            yield stamp

    monkeypatch.setattr(VideoReader, "_timestamps", counted)
    return found


def test_a_file_is_stored_once_and_what_is_there_is_not_decoded(tmp_path, passes):
    path = render(tmp_path / "a.avi", 1, num_frames=300)
    task, told = task_of(path, tmp_path / "out"), []
    report = decode_file(task, on_video=told.append)
    whole = encode_video(path, FRAMES)[0]["frames"]
    passes[:] = passes[-2:-1]
    assert told == ["a.avi"] * 3, "when it begins, and at each chunk"
    assert (report.num_decoded, report.stored_frames, report.num_frames) == (150, 150, 300)
    assert (report.width, report.height, report.fps, report.declared_frames) == (32, 24, 10, 300)
    assert (report.duration_seconds, report.codec) == (pytest.approx(30), "ffv1")
    (read,) = StoredVideo(tmp_path / "out", report.key).read(range(150), ["frames"])
    assert read == whole
    shown = [decode_grey_jpeg(whole[position]) for position in hash_positions(150)]
    assert report.looks == {WHOLE_FILE: Look(first=0, num_frames=150, hash=video_hash(shown))}
    again = decode_file(task)
    assert again == dataclasses.replace(report, num_decoded=0)
    elsewhere = decode_file(task_of(path, tmp_path / "other", others=(str(tmp_path / "out"),)))
    assert elsewhere == again
    assert passes == [300]
    for changes in ({"fps": 4}, {"size": 17}, {"jpeg_quality": 91}, {"flow": True}):
        frames = dataclasses.replace(FRAMES, **changes)
        assert frames_key(report.digest, frames) != report.key
    assert len({frames_key(d, FRAMES, t) for d in "ab" for t in ("", "c")}) == 4


def test_parts_are_ranges_of_the_chunks_that_they_touch(tmp_path, passes):
    path = render(tmp_path / "a.avi", 1, num_frames=2000)  # 1,000 are stored, in 8 chunks
    whole = encode_video(path, FRAMES)[0]["frames"]
    passes.clear()
    spans = [(0, 1), (1, 3), (2, 4), (130, 131), (199.5, math.inf), (203, 209), (55.01, 55.02)]
    report = decode_file(task_of(path, tmp_path / "out", *spans[:4]))
    assert passes == [1536], "up to the first frame after the last part"
    assert (report.num_decoded, report.stored_frames, report.num_frames) == (256, None, None)
    found = {span: (look.first, look.num_frames) for span, look in report.looks.items()}
    expected = {(0, 1): (0, 5), (1, 3): (5, 10), (2, 4): (10, 10), (130, 131): (650, 5)}
    assert found == expected
    assert [chunk for _, _, chunk in report.segments] == [2]
    video = StoredVideo(tmp_path / "out", report.key)
    for first, number in expected.values():
        (read,) = video.read(range(first, first + number), ["frames"])
        assert read == whole[first : first + number]
    with pytest.raises(KeyError):
        video.read([200], ["frames"])
    # Further parts decode their own chunks, and what is beyond the end is said.
    report = decode_file(task_of(path, tmp_path / "out", *spans))
    assert (report.num_decoded, report.stored_frames, report.num_frames) == (232, 1000, 2000)
    found = {span: (look.first, look.num_frames) for span, look in report.looks.items()}
    assert found == expected | {
        (199.5, math.inf): (997, 3),
        (203, 209): (1015, 0),
        (55.01, 55.02): (275, 1),
    }
    report = decode_file(task_of(path, tmp_path / "out"))
    assert report.num_decoded == 1000 - 256 - 232
    (read,) = StoredVideo(tmp_path / "out", report.key).read(range(1000), ["frames"])
    assert read == whole


def test_flow_into_a_chunk_comes_from_the_frame_before_it(tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(256, size=(8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(picture, index, axis=1) for index in range(300)])
    decoding_of = dataclasses.replace(FRAMES, fps=10, size=32, flow=True)
    write_video(tmp_path / "slide.avi", frames, fps=10, codec="FFV1")
    whole = encode_video(tmp_path / "slide.avi", decoding_of)[0]
    task = task_of(tmp_path / "slide.avi", tmp_path / "out", (13, 14), (27, 28), frames=decoding_of)
    report = decode_file(task)
    assert report.num_decoded == 128 + 44
    assert [look.first for look in report.looks.values()] == [130, 270]
    names, numbers = ["frames", "flow"], [128, 129, 255, 256, 299]
    read = StoredVideo(tmp_path / "out", report.key).read(numbers, names)
    assert read == [[whole[name][number] for number in numbers] for name in names]


def fail(error):
    def raising(_):
        raise error

    return raising


@pytest.mark.parametrize(
    ("happens", "problem", "reason"),
    [
        (fail(cv2.error("wrong\nsize")), "unreadable", "error: wrong size"),
        (fail(MemoryError()), "unreadable", "there is not enough memory to decode it."),
        (fail(OSError(5, "Input/output")), "unreadable", "cannot be read: Input/output."),
        (lambda path: Path(path).unlink(), "", ""),
    ],
)
def test_whatever_happens_at_a_file_costs_it_alone(tmp_path, monkeypatch, happens, problem, reason):
    path = render(tmp_path / "a.avi", 1)

    def stored(reader, *arguments, **options):
        yield from encoding.stored_frames(reader, *arguments, **options)
        happens(reader.info.path)

    monkeypatch.setattr(decoding, "stored_frames", stored)
    report = decode_file(task_of(path, tmp_path / "out"))
    assert (report.problem, bool(report.key)) == (problem, not problem)
    assert reason in report.reason
    left = [file.suffix for file in (tmp_path / "out").iterdir()]
    assert left == [] if problem else len(left) == 2


def test_files_that_are_missing_damaged_cost_a_worker_or_are_no_videos(tmp_path):
    content = render(tmp_path / "cut.avi", 1, num_frames=60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    (tmp_path / "no.avi").write_text("no video")

    def decoded(name, **changes):
        return decode_file(task_of(tmp_path / name, tmp_path / "out", **{"name": name, **changes}))

    cut = decoded("cut.avi")
    assert cut.declared_frames == 60
    assert 20 <= cut.num_frames <= 40
    assert cut.damage.startswith(f"decoded {cut.num_frames} of 60 declared frames")
    gone, windows = decoded("gone.avi"), decoded("gone\\a.avi")
    assert (gone.problem, gone.num_decoded) == ("missing", 0)
    assert windows.reason.endswith("Write its path with forward slashes.")
    assert decoded("no.avi").problem == "unreadable"
    lost = decoded("cut.avi", lost="its decoder crashed")
    assert (lost.problem, lost.reason) == ("lost", "its decoder crashed")


def test_a_chunk_that_is_damaged_is_decoded_anew(tmp_path, passes):
    path = render(tmp_path / "a.avi", 1)
    passes.clear()
    report = decode_file(task_of(path, tmp_path / "out"))
    first, *_ = report.segments[0]
    file = chunks.segment_file(tmp_path / "out", report.key, first)
    content = file.read_bytes()
    file.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    assert decode_file(task_of(path, tmp_path / "out")).num_decoded == report.num_decoded
    assert file.read_bytes() == content
    assert len(passes) == 2
