import shutil

import pytest

from pipeline.config.file import preset_names
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import DataError
from pipeline.video import write_video
from pipeline.web.errors import MissingError, OutsideError
from pipeline.web.train.plan import PRESETS, Choice, prepared_sets
from pipeline.web.workspace import Workspace
from tests.web.conftest import coded

CHOICE = {"folder": "lab", "kind": "events", "preset": "recordings"}
CLIPS = {"kind": "clips", "preset": "small"}


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    lines = ["video,start_seconds,end_seconds,label"]
    for name in ("a.avi", "b.avi", "c.avi", "d.avi", "e.avi"):
        write_video(folder / name, coded(3), fps=25, codec="FFV1")
        lines.append(f"{name},0,1,walk")
    (folder / "events.csv").write_text("\n".join([*lines, ""]))
    (folder / "labels.csv").write_text("path,label\na.avi,walk\n")
    return Workspace(tmp_path)


def steps(workspace, **changes):
    return Choice.checked({**CHOICE, **changes}).training(workspace).steps


def value_of(step, option):
    return step[step.index(option) + 1]


def test_events_are_prepared_trained_and_tested(workspace):
    job = Choice.checked(CHOICE).training(workspace)
    assert [" ".join(words) for words in job.steps] == [
        "prepare --source events --path lab/events.csv --val-fraction 0.15 --out data/lab-events",
        "train --config recordings --data data/lab-events --run runs/lab-recordings-1",
        "evaluate runs/lab-recordings-1",
    ]
    assert (job.run, job.data) == ("runs/lab-recordings-1", "data/lab-events")
    (workspace.root / "runs" / "lab-recordings-1").mkdir(parents=True)  # is never replaced
    assert steps(workspace)[-1] == ("evaluate", "runs/lab-recordings-2")
    job = Choice.checked(CHOICE).check(workspace)
    assert [step[:2] for step in job.steps] == [("prepare", "--check")]
    assert (job.run, job.data) == ("", "data/lab-events/check")
    table = workspace.path("lab/events.csv")
    table.write_text(f"{table.read_text()}a.avi,2,,peck\n")
    assert value_of(steps(workspace)[0], "--point-seconds") == "1"


def test_folds_and_auto_give_no_videos_away(workspace):
    prepare, *others = steps(workspace, folds=5, **CLIPS)
    assert "--val-fraction" not in prepare
    ((*words, out),) = others
    assert words[:5] == ["crossval", "--config", "small", "--data", "data/lab-clips-folds"]
    assert (*words[5:], out) == ("--split.folds", "5", "--out", "runs/lab-small-1")
    prepare, train, _ = steps(workspace, kind="clips", preset="auto", minutes=7)
    assert "--val-fraction" not in prepare
    assert train[-2:] == ("--run", "runs/lab-auto-1")
    assert value_of(train, "--budget") == "7m"
    (workspace.root / "lab").rename(workspace.root / "--out x")  # A folder is never an option.
    prepare, *_ = steps(workspace, folder="--out x", **CLIPS)
    assert prepare[3:5] == ("--path", "./--out x/labels.csv")
    assert prepare[-1].startswith("data/--out_x-")


@pytest.mark.parametrize(
    ("preset", "words", "data"),
    [
        ("flow", ("--flow",), "data/lab-clips-flow"),
        ("pose", ("--pose",), "data/lab-clips-pose"),
        ("pretrained", ("--size", "224"), "data/lab-clips-224"),
        ("small", (), "data/lab-clips"),
    ],
)
def test_what_a_preset_needs_is_prepared(workspace, preset, words, data):
    prepare, *_ = steps(workspace, kind="clips", preset=preset)
    assert prepare == (
        *("prepare", "--source", "csv", "--path", "lab/labels.csv", "--val-fraction", "0.15"),
        *(*words, "--out", data),
    )


def test_each_table_has_a_data_set_of_its_own():
    folders = ("", "videos", "Lab 1", "Lab_1", "a/b", "a-b", "a-b-clips", "x" * 60, "x" * 61)
    # Where folds are tested, and by auto, nothing is held out to choose by.
    ways = (("events", "recordings", 0), ("events", "recordings", 5), ("clips", "small", 0))
    ways = (*ways, ("clips", "auto", 0), ("clips", "flow", 0))
    names = [
        Choice(folder=folder, kind=kind, preset=preset, folds=folds).data
        for folder in folders
        for kind, preset, folds in ways
    ]
    assert len(set(names)) == len(names)


def test_too_few_recordings_are_told_before_anything_runs(workspace):
    table = workspace.path("lab/events.csv")
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:3]))
    with pytest.raises(DataError, match=r"lab: label 3 recordings or more, .* There are 2 so far"):
        steps(workspace)
    assert Choice.checked(CHOICE).check(workspace).steps  # What is there can be looked at.
    table.write_text("\n".join(lines[:5]))
    assert steps(workspace)
    with pytest.raises(DataError, match="label 5 recordings or more"):
        steps(workspace, folds=5)


def test_what_is_missing_is_told_and_one_can_go_on_without(workspace):
    def share_of(**changes):
        return float(value_of(steps(workspace, **changes, goes_without=True)[0], option))

    table, option = workspace.path("lab/events.csv"), "--max-bad-fraction"
    workspace.path("lab/e.avi").write_bytes(b"no video")
    table.write_text(f"{table.read_text()}gone.avi,0,1,walk\ngone.avi,2,3,sit\n")
    told = r"lab: 2 of 6 recordings in its table .* gone\.avi, e\.avi\. Bring them back, or train"
    with pytest.raises(MissingError, match=told):
        steps(workspace)
    assert share_of() == pytest.approx(2 / 6 + PrepareConfig.max_bad_fraction, abs=1e-3)
    ((_, *check),) = Choice.checked(CHOICE).check(workspace).steps
    assert option in check  # Its report says what is missing.
    assert steps(workspace, **CLIPS)
    workspace.path("lab/labels.csv").write_text("path,label\na.avi,walk\nx/b.avi,walk\n")
    with pytest.raises(MissingError, match=r"lab: 1 of 2 clips in its table .*: x/b\.avi\. "):
        steps(workspace, **CLIPS)
    assert share_of(**CLIPS) < 1
    workspace.path("lab/a.avi").unlink()
    assert share_of(**CLIPS) == 1


def test_a_data_set_is_trained_on_as_it_is(workspace, blob_store, recording_store):
    (workspace.root / "data").mkdir()
    for name, store in (("clips", blob_store), ("rec", recording_store)):
        shutil.copytree(store.path, workspace.root / "data" / name)
    (workspace.root / "data" / "begun").mkdir()
    assert prepared_sets(workspace) == [("data/clips", "clips"), ("data/rec", "events")]
    chosen = {**CLIPS, "folder": "data/clips", "is_prepared": True}
    assert [" ".join(words) for words in steps(workspace, **chosen)] == [
        "train --config small --data data/clips --run runs/clips-small-1",
        "evaluate runs/clips-small-1",
    ]
    job = Choice.checked(chosen).check(workspace)
    assert (job.steps, job.data) == ((), "data/clips")
    with pytest.raises(DataError, match="not a prepared data set"):
        steps(workspace, **{**chosen, "folder": "data/begun"})
    with pytest.raises(OutsideError):
        steps(workspace, **{**chosen, "folder": "../data"})


def test_what_cannot_be_chosen(workspace):
    (workspace.root / "empty").mkdir()
    for changes, message in (
        ({"folder": None}, "expected the folder of the videos"),
        ({"kind": "other"}, "expected a preset"),
        ({"preset": "small"}, "expected a preset"),
        ({"preset": "../x"}, "expected a preset"),
        ({"folds": 21}, "folds: expected a whole number from 0 to 20"),
        ({"folds": -1}, "folds: expected a whole number"),
        ({"folds": True}, "folds: expected a whole number"),
        ({"minutes": "5; rm"}, "minutes: expected a whole number"),
        ({"folder": "empty"}, "empty: there are no labels yet"),
        ({"folder": ".."}, "no such"),
    ):
        with pytest.raises(DataError, match=message):
            steps(workspace, **changes)
    assert {each for kind in PRESETS.values() for each in kind} <= {*preset_names(), "auto"}
