import dataclasses
import itertools
import re

import matplotlib.image
import numpy as np
import pytest

from pipeline.cli import preview as preview_command
from pipeline.config import NO_AUGMENT, Change, ModelConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.preview import _examples, _videos, write_contact_sheets
from pipeline.errors import ConfigError
from pipeline.figures import class_colours


def sheet(store, config, folder, **options):
    return [
        matplotlib.image.imread(path)
        for path in write_contact_sheets(store, config, folder, **options)
    ]


def test_a_sheet_for_each_class(blob_store, blob_config, tmp_path):
    files = write_contact_sheets(blob_store, blob_config, tmp_path / "sheets", num_videos=2)
    assert [path.name for path in files] == ["000_left.png", "001_right.png"]
    left, right = (matplotlib.image.imread(path) for path in files)
    assert left.shape == right.shape
    assert not np.array_equal(left, right)


def test_frames_are_drawn_whatever_the_model_takes(blob_store, blob_config, tmp_path):
    flow = dataclasses.replace(
        blob_config, model=dataclasses.replace(blob_config.model, streams=("flow",))
    )
    sheets = [sheet(blob_store, config, tmp_path)[0] for config in (blob_config, flow)]
    assert np.array_equal(*sheets)


def test_more_videos_and_more_clips_make_it_longer(blob_store, blob_config, tmp_path):
    heights = [
        sheet(blob_store, blob_config, tmp_path, num_videos=videos, num_augmented=clips)[0].shape[0]
        for videos, clips in ((1, 0), (1, 2), (3, 2))
    ]
    assert heights == sorted(set(heights))


def test_augmentation_shows_below_the_plain_clip(blob_store, blob_config, tmp_path):
    mild = dataclasses.replace(blob_config, augment=NO_AUGMENT)
    brighter = dataclasses.replace(NO_AUGMENT, brightness=Change(strength=1.0))
    strong = dataclasses.replace(mild, augment=brighter)
    (a, _), (b, _) = (
        sheet(blob_store, config, tmp_path, num_videos=1, num_augmented=2)
        for config in (mild, strong)
    )
    third = len(a) // 3
    assert np.array_equal(a[:third], b[:third])
    assert not np.array_equal(a[third:], b[third:])


def test_an_odd_class_name_is_no_path(blob_store, blob_config, tmp_path):
    names = {"left": "a/../b $x$ 走る", "right": "c"}
    rows = (dataclasses.replace(row, label=names[row.label]) for row in blob_store.manifest.rows)
    store = dataclasses.replace(
        blob_store.with_rows(tuple(rows)), class_names=tuple(names.values())
    )
    files = write_contact_sheets(store, blob_config, tmp_path, num_videos=1)
    assert [path.name for path in files] == ["000_a_b_x_走る.png", "001_c.png"]


def test_a_folder_that_cannot_be_made(blob_store, blob_config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--out: .*file/sheets cannot be made: Not a directory"):
        write_contact_sheets(blob_store, blob_config, tmp_path / "file" / "sheets")


def test_sheets_of_a_table_do_not_go_among_its_videos(blob_videos, tmp_path, monkeypatch, capsys):
    table = tmp_path / "videos" / "mine.csv"
    table.parent.mkdir()
    lines = (
        f"{blob_videos}/{label}/g{n:02d} 0.avi,{label}"
        for n in range(3)
        for label in ("left", "right")
    )
    table.write_text("\n".join(("path,label", *lines)))
    monkeypatch.chdir(tmp_path)

    preview_command.main([str(table), "--videos", "1"])

    assert capsys.readouterr().out == "2 contact sheets in preview-mine/\n"
    assert len(list((tmp_path / "preview-mine").iterdir())) == 2
    assert list(table.parent.iterdir()) == [table]


def test_windows_of_recordings_show_which_class_holds_when(
    recording_store, recording_config, tmp_path
):
    """Of each recording there is the window in which the class holds longest."""
    plain = dataclasses.replace(recording_config, augment=NO_AUGMENT)
    numbers = _examples(recording_store, plain, 3)
    assert [len(set(each)) for each in numbers] == [3, 3, 3]
    clips = evaluation_clips(recording_store, plain, "train", numbers=numbers[1])
    labels = np.concatenate([label for _, label, _ in clips])
    assert (labels[:, :, 1] == 1).all(), "left moves for longer than a window lasts"
    video = next(_videos(recording_store, plain, numbers[1][:1], 1))
    assert video.title.startswith("g0.avi   (group g0.avi)   from 0:0")
    assert [list(clip.tracks) for clip in video.clips] == [["left"]] * 2
    both = [number for number in range(12) if number not in list(itertools.chain(*numbers))]
    tracks = [
        clip.tracks
        for video in _videos(recording_store, plain, both, 0)
        for clip in video.clips
        if len(clip.tracks) == 2
    ]
    assert tracks, "a window from one event to the next"
    assert all((first ^ second).all() for first, second in map(dict.values, tracks))
    names = ("background", "left", "right")
    sheets = write_contact_sheets(recording_store, plain, tmp_path, num_videos=1)
    assert [path.name for path in sheets] == [f"00{i}_{name}.png" for i, name in enumerate(names)]
    colour = np.array(class_colours(names)["left"][:3]) / 2 + 0.5
    shares = [
        np.isclose(matplotlib.image.imread(path)[..., :3], colour, atol=0.01).all(axis=2).mean()
        for path in sheets
    ]
    assert shares[1] > 10 * shares[2]


def test_videos_of_several_labels_are_on_the_sheet_of_each(several_store, blob_config):
    config = dataclasses.replace(
        blob_config, model=ModelConfig(task="video-multilabel", streams=("rgb",))
    )
    even = _examples(several_store, config, 2)[0]
    video = next(_videos(several_store, config, even, 1))
    assert re.search(r"/(left|right)/g\d\d 0.avi   \(group g\d\d\)   even, \1$", video.title)
    assert [clip.tracks for clip in video.clips] == [{}, {}]


def test_the_data_set_that_is_named_first_says_which_preset(recording_store, tmp_path, capsys):
    options = ["--out", str(tmp_path), "--videos", "1", "--clip.num_frames", "8"]
    preview_command.main([str(recording_store.path), *options])
    assert capsys.readouterr().out == f"3 contact sheets in {tmp_path}/\n"
