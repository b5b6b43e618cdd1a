"""Preparing videos with tables of key points: the rows of the frames that are stored."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pipeline.config import FramesConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.frames.encoding import stored_frames
from pipeline.key_points import Tables
from pipeline.prepare.preparation import check_videos, prepare
from pipeline.prepare.prepared import open_prepared
from pipeline.streams import IMAGES
from pipeline.video import VideoReader, decode_jpeg, write_video
from tests.key_points.tables import NAMES, write_deeplabcut, write_sleap_csv, write_sleap_h5
from tests.prepare.people import configure

FRAMES = FramesConfig(fps=10, size=16, jpeg_quality=95, pose=1, key_points=NAMES)
WIDTH, HEIGHT = 64, 48
pytestmark = pytest.mark.usefixtures("quick_workers")


def coded(num_frames):
    """Frames that are as bright as their numbers."""
    levels = np.arange(0, 5 * num_frames, 5, np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, HEIGHT, WIDTH, 3))


def rows(num_frames):
    """Points whose x is the number of their frame, and whose y differ, float (F, 1, N, 3)."""
    points = np.ones((num_frames, 1, len(NAMES), 3))
    points[..., 0] = np.arange(num_frames)[:, None, None]
    points[..., 1] = [10, 12, 14, 16]
    return points


def video(path, num_frames=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, coded(num_frames), fps=30, codec="FFV1")
    return path


def numbers(path, table, **options):
    """The frame that each stored picture shows, and that whose points are beside it."""
    frames = dataclasses.replace(FRAMES, fps=options.pop("fps", 10))
    with VideoReader(path) as reader:
        stored = list(stored_frames(reader, frames, tables=Tables(table), **options))
    shown = [round(float(decode_jpeg(each["frames"]).mean()) / 5) for each in stored]
    points = [IMAGES["pose"].decode(each["pose"], FRAMES) for each in stored]
    assert [round(float(each[0, 0, 0]) * HEIGHT + WIDTH / 2) for each in points] == shown
    return shown


def test_points_are_those_of_the_frame_that_is_stored(tmp_path):
    path = video(tmp_path / "a.avi")
    table = write_deeplabcut(tmp_path / "aDLC_1.csv", rows(40))
    for fps in (7, 10, 29.97, 45):
        assert len(set(numbers(path, table, fps=fps))) > 8
    table = write_sleap_h5(tmp_path / "a.analysis.h5", rows(40))
    assert numbers(path, table, ticks=[(2, 5), (7, 9)]) == [6, 9, 12, 21, 24]
    path = tmp_path / "a.gif"  # where frames last unequally long
    pictures = list(map(Image.fromarray, coded(12)))
    times = [50, 200, 30, 30, 30, 400, 100, 100, 60, 300, 40, 100]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=times)
    shown = numbers(path, write_sleap_csv(tmp_path / "a.csv", rows(12)))
    assert shown != sorted(set(shown)), "some repeat"
    assert set(range(12)) - set(shown), "some are left out"


def make_folder(root):
    """Eight videos of two classes, in a folder each, and their tables."""
    for number in range(4):
        for label in ("run", "walk"):
            video(root / "videos" / label / f"g{number}.avi", 12 + number)
            table = root / "tables" / label / f"g{number}DLC_net.csv"
            write_deeplabcut(table, rows(12 + number))


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made("key points", make_folder), tmp_path / "folder")


def config(folder, **changes):
    options = {
        "key_points": str(folder / "tables"),
        "group_regex": r"g\d",
        "test_groups": ("g3",),
        "val_fraction": 0.0,
        "fps": 10.0,
        "max_bad_fraction": 0.5,
        "allow_leaks": True,  # All videos look alike.
    }
    return configure(folder / "videos", **{**options, **changes})


def example_of(store, split):
    data = tfds.builder_from_directory(str(store.frames_folder)).as_dataset(split="all")
    key = store.of_split(split)[0].frames.encode()
    return next(each for each in data.as_numpy_iterator() if each["video"] == key)


def test_a_data_set_of_tables_which_changed_ones_make_anew(folder):
    store = prepare(config(folder)).store
    assert store.frames.key_points == NAMES
    assert store.frames.pose == 1, "no table has two"
    example = example_of(store, "test")
    assert example["pose"].shape == (len(example["frames"]), 1, 4, 5)
    assert example["pose"].dtype == np.float32
    assert store.report["pose"] == {"mean_flag": 1.0, "few": []}
    assert open_prepared(store.path).frames == store.frames
    assert prepare(config(folder)).up_to_date
    points = rows(12)
    points[..., 1] += 1
    write_deeplabcut(folder / "tables" / "run" / "g0DLC_net.csv", points)
    again = prepare(config(folder))
    assert not again.up_to_date
    assert again.store.fingerprint != store.fingerprint


def test_videos_without_a_table_that_fits_are_left_out(folder):
    tables = folder / "tables" / "run"
    (tables / "g0DLC_net.csv").unlink()
    write_deeplabcut(tables / "g1DLC_net.csv", rows(60))
    write_deeplabcut(tables / "g2DLC_net.csv", rows(14), names=("a", "b", "c", "d"))
    report = check_videos(config(folder, check=True)).report
    found = {each["video"]: each["reason"] for each in report["left_out"]}
    assert found.keys() == {"run/g0.avi", "run/g1.avi", "run/g2.avi"}
    assert found["run/g0.avi"].startswith("no table of key points for it in ")
    assert "it goes to frame 60, and the file has 13 frames" in found["run/g1.avi"]
    assert "its points are a, b, c, d, those of the others nose, earL" in found["run/g2.avi"]
    for name in ("g0", "g1"):
        shutil.copy(tables / "g3DLC_net.csv", tables / f"{name}DLC_net.csv")
    left_out = prepare(config(folder)).store.report["left_out"]
    assert [video["video"] for video in left_out] == ["run/g2.avi"]


def test_several_animals_and_recordings(folder):
    two = np.concatenate([rows(40), rows(40)], axis=1)
    two[..., 1, :, 1] += 20
    video(folder / "long" / "r.avi")
    write_sleap_h5(folder / "tables" / "r.analysis.h5", two)
    lines = "video,label,start_seconds,end_seconds\nr.avi,sniff,0.2,0.9\n"
    (folder / "events.csv").write_text(lines)
    events = {"source": "events", "path": str(folder / "events.csv")}
    events |= {"videos": str(folder / "long"), "group_regex": "", "test_groups": ()}
    store = prepare(config(folder, **events, people=8, test_fraction=0.0)).store
    assert store.frames.pose == 2
    assert example_of(store, "train")["pose"].shape[1:] == (2, 4, 5)
    assert store.report["pose"]["mean_flag"] == 1.0


def test_what_is_wrong_is_said_before_work_begins_and_key_points_are_described(folder):
    with pytest.raises(ConfigError, match="--key-points takes the place of --pose"):
        config(folder, pose=True)
    with pytest.raises(ConfigError, match="--key-points is for your own videos"):
        PrepareConfig(key_points="tables")
    with pytest.raises(DataError, match="--key-points: .*none is not there"):
        prepare(config(folder, key_points=str(folder / "none")))
    with pytest.raises(DataError, match="no table of key points for it in .*videos"):
        prepare(config(folder, key_points=str(folder / "videos")))
    assert FramesConfig(**FRAMES.as_json()) == dataclasses.replace(FRAMES)
    assert FRAMES.only(["frames"]).key_points == ()
    assert FRAMES.only(["pose"]) == FRAMES
    for people, names in ((1, ("a", "a")), (0, ("a",))):
        with pytest.raises(ConfigError, match="key_points must be different names"):
            FramesConfig(pose=people, key_points=names)
