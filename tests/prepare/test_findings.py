"""Copies and other leaks are found; what merely looks alike is none; and the report on the data."""

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from pipeline.config import FramesConfig
from pipeline.frames.decoding import FileReport, Look
from pipeline.frames.encoding import encode_video
from pipeline.frames.hashing import file_digest, hash_positions, video_hash
from pipeline.manifest.rows import Row
from pipeline.prepare.data_report import as_markdown, describe
from pipeline.prepare.duplicates import near_duplicates, same_digest
from pipeline.prepare.leaks import copied, crossing, duplicates, harmless, leaking
from pipeline.prepare.plan import SourceVideo, Video
from pipeline.video import decode_grey_jpeg, write_video

FRAMES = FramesConfig(fps=15, size=64, jpeg_quality=95)
HEIGHT, WIDTH = 96, 128
BITS = 1024
MOST = 256


def hash_file(path):
    images, _ = encode_video(path, FRAMES)
    frames = images["frames"]
    return video_hash([decode_grey_jpeg(frames[index]) for index in hash_positions(len(frames))])


def hash_frames(frames):
    return video_hash(frames[hash_positions(len(frames))].mean(axis=-1).astype(np.uint8))


def place(seed):
    """A still scene, float (HEIGHT, WIDTH, 3): coarse patches with a fine grain."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(40, 200, (12, 16, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return np.float32(patches + rng.normal(0, 8, (HEIGHT, WIDTH, 3)))


def film(scene, take, num_frames=60):
    """Films somebody dark who walks through a scene, at a speed that changes."""
    rng = np.random.default_rng(take)
    legs = rng.uniform((0, 0), (HEIGHT - 32, WIDTH - 16), (5, 2))
    path = [np.interp(np.linspace(0, 4, num_frames), range(5), axis) for axis in legs.T]
    frames = scene + rng.standard_normal((num_frames, HEIGHT, WIDTH, 3), np.float32)
    for frame, y, x in zip(frames, *np.int64(path), strict=True):
        frame[y : y + 32, x : x + 16] = 20
    return np.clip(frames, 0, 255).astype(np.uint8)


def distance(first, second):
    return (int(first, 16) ^ int(second, 16)).bit_count()


def test_what_tells_a_video_apart_is_how_it_changes_from_end_to_end():
    assert hash_positions(64).tolist() == list(range(1, 64, 2))
    assert hash_positions(1).tolist() == [0] * 32
    assert hash_positions(3).tolist() == [0] * 11 + [1] * 10 + [2] * 11
    assert hash_positions(1000)[[0, -1]].tolist() == [15, 984]
    frames = film(place(0), take=0)
    assert distance(hash_frames(frames), hash_frames(frames[::-1])) > MOST + 64
    frames = frames[[0, -1]]
    assert distance(hash_frames(frames), hash_frames(frames[::-1])) > MOST, "of two that change"
    dark = place(0) < 120
    frames = np.repeat([dark, ~dark], [25, 35], axis=0).astype(np.uint8)
    assert distance(hash_frames(frames * 255), hash_frames(frames * 180)) < MOST, "keep their sign"
    assert hash_frames(film(np.full((HEIGHT, WIDTH, 3), 60), take=0)) is not None, "of one colour"


COPIES = (
    ("smaller.avi", 30, lambda frames: frames[:, ::2, ::2]),
    ("half the rate.mp4", 15, lambda frames: frames[::2]),
    ("brighter.avi", 30, lambda frames: np.uint8(np.clip(frames * 1.1, 0, 255))),
    ("grey.mov", 30, lambda frames: np.uint8(frames.mean(axis=3, keepdims=True).repeat(3, 3))),
    ("start cut off.mp4", 30, lambda frames: frames[3:]),
    ("end cut off.mp4", 30, lambda frames: frames[:-3]),
)


def test_a_copy_is_found_and_other_takes_at_a_place_or_elsewhere_are_none(tmp_path):
    frames = film(place(0), take=0)
    write_video(tmp_path / "video.avi", frames, fps=30, codec="FFV1")
    wanted = hash_file(tmp_path / "video.avi")
    for name, fps, change in COPIES:
        write_video(tmp_path / name, change(frames), fps=fps)
        assert near_duplicates([wanted, hash_file(tmp_path / name)]) == [[0, 1]], name
    takes = [hash_frames(film(place(0), take)) for take in range(12)]
    places = [hash_frames(film(place(seed), take=0)) for seed in range(12)]
    assert near_duplicates([*takes, *places]) == [[0, 12]], "which are one film"


def resting(take):
    """A fixed camera on somebody who breathes, in a light that changes."""
    rng = np.random.default_rng(take)
    frames = place(0) + 4 * rng.standard_normal((60, HEIGHT, WIDTH, 3), np.float32)
    for index in range(60):
        frames[index, 40 : 60 + rng.integers(2), 50:80] = 20
    light = rng.uniform(0.9, 1.1) * np.linspace(1, rng.uniform(0.9, 1.1), 60)
    return np.clip(frames * light[:, None, None, None], 0, 255).astype(np.uint8)


def test_stretches_in_which_nothing_moves_are_no_copies_and_flat_videos_have_no_hash():
    # Of one camera they all look the same; many frames, or a few, or one that stays.
    films = [resting(take) for take in range(4)]
    hashes = [hash_frames(frames[:most]) for frames in films for most in (1, 2, 3, 60)]
    assert len(hashes) == 16
    assert None not in hashes
    assert near_duplicates(hashes) == []
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    rng = np.random.default_rng(0)
    for flat in (0 * rows, columns // 16 % 2 * 200, rows // 16 % 2 * 200, rows + columns):
        for noise in (0, 10):
            frames = 20 + flat[..., None] * 0.8 + rng.normal(0, noise, (40, HEIGHT, WIDTH, 3))
            assert hash_frames(np.clip(frames, 0, 255).astype(np.uint8)) is None


def test_many_that_look_the_same_or_a_chain_are_one_group():
    start = int.from_bytes(np.random.default_rng(0).bytes(BITS // 8))
    chain = [digits_at(start, bits=bits) for bits in (0, 200, 400)]
    assert near_duplicates(chain) == [[0, 1, 2]]
    assert near_duplicates(chain, "abc", "xxy") == [[1, 2]]
    assert near_duplicates(chain, "aab", "xyy") == []
    # Of all pairs there would be 4 million, of which one alone is not within a file.
    hashes = [digits_at(start, bits=number % 100) for number in range(3000)]
    one_group, files = ["a"] * 2999, list(map(str, range(3000)))
    tracemalloc.start()
    assert near_duplicates(hashes, files, [*one_group, "b"]) == [[*range(3000)]]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * 2**20
    assert near_duplicates(hashes, files, [*one_group, "a"]) == []
    assert near_duplicates(hashes) == [[*range(3000)]]


def test_parts_of_files_must_be_more_alike_than_most_parts_of_one_file_are():
    start = int.from_bytes(np.random.default_rng(0).bytes(BITS // 8))

    def found(*bits, files="aab"):
        return near_duplicates([digits_at(start, bits=each) for each in bits], files)

    # In file a they differ in 300 or 60 bits: two in three of them may be other ones.
    assert found(0, 300, 500) == found(0, 60, 100) == [[1, 2]]
    assert found(0, 300, 501) == found(0, 60, 101) == []
    assert found(100, 0, 60, files="baa") == [[0, 2]], "wherever they stand"
    # A few that lie over each other in a file say nothing of the others in it.
    assert found(0, 4, *range(100, 1000, 90), 60, files="a" * 12 + "b") == [[0, 1, 2, 12]]


def digits_at(start, *, bits):
    """A hash that differs from another one in the last `bits` bits."""
    return f"{start ^ (1 << bits) - 1:0256x}"


def test_pairs_up_to_the_limit_are_found_wherever_they_lie():
    rng = np.random.default_rng(0)
    starts = [int.from_bytes(rng.bytes(BITS // 8)) for _ in range(4300)]
    hashes = [digits_at(start, bits=0) for start in starts]
    expected = [[0, 4299], [5, 6], [63, 64], [127, 4162], [4097, 4200]]
    for first, second in expected:
        hashes[second] = digits_at(starts[first], bits=MOST)
    hashes[9] = digits_at(starts[8], bits=MOST + 2)
    assert near_duplicates(hashes) == expected
    hashes[0] = hashes[3] = None
    hashes.insert(64, None)
    assert near_duplicates(hashes) == [[5, 6], [63, 65], [128, 4163], [4098, 4201]]
    assert near_duplicates([]) == near_duplicates([None, None]) == []


def test_files_of_the_same_bytes_are_grouped(tmp_path):
    contents = [b"cat", b"dog", b"cat", b"horse", b"dog", b"cat"]
    paths = [str(tmp_path / str(number)) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        Path(path).write_bytes(content)
    digests = list(map(file_digest, paths))
    assert same_digest(paths, digests) == [[0, 2, 5], [1, 4]]
    assert same_digest([paths[0], paths[0]], digests[:1] * 2) == [], "named repeatedly"
    assert same_digest(["a", "b", "c", "d", "c"], ["", "", "1", "1", "1"]) == [[2, 3, 4]], "unknown"
    with pytest.raises(FileNotFoundError, match="gone"):
        file_digest("gone")


# What lets a model be tested on what it was trained on.


def part(label, start, end, split="train"):
    row = Row(path="/v/a.avi", label=label, group="ann", split=split)
    return dataclasses.replace(row, start_seconds=start, end_seconds=end)


LABELLED = "video file '/v/a.avi' is labelled 'run' and 'walk' at the same time"


def test_groups_files_and_parts_of_them_that_cross():
    for parts, message in (
        ([("run", 1, 3), ("walk", 0, 9), ("sit", 9, 10)], LABELLED),
        ([("run", 0, 9), ("run", 1, 2), ("walk", 3, 4)], LABELLED),
        ([("run", 0, 2), ("walk", 2, 3), ("run", 1, 2)], ""),
        (
            [("run", 0, 1), ("run", 1, 2, "test")],
            "group 'ann' is in train and test, video file '/v/a.avi' is in train and test",
        ),
    ):
        assert ", ".join(crossing([part(*values) for values in parts])) == message


FILE_FIELDS = {"fps", "codec", "width", "damage", "digest"}
LOOKS = np.random.default_rng(0).bytes(128).hex()


def video(name, split="train", group="ann", label=None, **report):
    label = name.split("/")[0] if label is None else label
    row = Row(path=f"/v/{name}", label=label, group=group, split=split)
    values = {"decoded_frames": 20, "declared_frames": 20, "duration_seconds": 2.0, **report}
    of_file = {"fps": 10.0, "codec": "mp4v", "width": 320, "height": 240}
    of_file |= {key: values.pop(key) for key in FILE_FIELDS & values.keys()}
    look = Look(first=0, num_frames=0, hash=values.pop("hash", None))
    source = SourceVideo(row=row, file=name, num_bytes=1, modified_ns=2)
    return Video(source=source, file=FileReport(**of_file), look=look, **values)


def video_of(name, split="train", label="run", looks=None):
    return video(name, split, name, label, digest=name[:1], hash=looks)


def test_copies_within_a_split_and_label_and_bouts_of_a_group_are_no_leak():
    videos = [video_of(name) for name in ("a1", "a2", "b1", "a3")]
    message = "a1 (train run), a2 (train run), a3 (train run) are the same, or nearly"
    found = duplicates(videos)
    assert (leaking(found), harmless(found)) == ([], [message])
    other = [videos[0], video_of("a2", label="walk")]
    assert leaking(duplicates(other)) == ["a1 (train run), a2 (train walk) have the same content"]
    videos.append(video_of("b2", "test"))
    found = duplicates(videos)
    assert leaking(found) == ["b1 (train run), b2 (test run) have the same content"]
    assert harmless(found) == [message]
    assert copied([video.source for video in videos], [(0, 1, 3), (2, 4)]) == found
    without_labels = [video_of(name, "", "") for name in ("a1", "a2")]
    assert harmless(duplicates(without_labels)) == ["a1, a2 are the same, or nearly"]
    # Those that hold the same bytes are named together with those that look the same.
    alike = [video_of(name, looks=LOOKS) for name in ("a1", "b1", "c1", "c2")]
    assert [text.count("train run") for text in harmless(duplicates(alike))] == [4]
    # Of copies, the first is compared for all.
    copies = [video_of(f"a{number}", looks=LOOKS) for number in range(12)]
    same, alike = duplicates([*copies, video_of("b", looks=LOOKS)])
    assert (len(same.sources), same.what) == (12, "have the same content")
    assert [source.name for source in alike.sources] == ["a0", "b"]
    bouts = []
    for group, split in (("ann", "train"), ("bob", "test")):
        for file in range(2):
            row = dataclasses.replace(part(group, 0, 2, split), path=f"/{group}{file}", group=group)
            source = SourceVideo(row=row, file=f"{group}{file}")
            bout = video(source.file, digest=source.file, hash=LOOKS)
            bouts.append(dataclasses.replace(bout, source=source))
    assert not duplicates(bouts[:2])
    (found,) = leaking(duplicates(bouts))
    assert found.endswith(" look the same")
    assert [found.count(name) for name in ("ann0", "ann1", "bob0", "bob1")] == [1, 1, 1, 1]


# The report.

NOTHING = {"added": [], "changed": [], "removed": []}


VIDEOS = [
    video("run/1", group="ann"),
    video("run/2", group="bob", duration_seconds=7.0, fps=30.0, width=64),
    video("run/3", group="bob", codec="ffv1", decoded_frames=18, missing_frames=2),
    video("wa|k/1", group="ann", decoded_frames=5, damaged=True),
    video("wa|k/2", "test", "cid", damaged=True, damage="its clock jumps"),
    video("run/4", "test", "cid", problem="unreadable", reason="it is empty"),
    video("run/5", "test", "ann", decoded_frames=18),  # for whose time there are frames
]
REPORT = describe(VIDEOS, ["a leak"], {**NOTHING, "added": ["run/5"]}, ["a copy"])


def test_a_random_split_would_have_leaked():
    """Six groups of ten videos each: hardly a test video could be alone."""
    numbers = [(group, index) for group in range(6) for index in range(10)]
    splits = ["train"] * 5 + ["test"]
    videos = [video(f"run/{group}{index}", splits[group], f"g{group}") for group, index in numbers]
    found = describe(videos, [], NOTHING)["random_split"]
    assert found == {"num_test": 10, "beside_their_group": 10}
    splits = ["train"] * 10 + ["test"] * 2
    alone = [video(f"run/{index}", splits[index], f"g{index}") for index in range(12)]
    assert describe(alone, [], NOTHING)["random_split"] == {"num_test": 2, "beside_their_group": 0}


def test_names_are_text_on_the_page():
    name = "a`![x](http://b)<img src=x>"
    videos = [
        video(f"{name}/{number}", split, codec=name, damage=name, decoded_frames=frames)
        for number, (split, frames) in enumerate([("train", 20), ("train", 5), ("test", 90)])
    ]
    videos += [video(f"{name}2/1", problem="unreadable", reason=name), video(f"{name}3/1")]
    report = describe(videos, [name], {"added": [name]}, [name])
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(as_markdown(report))
    assert page.count("<code>") == page.count("</code>") >= 5
    assert "<img" not in page
    assert "<a" not in page


def test_the_page():
    lines = as_markdown(REPORT).splitlines()
    wanted = (
        "6 videos of 3 groups, 17.0 s; 1 left out.",
        "| run | 3 | 2 | 11.0 s | 1 | 1 | 2.0 s |",
        "| wa\\|k | 1 | 1 | 2.0 s | 1 | 1 | 2.0 s |",
        "| **all** | 4 | 2 | 13.0 s | 2 | 2 | 4.0 s |",
        "| length in seconds | 2 | 2 | 7 |",
        "| frames per second | 10 | 10 | 30 |",
        "| width in pixels | 64 | 320 | 320 |",
        "| height in pixels | 240 | 240 | 240 |",
        "Codecs: mp4v (5), ffv1 (1).",
        "Imbalance: `run` has 3 times as many training videos as `wa|k`.",
        *("- a leak", "- a copy", "- `run/4`: it is empty", "- added: `run/5`"),
    )
    assert [line for line in wanted if line not in lines] == []
    fewer = lines[lines.index("## Fewer frames than declared") + 2 :]
    assert fewer[0] == "- `wa|k/1`: 5 of 20 frames, damaged or shorter than asked"
    assert fewer[1:3] == ["- `run/3`: 18 of 20 frames", ""]
    assert lines[lines.index("## Clocks that jump") + 2] == "- `wa|k/2`"
    nothing_new = as_markdown(describe([video("run/1"), video("walk/1")], [], {}))
    assert "## Since the last time" not in nothing_new
    assert "Imbalance: none, all classes have as many training videos." in nothing_new
    videos = [video(f"run/{n}", problem="missing", reason="gone") for n in range(30)]
    many = as_markdown(describe(videos, [], NOTHING)).splitlines()
    assert sum("gone" in line for line in many) == 20
    assert "- and 10 more, all of them in `data_report.json`" in many
    for videos in ([], [video("run/1", "")]):
        report = describe(videos, [], NOTHING)
        assert report["splits"] == {}
        assert "random_split" not in report
        assert as_markdown(report).startswith("# Data report")
