import dataclasses

import matplotlib.image
import numpy as np
import pytest

from pipeline.cli import preview as preview_command
from pipeline.config import NO_AUGMENT, Change
from pipeline.dataset.preview import write_contact_sheets
from pipeline.errors import ConfigError


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
    store = dataclasses.replace(blob_store, class_names=("a/../b $x$ 走る", "c"))
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
