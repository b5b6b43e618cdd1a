import dataclasses
import functools
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
from tests.runs import changed


@pytest.fixture
def oddly_named(blob_store):
    """A name of a class is no path."""
    names = {"left": "a/../b $x$ 走る", "right": "c"}
    rows = (dataclasses.replace(row, label=names[row.label]) for row in blob_store.manifest.rows)
    store = blob_store.with_rows(tuple(rows))
    return dataclasses.replace(store, class_names=tuple(names.values()))


def test_a_sheet_for_each_class_shows_videos_and_augmented_clips_below(
    oddly_named, blob_config, tmp_path
):
    mild = dataclasses.replace(blob_config, augment=NO_AUGMENT)

    def sheets(config, num_videos, num_augmented):
        numbers = {"num_videos": num_videos, "num_augmented": num_augmented}
        files = write_contact_sheets(oddly_named, config, tmp_path / "sheets", **numbers)
        assert [path.name for path in files] == ["000_a_b_x_走る.png", "001_c.png"]
        return list(map(matplotlib.image.imread, files))

    left, right = sheets(mild, 2, 0)
    assert left.shape == right.shape
    assert not np.array_equal(left, right)
    of_flow = dataclasses.replace(mild, model=ModelConfig(streams=("flow",)))
    assert np.array_equal(left, sheets(of_flow, 2, 0)[0]), "frames are drawn, whatever it takes"
    strong = dataclasses.replace(NO_AUGMENT, brightness=Change(strength=1.0))
    strong = dataclasses.replace(mild, augment=strong)
    plain, other = (sheets(config, 1, 1)[0] for config in (mild, strong))
    half = len(plain) // 2
    assert np.array_equal(plain[:half], other[:half])
    assert not np.array_equal(plain[half:], other[half:])
    assert len(sheets(mild, 1, 0)[0]) < min(len(plain), len(left))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--out: .*file/x cannot be made: Not a directory"):
        write_contact_sheets(oddly_named, mild, tmp_path / "file" / "x")


def test_the_command_chooses_a_preset_and_a_folder(
    blob_videos, recording_store, tmp_path, monkeypatch, capsys
):
    """Sheets of a table do not go among its videos; each augmented clip would take its time."""
    plain = functools.partial(write_contact_sheets, num_augmented=0)
    monkeypatch.setattr("pipeline.dataset.preview.write_contact_sheets", plain)
    table = tmp_path / "videos" / "mine.csv"
    table.parent.mkdir()
    labels = ("left", "right")
    lines = (f"{blob_videos}/{label}/g{n:02d} 0.avi,{label}" for n in range(3) for label in labels)
    table.write_text("\n".join(("path,label", *lines)))
    monkeypatch.chdir(tmp_path)
    preview_command.main([str(table), "--videos", "1"])
    assert capsys.readouterr().out.endswith("\n2 contact sheets in preview-mine/\n")
    assert len(list((tmp_path / "preview-mine").iterdir())) == 2
    assert list(table.parent.iterdir()) == [table]
    options = ["--out", "sheets", "--videos", "1", "--clip.num_frames", "8"]
    preview_command.main([str(recording_store.path), *options])
    assert capsys.readouterr().out == "3 contact sheets in sheets/\n"


def test_windows_of_recordings_show_which_class_holds_when(
    recording_store, recording_config, tmp_path, several_store, blob_config
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
    sheets = write_contact_sheets(recording_store, plain, tmp_path, num_videos=1, num_augmented=0)
    assert [path.name for path in sheets] == [f"00{i}_{name}.png" for i, name in enumerate(names)]
    colour = np.array(class_colours(names)["left"][:3]) / 2 + 0.5
    shares = [
        np.isclose(matplotlib.image.imread(path)[..., :3], colour, atol=0.01).all(axis=2).mean()
        for path in sheets
    ]
    assert shares[1] > 10 * shares[2]
    # Videos of several labels are on the sheet of each.
    config = changed(blob_config, {"model.task": "video-multilabel"})
    even = _examples(several_store, config, 2)[0]
    video = next(_videos(several_store, config, even, 1))
    assert re.search(r"/(left|right)/g\d\d 0.avi   \(group g\d\d\)   even, \1$", video.title)
    assert [clip.tracks for clip in video.clips] == [{}, {}]
