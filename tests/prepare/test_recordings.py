"""Data sets of recordings, the rate that is stored, and what tells data sets apart."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.dataset.recordings import recording_labels
from pipeline.dataset.videos import recording_frames
from pipeline.frames.encoding import encode_video
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import open_prepared
from pipeline.prepare.rate import chosen_rate, stored_rate
from pipeline.video import decode_jpeg, write_video
from tests.prepare.people import configure
from tests.prepare.recordings import config_of, prepare_greys
from tests.prepare.recordings import render as render_grey


def test_stored_rate_of_those_of_files(tmp_path, monkeypatch):
    for rates, expected in (
        ([], 15),
        ([30, 25, 60], 15),
        ([14.985] * 3, 15),  # half of what television has: as good as 15
        ([14] * 3, 14),
        ([0.1] * 5 + [30] * 6, 7.5),  # half of what most would get
        ([0.1] * 6 + [30] * 5, 0.1),
        ([5] * 2 + [30] * 38, 15),  # one in twenty
        ([9] * 2 + [30] * 37, 9),
    ):
        assert stored_rate(rates) == expected, rates
    # Evenly chosen where there are many; one that cannot be read is passed over.
    monkeypatch.setattr("pipeline.prepare.rate._LOOKED_AT", 3)
    paths = [str(tmp_path / f"{rate}.avi") for rate in (14, 10, 12, 11, 13, 15)]
    for path in paths:
        rate = float(Path(path).stem)
        write_video(path, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=rate, codec="FFV1")
    Path(paths[2]).write_text("no video")
    assert chosen_rate(paths, configure(tmp_path)) == 13


@pytest.fixture(scope="module")
def folder(made):
    return made("grey recordings", prepare_greys)


@pytest.fixture(scope="module")
def store(folder):
    return open_prepared(folder / "store")


def test_a_recording_is_one_row_with_all_its_classes_and_chunks_of_bounded_length(folder, store):
    rows = [(row.label, row.labels, row.group, row.split) for row in store.manifest.rows]
    assert rows == [
        ("background;tick;tock", ("background", "tick", "tock"), "a.avi", "train"),
        ("background;tick", ("background", "tick"), "b.avi", "test"),
        ("background;tick", ("background", "tick"), "c.avi", "train"),
    ]
    assert (store.labelling, store.background) == ("frames", "background")
    assert store.num_videos == {"train": 2, "test": 1}
    classes = store.report["splits"]["train"]["classes"]
    assert classes["tick"] == {"videos": 2, "groups": 2, "seconds": 3.2}
    page = (store.path / "data_report.md").read_text()
    assert page.startswith("# Data report\n\n3 recordings of 3 groups, 45.0 s; 0 left out.")
    frames = encode_video(folder / "videos" / "a.avi", store.frames)[0]["frames"]
    (clip,) = (clip for clip in store.clips if clip.name == "a.avi")
    read = tfds.builder_from_directory(store.frames_folder).as_dataset(split="all")
    records = [each for each in tfds.as_numpy(read) if each["video"].decode() == clip.frames]
    assert [each["first_frame"] for each in records] == [0, 128, 256]
    assert {each["file"] for each in records} == {b"a.avi"}
    shown = np.concatenate([each["frames"] for each in records])
    np.testing.assert_array_equal(shown, [decode_jpeg(frame) for frame in frames])
    (labels,) = recording_labels(store, [clip])
    background, tick, tock = labels.T
    assert np.flatnonzero(tick).tolist() == list(range(0, 300, 10))
    assert np.flatnonzero(tock).tolist() == [295]
    np.testing.assert_array_equal(background, (tick + tock) == 0)
    numbers = (0, 127, 128, 299)
    some = recording_frames(store, clip, numbers)
    np.testing.assert_array_equal(some, shown[list(numbers)])


@pytest.mark.usefixtures("quick_workers")
def test_other_events_and_recordings_are_another_data_set(folder, store, tmp_path):
    root = shutil.copytree(folder / "videos", tmp_path / "videos")
    assert prepare(config_of(root, tmp_path / "out")).store.fingerprint == store.fingerprint
    text = (root / "events.csv").read_text()
    (root / "events.csv").write_text(text.replace("29.5,29.6", "29.4,29.6"))
    report = prepare(config_of(root, tmp_path / "out"))
    assert (report.up_to_date, report.num_decoded) == (False, 0)
    assert report.store.fingerprint != store.fingerprint
    labels = [recording_labels(each, each.of_split("test")) for each in (report.store, store)]
    np.testing.assert_array_equal(*labels)
    # Cut, its events are ranges of the same frames.
    report = prepare(config_of(root, tmp_path / "cut", cut_events=True))
    assert report.num_decoded == 0
    assert {clip.num_frames for clip in report.store.clips} == {1, 2}
    # One that is too short is left out.
    with (root / "events.csv").open("a") as file:
        file.write("\nd.avi,0.5,1,tick,train\n")
    render_grey(root / "d.avi", 8)
    store = prepare(config_of(root, tmp_path / "new", min_frames=10, max_bad_fraction=0.5)).store
    assert [left["video"] for left in store.report["left_out"]] == ["d.avi"]
    assert len(store.clips) == 3
