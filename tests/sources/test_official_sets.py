"""Data sets in miniature, laid out as they lie on disk after the download; and their mistakes."""

from __future__ import annotations

import collections
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest
from pipeline.prepare.leaks import crossing
from pipeline.sources import staged_sets, web_sets
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.official import CrossingGroupsWarning
from pipeline.sources.reading import read_manifest
from pipeline.video import encode_jpeg, iter_frames


class DataSet(NamedTuple):
    """What lies there, and what the scan says of it."""

    scan: Callable[..., Manifest]
    videos: tuple[str, ...]  # paths of files, empty ones
    folder: str  # what stands before the names of the lists
    lists: dict[str, str | None]  # their contents
    rows: list[tuple]  # number of the video, label, group, split; and its times, if it is a part


CLIPS = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi",
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi",
)
UCF101 = DataSet(
    web_sets.scan_ucf101,
    tuple(f"UCF-101/{clip}" for clip in CLIPS),
    "ucfTrainTestlist/",
    {
        "classInd.txt": "1 ApplyEyeMakeup\r\n37 HandstandPushups\r\n",
        "testlist01.txt": f"{CLIPS[0]}\r\n{CLIPS[3]}\r\n",
        "trainlist01.txt": f"{CLIPS[1]} 1\n{CLIPS[2]} 1\n{CLIPS[4]} 37\n",
        "testlist02.txt": "\n".join([CLIPS[1], CLIPS[2], CLIPS[4]]),
        "trainlist02.txt": f"{CLIPS[0]} 1\n\n{CLIPS[3]} 37\n",
    },
    [
        (0, "ApplyEyeMakeup", "ApplyEyeMakeup_g01", "test"),
        (1, "ApplyEyeMakeup", "ApplyEyeMakeup_g08", "train"),
        (2, "ApplyEyeMakeup", "ApplyEyeMakeup_g08", "train"),
        (3, "HandstandPushups", "HandstandPushups_g01", "test"),
        (4, "HandstandPushups", "HandstandPushups_g08", "train"),
    ],
)

APRIL = "April_09_brush_hair_u_nm_np1_ba_goo_0.avi"
AUDIO = "Brushing_Her_Hair__[_NEW_AUDIO_]_UPDATED!!!!_brush_hair_h_cm_np1_le_goo_1.avi"
BRUSHING = "Prelinger_HabitPat1954_brush_hair_u_nm_np1_fr_goo_16.avi"
UNUSED = "red_head_brush_hair_u_cm_np1_ba_goo_0.avi"
CLIMBING = "Prelinger_HabitPat1954_climb_stairs_u_nm_np1_fr_goo_16.avi"
STAIRS = "climb #2; up & down @home_climb_stairs_f_cm_np1_ba_med_3.avi"
HMDB51 = DataSet(
    web_sets.scan_hmdb51,
    (
        *(f"hmdb51_org/brush_hair/{clip}" for clip in (APRIL, AUDIO, BRUSHING, UNUSED)),
        *(f"hmdb51_org/climb_stairs/{clip}" for clip in (CLIMBING, STAIRS)),
    ),
    "testTrainMulti_7030_splits/",
    {
        "brush_hair_test_split1.txt": f"{APRIL} 1 \n{AUDIO} 2 \n{BRUSHING} 2 \n{UNUSED} 0 \n",
        "climb_stairs_test_split1.txt": f"{CLIMBING} 1 \n{STAIRS} 2 \n",
        "brush_hair_test_split3.txt": f"{APRIL} 2 \n{UNUSED} 1 \n{AUDIO} 0\n{BRUSHING} 0\n",
        "climb_stairs_test_split3.txt": f"{STAIRS} 1 \n{CLIMBING} 0\n",
    },
    [
        (0, "brush_hair", "brush_hair/April_09", "train"),
        (1, "brush_hair", "brush_hair/Brushing_Her_Hair__[_NEW_AUDIO_]_UPDATED!!!!", "test"),
        (2, "brush_hair", "brush_hair/Prelinger_HabitPat1954", "test"),
        (4, "climb_stairs", "climb_stairs/Prelinger_HabitPat1954", "train"),
        (5, "climb_stairs", "climb_stairs/climb #2; up & down @home", "test"),
    ],
)

HEAD = "label,youtube_id,time_start,time_end,split,is_cc\n"
KINETICS = DataSet(
    web_sets.scan_kinetics,
    (
        "replacement/zzz.mp4",
        "train/air_drumming/_DBCJuKJQNs_000000_000010.mp4",
        "train/air_drumming/_dbcJuKJQNs_000040_000050.mp4",
        "val/playing rubik's cube/-3B32lodo2M_000059_000069.webm",
    ),
    "annotations/",
    {
        "train.csv": f'{HEAD}"air drumming",_dbcJuKJQNs,40,50,train,0\n'
        " air drumming, _DBCJuKJQNs ,0,10,train,0\n",
        "val.csv": "label,youtube_id,time_start,time_end,split\n"
        '"playing rubik\'s cube",-3B32lodo2M,59,69,validate\n',
        "test.csv": f'{HEAD}"opening bottle, fast",zzz,5,15,test,1\n',
    },
    [
        (0, "opening bottle, fast", "zzz", "test"),
        (1, "air drumming", "_DBCJuKJQNs", "train"),
        (2, "air drumming", "_dbcJuKJQNs", "train"),
        (3, "playing rubik's cube", "-3B32lodo2M", "val"),
    ],
)

SEQUENCES = """
This database contains sequences of six classes of actions performed by
25 subjects in four different conditions (see below).

Training:   person11, 12, 13, 14, 15, 16, 17, 18
Validation: person19, 20, 21, 23, 24, 25, 01, 04
Test:       person22, 02, 03, 05, 06, 07, 08, 09, 10

person01_boxing_d1\t\tframes\t1-95, 96-185, 186-245, 246-360

person07_jogging_d4    \t\tframes\t1-64, 270-332, 194-264
person13_handclapping_d1\tframes\t1-124
person13_handclapping_d3\t*missing*
"""
KTH = DataSet(
    staged_sets.scan_kth,
    (
        "boxing/person01_boxing_d1_uncomp.avi",
        "handclapping/person13_handclapping_d1_uncomp.avi",
        "jogging/person07_jogging_d4_uncomp.avi",
    ),
    "",
    {"00sequences.txt": SEQUENCES.replace("\n", "\r\n")},
    [
        (0, "boxing", "person01", "val", 0, 3.8),
        (0, "boxing", "person01", "val", 3.8, 7.4),
        (0, "boxing", "person01", "val", 7.4, 9.8),
        (0, "boxing", "person01", "val", 9.8, 14.4),
        (1, "handclapping", "person13", "train", 0, 4.96),
        (2, "jogging", "person07", "test", 0, 2.56),
        (2, "jogging", "person07", "test", 7.72, 10.56),
        (2, "jogging", "person07", "test", 10.76, 13.28),
    ],
)

JESTER = DataSet(
    staged_sets.scan_jester,
    ("20bn-jester-v1/1.mp4", "20bn-jester-v1/20.webm", "20bn-jester-v1/3.avi"),
    "jester-v1-",
    {
        "labels.csv": "Doing other things\nDrumming Fingers\n",
        "train.csv": "1; Drumming Fingers\n20 ;Doing other things\n",
        "validation.csv": "3;Drumming Fingers\n",
    },
    [
        (0, "Drumming Fingers", "1", "train"),
        (1, "Doing other things", "20", "train"),
        (2, "Drumming Fingers", "3", "test"),
    ],
)

HOLDING = {"template": "Holding [something] next to [something]"}
ENTRIES = (
    {"id": "2", "label": "holding potato next to bottle", **HOLDING, "placeholders": ["potato"]},
    {"id": "10", "template": "Poking a hole into [some substance]", "placeholders": ["butter"]},
    {"id": "3", **HOLDING, "placeholders": []},
)
HELD, POKED = "Holding something next to something", "Poking a hole into some substance"
SOMETHING = DataSet(
    staged_sets.scan_something_something,
    tuple(f"20bn-something-something-v2/{number}.webm" for number in (10, 2, 3)),
    "labels/",
    {
        "train.json": json.dumps(ENTRIES[:2], indent=1),
        "validation.json": json.dumps(ENTRIES[2:]),
        "labels.json": json.dumps({HELD: "0", POKED: "1"}),
    },
    [(0, POKED, "10", "train"), (1, HELD, "2", "train"), (2, HELD, "3", "test")],
)

UT = DataSet(
    staged_sets.scan_ut_interaction,
    (
        *("segmented_set1/0_1_4.avi", "segmented_set1/4_1_0.avi", "segmented_set1/58_10_1.avi"),
        *("segmented_set2/2_11_5.avi", "segmented_set2/4_11_3.avi", "segmented_set2/59_20_2.avi"),
        *("ut/hug/set1_seq01_002.avi", "ut/hug/set1_seq10_058.avi", "ut/hug/set2_seq11_005.avi"),
        *("ut/kick/set1_seq01_001.avi", "ut/kick/set2_seq20_059.avi"),
    ),
    "",
    {},
    [
        *((0, "punch", "seq01", ""), (1, "shake_hands", "seq01", ""), (2, "hug", "seq10", "")),
        *((3, "push", "seq11", ""), (4, "point", "seq11", ""), (5, "kick", "seq20", "")),
        *((6, "hug", "seq01", ""), (7, "hug", "seq10", ""), (8, "hug", "seq11", "")),
        *((9, "kick", "seq01", ""), (10, "kick", "seq20", "")),
    ],
)


@pytest.fixture
def lay(tmp_path, touch):
    """Lays out a data set: with other contents of lists (None: not there), or elsewhere."""

    def lay(data_set, lists=None, videos=None, folder=None):
        touch(*(data_set.videos if videos is None else videos))
        before = data_set.folder if folder is None else folder
        for name, content in {**data_set.lists, **(lists or {})}.items():
            file = tmp_path / f"{before}{name}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_text(content, newline="")
        return tmp_path

    return lay


def prepared(data_set, root, **options):
    """What `prepare` lists."""
    name = data_set.scan.__name__.removeprefix("scan_")
    return read_manifest(PrepareConfig(source=name, path=str(root), out="out", **options))


def rows_of(data_set, manifest, root):
    paths = [Path(row.path).relative_to(root).as_posix() for row in manifest.rows]
    return [
        (data_set.videos.index(path), row.label, row.group, row.split)
        + ((row.start_seconds, row.end_seconds) if row.is_trim else ())
        for path, row in zip(paths, manifest.rows, strict=True)
    ]


@pytest.mark.parametrize(
    ("data_set", "folder", "lists", "annotations"),
    [
        *((d, d.folder, {}, "") for d in (UCF101, HMDB51, KINETICS, KTH, JESTER, SOMETHING, UT)),
        *((UCF101, "lists/", {}, given) for given in ("lists", "lists/trainlist01.txt")),
        *((HMDB51, f"test_train_splits/{f}", {}, "") for f in ("", "testTrainMulti_7030_splits/")),
        (HMDB51, "lists/", {}, "lists"),
        (KTH, "lists/", {}, "lists/00sequences.txt"),
        (JESTER, "annotations/jester-v1-", {}, ""),
        (JESTER, "jester-v1-", {"labels.csv": None}, ""),
        *((SOMETHING, f, {}, "") for f in ("labels/something-something-v2-", "annotations/")),
        (SOMETHING, "", {"labels.json": None}, ""),
    ],
)
def test_official_splits(lay, data_set, folder, lists, annotations):
    root = lay(data_set, lists, folder=folder)
    options = {"annotations": str(root / annotations)} if annotations else {}
    manifest = prepared(data_set, root, **options)
    assert rows_of(data_set, manifest, root) == data_set.rows
    assert not crossing(manifest.rows)


@pytest.mark.parametrize(
    ("data_set", "fold", "splits"),
    [
        (UCF101, 2, {0: "train", 1: "test", 2: "test", 3: "train", 4: "test"}),
        (HMDB51, 3, {0: "test", 3: "train", 5: "train"}),
        (UT, 10, dict.fromkeys([0, 1, 6, 9], "train") | dict.fromkeys([2, 7], "test")),
        (UT, 11, dict.fromkeys([3, 4, 8], "test") | dict.fromkeys([5, 10], "train")),
    ],
)
def test_folds(lay, data_set, fold, splits):
    root = lay(data_set)
    rows = rows_of(data_set, prepared(data_set, root, fold=fold), root)
    assert {number: split for number, _, _, split in rows} == splits


UCF_LINE = "line 2: expected a class of classInd.txt and a video, such as Archery/v_Archery"
UCF_CLASS = "line 1: expected a number and a class name"
USE = "line 2: expected a video and 0, 1 or 2"
KTH_LINE = "line 14: expected ranges of frames, such as 'person01_boxing_d1 frames 1-95, 96-185'"
CLIP = "line 3: expected a YouTube video, times in seconds and a split of train, validate or test"
GESTURE = "line 1: expected a video and a label that jester-v1-labels.csv lists, such as 34870;Dr"
ENTRY = "entry 4: expected an id and a template that labels.json lists"
LINES = [
    (
        *(UCF101, "testlist01.txt", "\n<line>", UCF_LINE),
        (
            "v_ApplyEyeMakeup_g01_c01.avi|Swimming/v_Swimming_g01_c01.avi 3|"
            f"ApplyEyeMakeup/v_ApplyEyeMakeup_c01.avi|{CLIPS[0]} one"
        ),
    ),
    (UCF101, "classInd.txt", "<line> ", UCF_CLASS, "ApplyEyeMakeup|one ApplyEyeMakeup|1"),
    (HMDB51, "climb_stairs_test_split1.txt", f"{STAIRS} 1\n<line>", USE, f"{APRIL} 3|{APRIL}|1"),
    (
        *(KINETICS, "train.csv", f"{HEAD}abseiling,b,0,10,train,0\n<line>", CLIP),
        (
            "a,b,x,10,train,0|a,b,10,10,train,0|a,b,-1,10,train,0|a,b,0,inf,train,0|a,b,0,10,both,0|"
            "a,,0,10,train,0|a,b"
        ),
    ),
    (
        *(KTH, "00sequences.txt", f"{SEQUENCES}person<line>", KTH_LINE),
        (
            "26_boxing_d1 frames 1-95|00_boxing_d1 frames 1-95|01_boxing_d5 frames 1-95|"
            "01_sitting_d1 frames 1-95|01_boxing_d1 frames 1-95, 96-|01_boxing_d1 frames 0-95|"
            "01_boxing_d1 frames 95-94|01_boxing_d1 frames|01_boxing_d1"
        ),
    ),
    (JESTER, "validation.csv", "<line>", GESTURE, "5;Waving|5,Drumming|;Drumming Fingers|5;"),
    (
        *(SOMETHING, "validation.json", f"{json.dumps(ENTRIES)[:-1]}, <line>]", ENTRY),
        f'{{"id": "5", "template": "Holding [no]"}}|{{"id": "5"}}|{json.dumps(HOLDING)}|["5"]',
    ),
]


def bare(text):
    return re.sub(r"[' ]|person", "", text)


@pytest.mark.parametrize(("data_set", "name", "content", "message", "lines"), LINES)
def test_lines_that_are_not_as_expected(lay, data_set, name, content, message, lines):
    for line in lines.split("|"):
        root = lay(data_set, {name: content.replace("<line>", line)})
        place = f"{root / (data_set.folder + name)}, {message}"
        with pytest.raises(DataError, match=f"^{re.escape(place)}") as caught:
            data_set.scan(root)
        _, _, got = str(caught.value).rpartition(", got ")
        assert bare(got).startswith(bare(line))


STAIRS_LIST = "climb_stairs_test_split1.txt"
COLUMNS = "columns youtube_id, time_start, time_end, got"
KINETICS_LISTS = r"\*train\*.csv, \*val\*.csv, \*test\*.csv, found none .* Download tr"


@pytest.mark.parametrize(
    ("data_set", "lists", "options", "message"),
    [
        *((d, {}, {"fold": n}, f"from 1 to 3, got {n}") for n in (0, 4) for d in (UCF101, HMDB51)),
        *((UT, {}, {"fold": n}, f"--fold: .* number from 0 to 20, got {n}") for n in (-1, 21)),
        # Lists that are nowhere.
        (UCF101, None, {}, "found none in .* Download UCF101TrainTestSplits-Recogn"),
        (HMDB51, None, {}, "found none in .* Download test_train_splits.rar from https://serre"),
        (KINETICS, None, {"annotations": "val"}, KINETICS_LISTS),
        (KTH, None, {"annotations": "boxing"}, "found none in .*ing. Download 00sequences.txt"),
        (JESTER, None, {}, "found none in .* Download the labels of Jester from http.*/jester-da"),
        (SOMETHING, None, {}, "Download the labels of Something-Something V2 from .*-v-2-dataset"),
        # And lists that are wrong as a whole, or missing among others.
        (UCF101, {"testlist01.txt": None}, {}, "testlist01.txt: cannot be read: No such file"),
        (HMDB51, {STAIRS_LIST: None}, {}, f"expected .*splits/{STAIRS_LIST}, since .* Download"),
        (KINETICS, {"train.csv": "label,id\na,b\n"}, {}, f"{COLUMNS} label, id"),
        (KINETICS, {"train.csv": ""}, {}, f"{COLUMNS} an empty file"),
        (KINETICS, {"train.csv": f"{HEAD}{'x' * 200_000}\n"}, {}, "line 2: expected a table:"),
        (JESTER, {"labels.csv": None, "train.csv": "1;"}, {}, "line 1: expected a video and a lab"),
        (SOMETHING, {"labels.json": None, "train.json": '[{"id": "2"}]'}, {}, "entry 1: expected"),
        (SOMETHING, {"train.json": "[\n  }\n"}, {}, "train.json, line 2: expected JSON: "),
        (SOMETHING, {"train.json": "{}"}, {}, "train.json: expected a JSON list, got dict"),
        (SOMETHING, {"labels.json": "[]"}, {}, "labels.json: expected a JSON dict, got list"),
    ],
)
def test_folds_and_lists_that_are_wrong(lay, monkeypatch, data_set, lists, options, message):
    root = lay(data_set, folder="far/away/") if lists is None else lay(data_set, lists)
    monkeypatch.chdir(root)
    with pytest.raises(ConfigError if "fold" in options else DataError, match=message):
        data_set.scan(root, **options)


APRILS = "".join(
    [f"{APRIL.replace('_0.avi', f'_{number}.avi')} {1 + number // 2}\n" for number in range(3)]
    + [f"{clip} 0\n" for clip in (AUDIO, BRUSHING, UNUSED)]
)
BRUSH_LIST = "brush_hair_test_split1.txt"
TUBE, HELD_OUT = "_dbcJuKJQNs", ["test", "train"]
TWICE = f"{HEAD}abseiling,{TUBE},5,15,test,1\nwalk,zzz,1,2,train,0\n"


@pytest.mark.parametrize(
    ("data_set", "lists", "group", "splits"),
    [
        (HMDB51, {BRUSH_LIST: APRILS}, "brush_hair/April_09", [*HELD_OUT, "train"]),
        (KINETICS, {"test.csv": TWICE}, TUBE, HELD_OUT),
    ],
)
def test_a_source_video_in_two_splits_is_two_groups(lay, data_set, lists, group, splits):
    root = lay(data_set, lists)
    message = f"1 source video in more than one split: {group}. .* counts as one group a split."
    with pytest.warns(CrossingGroupsWarning, match=message) as record:
        rows = data_set.scan(root).rows
    assert not crossing(rows)
    found = sorted((row.group, row.split) for row in rows if group in row.group)
    assert found == [(f"{group} ({split})", split) for split in splits]
    assert {row.group for row in rows if group not in row.group} <= {r[2] for r in data_set.rows}
    assert record[0].filename == __file__


def test_names_of_ucf101(lay):
    """Videos may lie in one folder, in the other spelling; classes are those of the index."""
    names = [video.split("/")[-1].replace("HandStand", "Handstand") for video in UCF101.videos]
    root = lay(UCF101, videos=tuple(f"UCF101/{name}" for name in names))
    rows = UCF101.scan(root).rows
    assert rows[-1].path == str(root / "UCF101/v_HandstandPushups_g08_c01.avi")
    assert [row.label for row in rows[3:]] == ["HandstandPushups"] * 2
    lay(UCF101, {"testlist01.txt": "HandStandPushups/v_HandStandPushups_g01_c01.avi"}, ())
    (root / f"UCF101/{names[0]}").unlink()
    assert {row.label for row in UCF101.scan(root).rows} == {
        "ApplyEyeMakeup",
        "HandstandPushups",
    }


@pytest.mark.parametrize(
    ("data_set", "others", "options", "message", "number"),
    [
        (UCF101, ("a/v_a_g01_c01.avi", "b.txt"), {}, "1 video .* has no label for: a/v_a_g01_c", 5),
        (
            *(UT, ("wave/set1_seq01_001.avi", "hug/set1_seq21_001.avi", "1_21_0.avi", "1_1_6.avi")),
            *({}, "4 videos .*: 1_1_6.avi, 1_21_0.avi, hug/", 11),
        ),
        (UT, ("hug/1.avi",), {"fold": 20}, "1 video that .*: hug/1.avi", 5),
    ],
)
def test_videos_that_are_not_listed_are_left_out(lay, data_set, others, options, message, number):
    root = lay(data_set, videos=(*data_set.videos, *others))
    with pytest.warns(LeftOutWarning, match=f"left out {message}") as record:
        assert len(data_set.scan(root, **options).rows) == number
    assert record[0].filename == __file__


def test_kinetics_without_some_columns_clips_and_lists(lay):
    columns = "label,youtube_id,time_start,time_end\nabseiling,-3B32lodo2M,59,69.0\n"
    root = lay(KINETICS, {"val.csv": columns}, videos=KINETICS.videos[::3])
    rows = KINETICS.scan(root).rows
    assert [row.split for row in rows] == ["train", "train", "test", "val"]
    assert rows[1].path == str(root / "air drumming/_dbcJuKJQNs_000040_000050.mp4"), "kept"
    root = lay(KINETICS)
    rows = KINETICS.scan(root / "train", annotations=str(root / "annotations/train.csv")).rows
    assert [row.split for row in rows] == ["train", "train"]
    (root / "annotations/test.csv").write_bytes(b"label,youtube_id\n\xff\xfe,")
    with pytest.raises(DataError, match=r"test.csv: expected text in UTF-8: "):
        KINETICS.scan(root)
    # Where the test has no labels, the validation is the test.
    unlabelled = "youtube_id,time_start,time_end,split\nzzz,5,15,test\n"
    for content in (unlabelled, f"{HEAD},zzz,5,15,test,1\n", None):
        root = lay(KINETICS, {"test.csv": content})
        with pytest.warns(LeftOutWarning, match="left out 1 video .*: replacement/zzz.mp4"):
            rows = KINETICS.scan(root).rows
        assert [row.split for row in rows] == ["train", "train", "test"]


def test_kth_without_its_list_is_whole_videos_in_any_format(lay):
    root = lay(KTH, {"00sequences.txt": None})
    manifest = KTH.scan(root)
    found = {
        Path(row.path).relative_to(root).as_posix(): (row.label, row.group, row.split)
        for row in manifest.rows
        if not row.is_trim
    }
    assert [found[video] for video in KTH.videos] == [KTH.rows[row][1:4] for row in (0, 4, 5)]
    splits = collections.Counter(row.split for row in manifest.rows)
    assert splits == {"train": 191, "val": 192, "test": 216}
    assert len(found) == 599
    assert "handclapping/person13_handclapping_d3_uncomp.avi" not in found
    assert len(manifest.groups) == 25
    line = SEQUENCES.splitlines()[-3]
    root = lay(KTH, {"00sequences.txt": line}, videos=("converted/person07_jogging_d4.mp4",))
    for video in KTH.videos:
        (root / video).unlink()
    assert KTH.scan(root).rows[0].path == str(root / "converted/person07_jogging_d4.mp4")


JPEGS = tuple(f"20bn-jester-v1/{name}/00001.jpg" for name in (1, 20, 3))


def test_folders_of_frames(lay, touch, monkeypatch):
    root = lay(JESTER, videos=JPEGS)
    monkeypatch.chdir(root)
    for given in (JPEGS[0].split("/")[0], "."):
        with pytest.raises(DataError, match="20bn-jester-v1: expected one video a gesture, such"):
            JESTER.scan(given)
    touch("videos/1.avi")
    assert JESTER.scan(root).rows[2].path == str(root / "videos/1.avi")
    with pytest.raises(DataError, match="^none does not exist. Expected a folder of videos, such"):
        JESTER.scan("none")
    with pytest.raises(DataError, match="1.avi is not a folder. Expected a folder of videos"):
        JESTER.scan("videos/1.avi")
    with pytest.raises(DataError, match="expected videos, such as kick.*, found none, but 1 "):
        UT.scan(root)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no ffmpeg")
def test_what_the_error_says_turns_frames_into_videos(lay, monkeypatch):
    root = lay(JESTER, videos=JPEGS)
    frames = np.random.default_rng(0).integers(256, size=(3, 100, 132, 3), dtype=np.uint8)
    for folder in (root / "20bn-jester-v1").iterdir():
        for number, frame in enumerate(frames, 1):
            (folder / f"{number:05d}.jpg").write_bytes(encode_jpeg(frame, quality=95))
    monkeypatch.chdir(root)
    with pytest.raises(DataError) as error:
        JESTER.scan("20bn-jester-v1")
    command = str(error.value).partition("without loss: ")[2].replace("ffmpeg", "ffmpeg -v error")
    subprocess.run(["bash", "-ec", command], check=True, stdin=subprocess.DEVNULL)
    rows = JESTER.scan("videos").rows
    assert [row.path for row in rows] == [str(root / f"videos/{n}.avi") for n in (1, 20, 3)]
    assert len(list(iter_frames(rows[0].path))) == 3
    assert (root / "20bn-jester-v1/1/00001.jpg").read_bytes() in Path(rows[0].path).read_bytes()
