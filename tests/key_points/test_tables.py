"""Tables of each format, which is of which video, and what is stored of their rows."""

import os
import pickle
import re
import sys
from contextlib import nullcontext

import h5py
import numpy as np
import pytest

from pipeline.errors import DataError, VideoDecodeError
from pipeline.key_points import KeyPoints, Tables
from pipeline.key_points.files import read_head, read_table
from pipeline.key_points.table import Table, clean
from tests.key_points.tables import (
    NAMES,
    some_points,
    write_deeplabcut,
    write_sleap_csv,
    write_sleap_h5,
)
from tests.video.videos import known


def with_gaps(animals):
    """The second animal comes later, and a point is missing."""
    points = some_points(6, animals)
    points[:2, 1:] = np.nan
    points[4, 0, 2] = np.nan
    return points


def both(path):
    """The table, and whether its head says the same."""
    table, head = read_table(path, "a.mp4"), read_head(path, "a.mp4")
    assert head == (table.names, table.points.shape[1])
    return table


AXES = ("frame", "track", "node", "xy")
SEVERAL = {"animals": ("mouse1", "mouse2"), "place": ("corner", "nose")}


@pytest.mark.parametrize(
    ("write", "name", "animals", "options"),
    [
        (write_deeplabcut, "a.csv", 1, {}),
        (write_deeplabcut, "a.csv", 2, SEVERAL),  # without the points of the place
        (write_sleap_h5, "a.analysis.h5", 2, {}),
        (write_sleap_h5, "a.analysis.h5", 2, {"dims": AXES}),
        (write_sleap_csv, "a.analysis.csv", 2, {}),
        (write_sleap_csv, "a.analysis.csv", 2, {"tracked": False}),
    ],
)
def test_tables_of_each_format(tmp_path, write, name, animals, options):
    points = with_gaps(animals)
    table = both(write(tmp_path / name, points, **options))
    assert table.names == NAMES
    assert table.is_whole == (write is write_deeplabcut)
    np.testing.assert_array_equal(table.points, np.nan_to_num(points).astype(np.float32))


def test_numbers_of_rows_and_points_without_a_score_and_files_of_another_kind(tmp_path):
    points = some_points(3)
    table = both(write_deeplabcut(tmp_path / "a.csv", points, first=2))
    assert not table.points[:2].any(), "the number of a row is that of its frame"
    np.testing.assert_array_equal(table.points[2:], points.astype(np.float32))
    points[1, 0, 0, 2] = np.nan  # A person placed it, and is sure.
    table = both(write_sleap_h5(tmp_path / "a.analysis.h5", points))
    assert table.points[1, 0, 0, 2] == 1
    points[0, 0, 1, 2] = 1.2
    table = both(write_sleap_csv(tmp_path / "a.csv", points))
    assert table.points[1, 0, 0, 2] == table.points[0, 0, 1, 2] == 1
    path = tmp_path / "bytes.csv"

    def expect(message, read=read_table):
        with pytest.raises(VideoDecodeError, match=message):
            read(path, "v.mp4")

    expect("cannot be read: No such file")
    path.write_bytes(b"\xff\xfe\x00")
    expect("its table of key points, bytes.csv: expected text, got binary data")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("df_with_missing").attrs["pandas_type"] = "frame_table"
    expect("DeepLabCut is read as CSV: .*save_as_csv=True")
    path.write_bytes(b"abc")
    expect("it is no HDF5 file, or damaged", read_head)
    write_sleap_h5(path, some_points(2), names=NAMES[:3])
    expect("do not fit each other")


TOP = "scorer,s,s\nbodyparts,a,a\ncoords,x,y\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("frame,x,y\n", "expected a table of DeepLabCut, which begins with scorer, or of SLEAP"),
        ("scorer,s\nbodyparts,a\n", "expected rows of scorer, bodyparts, coords or scorer, indi"),
        ("scorer,s\nbodyparts,a\ncoords,x\n0,1\n", "it has no y of a"),
        ("scorer,s\nbodyparts,a,b\ncoords,x\n0,1\n", "the rows at its top are of different length"),
        (TOP, "it has no row of a frame"),
        (f"{TOP}labeled-data/a/img1.png,1,2\n", "line 4: expected the number of a frame of a vide"),
        (f"{TOP}0,1,2\n1,1\n", "line 5: expected 3 cells, got 2"),
        (f"{TOP}0,1,two\n", "line 4: expected numbers: could not convert"),
        (f"{TOP}99999999999,1,2\n", "line 4: expected the number of a frame"),
        ("track,frame_idx,a.x\n,0,1\n", "it has no column a.y"),
        ("track,frame_idx\n,0\n", "it has no column NODE.x"),
        ("track,frame_idx,a.x,a.y\n,0,1\n", "line 2: expected 4 cells, got 3"),
        ("track,frame_idx,a.x,a.y\n", "it has no row of a frame"),
        ("a\0b\n", "expected text, got binary data"),
    ],
)
def test_a_file_that_is_no_table(tmp_path, text, reason):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    message = f"v.mp4: its table of key points, a.csv: .*{re.escape(reason)}"
    with pytest.raises(VideoDecodeError, match=message):
        read_table(path, "v.mp4")


OTHERS = ("m 10DLC_x.csv", "am 1.csv", "m 1DLC_x_skeleton.csv", "m 1.slp", "m 1_2DLC_x.csv")


@pytest.mark.parametrize(
    "name",
    [
        "m 1.csv",
        "m 1DLC_resnet50_openfieldJun30shuffle1_500.csv",
        "m 1DLC_dlcrnetms5_miceshuffle1_50000_el.csv",
        "m 1_superanimal_quadruped_hrnet_w32.csv",
        "m 1.analysis.h5",
        "m 1.mp4.predictions.analysis.h5",
        "m 1.predictions.csv",
        "labels.v001.000_m 1.analysis.h5",
    ],
)
def test_a_table_is_found_by_the_name_of_its_video(tmp_path, name):
    for each in (name, *OTHERS):
        (tmp_path / each).touch()
    assert Tables(tmp_path).of("videos/m 1.mp4") == tmp_path / name
    with pytest.raises(VideoDecodeError, match="none.mp4: no table of key points for it in "):
        Tables(tmp_path).of("none.mp4")
    # Of several tables of one video, the filtered one counts.
    for each in ("aDLC_1.h5", "aDLC_1.csv", "aDLC_1_filtered.csv", "aDLC_1_filtered.h5"):
        (tmp_path / each).touch()
    assert Tables(tmp_path).of("a.mp4").name == "aDLC_1_filtered.csv"
    (tmp_path / "aDLC_2.csv").touch()
    with pytest.raises(VideoDecodeError, match=r"2 tables of key points for it: .*Leave one"):
        Tables(tmp_path).of("a.mp4")


def test_tables_in_folders_as_those_of_the_videos(tmp_path):
    """Asking for one takes no more steps where there are more."""
    for label in ("run", "walk"):
        write_deeplabcut(tmp_path / "tables" / label / "aDLC_1.csv", some_points(2))
    given = Tables(tmp_path / "tables")
    tables, again = (pickle.loads(pickle.dumps(given)) for _ in range(2))  # noqa: S301
    assert tables is again, "each process looks for the tables once"
    other = Tables(tmp_path / "tables")
    assert pickle.loads(pickle.dumps(other)) is not tables, "another preparation"  # noqa: S301
    videos = [tmp_path / "videos" / label / "a.mp4" for label in ("run", "walk")]
    assert [tables.of(video).parent.name for video in videos] == ["run", "walk"]
    assert tables.head(map(str, videos)) == (NAMES, 1)
    write_deeplabcut(tmp_path / "flat" / "aDLC_1.csv", some_points(2))
    with pytest.raises(DataError, match="by its name it is of .*run/a.mp4 and of .*walk/a.mp4"):
        Tables(tmp_path / "flat").head(map(str, videos))
    assert tables.head([str(videos[0])] * 2).individuals == 1
    with pytest.raises(DataError, match="--key-points: none is not there"):
        Tables("none")
    steps = []
    for number in (20, 200):
        for index in range(number):
            (tmp_path / "flat" / f"clip{index}DLC_1.csv").touch()
        tables = Tables(tmp_path / "flat")
        tables.of("clip3.mp4")
        calls = []
        sys.setprofile(lambda _frame, event, _value, calls=calls: calls.append(event))
        found = tables.of("clip7.mp4")
        sys.setprofile(None)
        assert found.name == "clip7DLC_1.csv"
        steps.append(len(calls))
    assert steps[0] == steps[1]


def test_most_tables_say_which_points_there_are_and_one_of_many_clips_is_read_once(tmp_path):
    write_deeplabcut(tmp_path / "a.csv", some_points(2)[:, :, :2], names=("x1", "x2"))
    write_deeplabcut(tmp_path / "b.csv", some_points(2))
    write_sleap_h5(tmp_path / "c.analysis.h5", some_points(2, 3))
    (tmp_path / "d.csv").write_text("nothing")
    assert Tables(tmp_path).head(f"{name}.mp4" for name in "abcd") == (NAMES, 3)
    with pytest.raises(DataError, match=r"d.mp4: its table of key points, d.csv: expected"):
        Tables(tmp_path).head(["d.mp4", "e.mp4"])
    assert Tables(tmp_path / "a.csv").of("z.mp4") == tmp_path / "a.csv"
    tables = Tables(write_deeplabcut(tmp_path / "a.csv", some_points(2)))
    path, table = tables.read("a.mp4")
    assert tables.read("a.mp4")[1] is table
    assert path == tables.path
    write_deeplabcut(path, some_points(3))
    os.utime(path, ns=(1, 1))
    assert len(tables.read("a.mp4")[1].points) == 3
    path.unlink()
    with pytest.raises(VideoDecodeError, match=r"a.csv: cannot be read: No such file"):
        tables.read("a.mp4")


def placed(points, individuals, names=NAMES):
    table = Table(names, clean(points[..., :2], points[..., 2]), is_whole=True)
    return KeyPoints(table, individuals, 48, 64)


def test_places_and_sizes_are_in_heights_of_the_frame(tmp_path):
    points = some_points(3, 1)
    points[1, 0, 2] = np.nan
    found = placed(points, 2)
    shown = found.at(0)
    assert shown.shape == (2, 4, 5)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown[0, :, :2], (points[0, 0, :, :2] - (32, 24)) / 48, rtol=1e-5)
    np.testing.assert_allclose(shown[0, :, 2], points[0, 0, :, 2], rtol=1e-5)
    np.testing.assert_allclose(shown[0, :, 4], points[0, 0, :, 2].mean(), rtol=1e-5)
    assert not shown[1].any(), "there is one"
    assert not found.at(1)[0, 2, :3].any(), "the point is missing"
    assert not found.at(3).any(), "the table has ended"
    points = some_points(10, 3)
    points[3:, 0] = np.nan  # of three, two are seen more
    np.testing.assert_allclose(placed(points, 2).at(0)[..., 2], points[0, 1:, :, 2], rtol=1e-5)
    np.testing.assert_allclose(placed(points, 3).at(5)[0], 0)
    # The size of an animal is one for the whole video.
    square = np.array([[-3, -3], [3, -3], [3, 3], [-3, 3]], float)
    points = np.ones((9, 1, 4, 3))
    points[..., :2] = square + np.arange(9)[:, None, None, None] + 10
    points[3, 0, :, :2] *= 9  # a frame that went wrong
    points[4:6, 0, 1:] = np.nan  # hardly seen
    points[6:8, 0, 0] = (40, 40, 0.01)  # elsewhere, but hardly likely
    found = placed(points, 1)
    sizes = [found.at(frame)[0, 0, 3] for frame in range(9)]
    np.testing.assert_allclose(sizes, np.sqrt(18) / 48, rtol=0.02)
    one = placed(points[..., :1, :], 1, NAMES[:1])
    assert one.at(0)[0, 0, 3] == 1
    # Points are taken by their names, and lie in the frames.
    points = some_points(20)
    tables, order = Tables(write_deeplabcut(tmp_path / "a.csv", points)), [2, 0, 1, 3]
    found = KeyPoints.open(tables, known(20), [NAMES[number] for number in order], 1).at(0)
    np.testing.assert_allclose(found[0, :, 2], points[0, 0, order, 2], rtol=1e-5)
    with pytest.raises(VideoDecodeError, match="its points are nose, earL, .*the others nose, ta"):
        KeyPoints.open(tables, known(20), ("nose", "tail"), 1)
    points = some_points(20)
    points[..., :2] *= 10
    tables = Tables(write_deeplabcut(tmp_path / "a.csv", points))
    with pytest.raises(VideoDecodeError, match="lie outside of frames of 64 x 48 pixels"):
        KeyPoints.open(tables, known(20), NAMES, 1)
    points[:] = np.nan
    tables = Tables(write_deeplabcut(tmp_path / "b.csv", points))
    assert not KeyPoints.open(tables, known(20), NAMES, 1).at(0).any(), "nobody in any frame"


@pytest.mark.parametrize(
    ("write", "rows", "frames", "good"),
    [
        *((write_deeplabcut, 20, 23, True), (write_deeplabcut, 23, 20, True)),
        *((write_deeplabcut, 20, 40, False), (write_deeplabcut, 40, 20, False)),
        *((write_deeplabcut, 95, 100, True), (write_deeplabcut, 85, 100, False)),
        *((write_sleap_h5, 20, 40, True), (write_sleap_h5, 40, 20, False)),
        (write_deeplabcut, 40, None, True),
    ],
)
def test_a_table_of_another_length(tmp_path, write, rows, frames, good):
    path = tmp_path / ("a.h5" if write is write_sleap_h5 else "a.csv")
    tables = Tables(write(path, some_points(rows)))
    said = pytest.raises(VideoDecodeError, match=f"to frame {rows}, and the file has {frames}")
    with nullcontext() if good else said:
        KeyPoints.open(tables, known(frames), NAMES, 1)
