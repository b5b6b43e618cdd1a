"""Videos that are not prepared are prepared first: a folder, a table, or events."""

import shutil

import numpy as np
import pytest

from pipeline.config import FramesConfig, ModelConfig, RunConfig
from pipeline.dataset.videos import open_data, resolve
from pipeline.errors import DataError
from pipeline.prepare.prepared import held_open
from pipeline.video import write_video
from tests.prepare.recordings import LENGTHS, prepare_greys

pytestmark = pytest.mark.usefixtures("quick_workers")

COLUMNS = "path,label,group,split,start_seconds,end_seconds"


def write_files(folder):
    """Six people, of each of whom two parts of one file are videos."""
    rng = np.random.default_rng(0)
    lines = [COLUMNS]
    (folder / "files").mkdir(parents=True)
    for person in range(6):
        frames = rng.integers(256, size=(30, 24, 32, 3), dtype=np.uint8)
        write_video(folder / "files" / f"{person}.avi", frames, fps=10, codec="FFV1")
        split = "test" if person == 5 else "train"
        lines.append(f"{person}.avi,left,p{person},{split},0,1.5")
        lines.append(f"{person}.avi,right,p{person},{split},1.5,")
    (folder / "files" / "videos.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def table(made):
    return made("files", write_files) / "files" / "videos.csv"


@pytest.fixture
def opened(tmp_path):
    return lambda path, *frames, **options: open_data(
        path, *frames, cache=tmp_path / "cache", **options
    )


def changed(table, tmp_path, *changes):
    """The table elsewhere, with other words."""
    head, *lines = table.read_text().splitlines()
    text = "\n".join([head, *(f"{table.parent}/{line}" for line in lines), ""])
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "videos.csv").write_text(text)
    return tmp_path / "videos.csv"


def test_a_table_is_prepared_once_and_shares_what_it_can(
    table, tmp_path, opened, capsys, monkeypatch
):
    data = opened(table)
    assert (data.num_videos, data.class_names) == ({"train": 10, "test": 2}, ("left", "right"))
    assert (data.frames.fps, data.frames.size) == (10, 64)
    assert [(clip.first_frame, clip.num_frames) for clip in data.clips[:2]] == [(0, 15), (15, 15)]
    assert "6 videos decoded" in capsys.readouterr().out
    assert opened(table).written == data.written
    assert capsys.readouterr().out == "", "nothing was done"
    assert opened(table, FramesConfig(size=32, flow=True)).frames.images == ("frames", "flow")
    assert "6 videos decoded" in capsys.readouterr().out
    other = changed(table, tmp_path, (",left,", ",up,"))
    assert opened(other).class_names == ("right", "up")
    assert "0 videos decoded" in capsys.readouterr().out
    # Without splits in it, they are those of a preparation, or all are for training.
    without = changed(table, tmp_path, ("split,", ""), ("train,", ""), ("test,", ""))
    assert opened(without).num_videos == {"train": 10, "test": 2}
    assert opened(without, holds_out=False).num_videos == {"train": 12}
    with held_open():
        first = opened(table)
        monkeypatch.setattr("pipeline.prepare.ensure.prepare", pytest.fail)
        assert opened(table) is first


def test_a_folder_and_events_are_prepared_as_well(people, made, tmp_path, opened, capsys):
    assert opened(people).class_names == ("run", "wälk fast")
    assert "1 video left out, listed in" in capsys.readouterr().out
    events = made("grey recordings", prepare_greys) / "videos" / "events.csv"
    assert len(opened(events).clips) == len(LENGTHS)
    assert opened(events).labelling == "frames"
    # What a network takes beside frames is stored for it.
    model, cache = ModelConfig(streams=("flow",)), str(tmp_path / "cache")
    data, _ = resolve(RunConfig(data=str(people), data_cache=cache, model=model))
    assert data.frames.flow
    assert data.path.parent == tmp_path / "cache"


def test_files_that_cannot_be_read_and_tables_that_cannot_be_used(table, tmp_path, opened, capsys):
    (tmp_path / "bad.avi").write_text("no video")
    files = (("left", "bad"), ("right", "gone"))
    changes = ((f"{table.parent}/0.avi,{label},", f"{name}.avi,{label},") for label, name in files)
    assert opened(changed(table, tmp_path, *changes)).num_videos == {"train": 8, "test": 2}
    assert "2 videos left out, listed in" in capsys.readouterr().out
    (tmp_path / "videos.csv").write_text(f"path,label\n{table.parent}/0.avi,one\n")
    assert opened(tmp_path / "videos.csv", holds_out=False).class_names == ("one",)
    for name, told in (("x", "not a prepared data set"), ("x.csv", "does not exist: expected a")):
        with pytest.raises(DataError, match=told):
            opened(tmp_path / name)
    shutil.copyfile(table.with_name("0.avi"), tmp_path / "copy.avi")
    copies = changed(table, tmp_path, ("end_seconds\n", "end_seconds\ncopy.avi,left,new,test,,\n"))
    message = r"copy.avi \(test left\).* have the same content.* by yourself: clipline prepare --so"
    with pytest.raises(DataError, match=message):
        opened(copies)
    late = changed(table, tmp_path, ("0.avi,right,p0,train,1.5,", "0.avi,right,p0,train,9,"))
    assert opened(late).num_videos == {"train": 9, "test": 2}
