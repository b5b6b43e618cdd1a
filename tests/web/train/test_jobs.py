"""What was chosen as commands, which run in processes of their own, and what comes of them."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.config.file import preset_names
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import DataError
from pipeline.run import Run
from pipeline.video import write_video
from pipeline.web.application import application
from pipeline.web.errors import MissingError, OutsideError, RunningError
from pipeline.web.train.job import Job, as_far_as_it_came
from pipeline.web.train.jobs import Jobs
from pipeline.web.train.plan import PRESETS, Choice, prepared_sets
from pipeline.web.train.runs import all_runs, differing, figures, history
from pipeline.web.workspace import Workspace
from tests.processes import alive, wait_until
from tests.web.asgi import ask

CHOICE = {"folder": "lab", "kind": "events", "preset": "recordings"}
CLIPS = {"kind": "clips", "preset": "small"}


@pytest.fixture
def workspace(tmp_path):
    """Six videos in a folder, with a table of events and one of labels."""
    folder = tmp_path / "lab"
    folder.mkdir()
    events, clips = ["video,start_seconds,end_seconds,label"], ["path,label,group"]
    for number in range(6):
        frames = np.random.default_rng(number).integers(256, size=(8, 32, 32, 3), dtype=np.uint8)
        write_video(folder / f"{number}.avi", frames, fps=8, codec="FFV1")
        events.append(f"{number}.avi,0,1,walk")
        clips.append(f"{number}.avi,{'down' if number % 2 else 'up'},{number}")
    (folder / "events.csv").write_text("\n".join([*events, ""]))
    (folder / "labels.csv").write_text("\n".join(clips))
    return Workspace(tmp_path)


def steps(workspace, **changes):
    return Choice.checked({**CHOICE, **changes}).training(workspace).steps


def value_of(step, option):
    return step[step.index(option) + 1]


def test_what_is_chosen_is_prepared_trained_and_tested_and_folds_give_no_videos_away(workspace):
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
    table.write_text(f"{table.read_text()}0.avi,2,,peck\n")
    assert value_of(steps(workspace)[0], "--point-seconds") == "1"
    of_clips = ("prepare", "--source", "csv", "--path", "lab/labels.csv", "--val-fraction", "0.15")
    for preset, words in (
        ("flow", ("--flow", "--out", "data/lab-clips-flow")),
        ("pose", ("--pose", "--out", "data/lab-clips-pose")),
        ("pretrained", ("--size", "224", "--out", "data/lab-clips-224")),
        ("small", ("--out", "data/lab-clips")),
    ):
        assert steps(workspace, kind="clips", preset=preset)[0] == (*of_clips, *words)
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


def test_each_table_has_a_data_set_of_its_own(workspace, blob_store, recording_store):
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


def test_too_few_recordings_and_what_is_missing_are_told_and_one_can_go_on_without(workspace):
    def share_of(**changes):
        return float(value_of(steps(workspace, **changes, goes_without=True)[0], option))

    table, option = workspace.path("lab/events.csv"), "--max-bad-fraction"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:3]))
    with pytest.raises(DataError, match=r"lab: label 3 recordings or more, .* There are 2 so far"):
        steps(workspace)
    assert Choice.checked(CHOICE).check(workspace).steps  # What is there can be looked at.
    table.write_text("\n".join(lines[:5]))
    assert steps(workspace)
    with pytest.raises(DataError, match="label 5 recordings or more"):
        steps(workspace, folds=5)
    workspace.path("lab/4.avi").write_bytes(b"no video")
    table.write_text("\n".join([*lines, ""]) + "gone.avi,0,1,walk\ngone.avi,2,3,sit\n")
    told = r"lab: 2 of 7 recordings in its table .* gone\.avi, 4\.avi\. Bring them back, or train"
    with pytest.raises(MissingError, match=told):
        steps(workspace)
    assert share_of() == pytest.approx(2 / 7 + PrepareConfig.max_bad_fraction, abs=1e-3)
    ((_, *check),) = Choice.checked(CHOICE).check(workspace).steps
    assert option in check  # Its report says what is missing.
    assert steps(workspace, **CLIPS)
    workspace.path("lab/labels.csv").write_text("path,label\n0.avi,walk\nx/b.avi,walk\n")
    with pytest.raises(MissingError, match=r"lab: 1 of 2 clips in its table .*: x/b\.avi\. "):
        steps(workspace, **CLIPS)
    assert share_of(**CLIPS) < 1
    workspace.path("lab/0.avi").unlink()
    assert share_of(**CLIPS) == 1


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


PREPARE = ("prepare", "--source", "csv", "--path", "lab/labels.csv", "--out", "data/lab")


@pytest.fixture
def jobs(workspace):
    jobs = Jobs(workspace.root)
    yield jobs
    for number, each in jobs.all().items():
        jobs.stop(number)
        ended(jobs, number)
        wait_until(lambda each=each: not alive([each.process]))
    jobs.all()


def job(*steps):
    return Job(title="a test", steps=steps)


SLOW = job((*PREPARE, "--fps", "8"), ("--version",))


def ended(jobs, number):
    wait_until(lambda: jobs.folder(number).read().state != "running")
    return jobs.folder(number).read()


def test_one_that_fails_ends_the_job_and_it_goes_on_there(jobs):
    steps = (("--version",), ("evaluate", "runs/none"), ("--version",))
    number = jobs.start(job(*steps))
    found = ended(jobs, number)
    assert (found.state, found.done) == ("failed", 1)
    assert "clipline: runs/none: no trained model here" in jobs.folder(number).log.read_text()
    folder = jobs.folder(number)
    folder.write(dataclasses.replace(folder.read(), steps=(steps[0], *steps[::2])))
    jobs.go_on(number)
    assert ended(jobs, number).state == "done"
    assert folder.log.read_text().count("$ clipline --version") == 3
    # One that is damaged hides no other and keeps its number.
    damaged = jobs.folder("2").path
    damaged.mkdir()
    (damaged / "job.json").write_text("{")
    assert list(jobs.all()) == ["1"]
    assert jobs.start(job(("--version",))) == "3"


def started(jobs, number, times=1):
    """The job, once its first command runs for so many times; that takes long."""
    folder = jobs.folder(number)
    line = b"$ clipline prepare"
    wait_until(lambda: folder.log.is_file() and folder.log.read_bytes().count(line) == times)
    return folder.read()


def test_one_that_is_stopped_or_killed_goes_on_where_it_was(jobs, hold, tmp_path):
    number = jobs.start(SLOW)
    assert jobs.all()[number].state == "running"
    started(jobs, number)
    with pytest.raises(RunningError, match=r"a test is running, .* wait: /jobs/1$"):
        jobs.start(job(("--version",)))
    with pytest.raises(DataError, match="a test: running"):
        jobs.go_on(number)
    jobs.stop(number)
    found = ended(jobs, number)
    assert (found.state, found.done) == ("stopped", 0)
    jobs.go_on(number)
    os.killpg(started(jobs, number, 2).process, signal.SIGKILL)
    assert ended(jobs, number).state == "stopped"
    assert jobs.start(job(("--version",))) == "2"
    assert ended(jobs, "2").state == "done"
    jobs.go_on(number)
    found, folder = ended(jobs, number), jobs.folder(number)
    assert (found.state, found.done) == ("done", 2)
    assert 0 < found.seconds < time.time() - found.started
    assert list(jobs.all()) == ["2", "1"]
    log = folder.log.read_text()
    assert "$ clipline prepare --source csv --path lab/labels.csv" in log
    assert log.index("data/lab is ready: 6 videos") < log.index("$ clipline --version")
    assert (tmp_path / "data" / "lab" / "data_report.md").is_file()
    jobs.stop(number)
    assert folder.read().state == "done"
    with pytest.raises(DataError, match="a test: done, there is nothing to go on with"):
        jobs.go_on(number)
    folder.write(SLOW)
    looking = hold(folder.running)  # for a moment, as who looks whether it runs
    threading.Timer(1, looking.communicate).start()
    code = "from pipeline.web.train import runner; runner._pressed.append(2); runner.main()"
    subprocess.run([sys.executable, "-c", code, folder.path], cwd=tmp_path, check=True)
    assert (folder.read().state, folder.read().done) == ("stopped", 0)  # It was told too early.


def test_one_that_ends_while_one_looks_or_does_not_begin(jobs, hold, monkeypatch):
    folder = jobs.folder("1")
    folder.write(dataclasses.replace(SLOW, state="running", process=2**22))  # There is none.
    hold(folder.running)
    jobs.stop("1")

    def if_free(path):
        folder.write(dataclasses.replace(SLOW, state="done"))
        return contextlib.nullcontext(True)

    monkeypatch.setattr("pipeline.web.train.job.if_free", if_free)
    assert folder.read().state == "done"
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    with pytest.raises(DataError, match="a test: it did not start"):
        jobs.start(SLOW)


def test_of_several_that_begin_at_once_one_does(jobs, tmp_path):
    def start(each):
        with contextlib.suppress(RunningError):
            return each.start(SLOW)

    for number in ("", "0", "7", "-1", "../1", "1/..", "x", "９", "1" * 20):
        with pytest.raises(DataError, match="there is no such training"):
            jobs.folder(number).read()
    assert jobs.all() == {}
    others = [jobs, jobs, Jobs(tmp_path), Jobs(tmp_path)]  # of two servers more
    with ThreadPoolExecutor(len(others)) as threads:
        numbers = list(threads.map(start, others))
    assert sorted(numbers, key=str) == ["1", None, None, None]
    assert list(jobs.all()) == ["1"]
    process = jobs.all()["1"].process
    jobs.stop("1")
    ended(jobs, "1")
    wait_until(lambda: not alive([process]))
    for each in others:
        each.all()  # The one that started it takes note of its end.
    started(jobs, jobs.start(SLOW))
    with pytest.raises(RunningError, match="wait: /jobs/2$"):
        jobs.go_on("1")


def test_a_run_is_made_of_a_training_as_far_as_it_came(tmp_path):
    steps = (("prepare",), ("train", "--run", "runs/a"), ("evaluate", "runs/a"))
    stopped = Job(title="a test", steps=steps, run="runs/a", data="data/a", done=1, state="stopped")
    assert not as_far_as_it_came(stopped, tmp_path)  # There is no epoch of it yet.
    model = Run(tmp_path / "runs" / "a").model_file
    model.parent.mkdir(parents=True)
    model.touch()
    found = as_far_as_it_came(stopped, tmp_path)
    assert found.steps == (("export", "runs/a"), ("evaluate", "runs/a"))
    assert (found.run, found.data, found.state) == ("runs/a", "data/a", "waiting")
    for changes in ({"state": "running"}, {"done": 0}, {"done": 2}, {"done": 3, "state": "done"}):
        assert not as_far_as_it_came(dataclasses.replace(stopped, **changes), tmp_path)


def test_where_nothing_is_yet(tmp_path):
    assert all_runs(tmp_path) == []
    assert history(Run(tmp_path)) == []
    (tmp_path / "lab").mkdir()
    app = application(Workspace(tmp_path), lambda: False)
    assert "Nothing is labelled yet" in ask(app, "/train")[2]
    choice = json.dumps({"folder": "lab", "kind": "clips", "preset": "tiny"}).encode()
    kind = [("content-type", "application/json")]
    status, _, answer = ask(app, "/api/jobs", method="POST", body=choice, headers=kind)
    assert (status, "there are no labels yet" in answer) == (422, True)
    for path in ("/jobs/1", "/api/jobs/1", "/api/jobs/1/events"):
        assert ask(app, path)[0] == 422
    for path in ("/runs/x/report", "/runs/../report"):
        assert ask(app, path)[0] == 404


def write(folder, **files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_", ".", 1)).write_text(text)
    return Run(folder)


VIDEO = {"top1": 0.75, "top1_interval95": [0.5, 0.9]}
TESTED = {"test": {"video": VIDEO, "num_videos": 12, "num_groups": 3}}
OF_FOLDS = {"top1": 0.6, "top1_interval95": [0.4, 0.8]}
FOLDS = {"main_score": "top1", "video": OF_FOLDS, "folds": [{}, {}], "num_videos": 20}


@pytest.fixture
def root(tmp_path):
    runs, bundle = tmp_path / "runs", {"model": {"task": "video"}}
    settings = "seed = 1\n[clip]\nstride = 2\n"
    write(runs / "a", config_toml=settings, metrics_json=TESTED, bundle_json=bundle)
    write(runs / "b", crossval_toml="seed = 2\n[clip]\nstride = 3\n", crossval_json=FOLDS)
    write(runs / "c", config_toml="[clip]\nstride = 3\n", metrics_json="{damaged")
    write(runs / "other", notes_txt="")
    return tmp_path


def test_figures_are_those_of_the_files_and_each_link_of_the_page_answers(root, blob_run):
    found = {each.name: each for each in all_runs(root)}
    assert sorted(found) == ["a", "b", "c"]
    a, b, c = found["a"], found["b"], found["c"]
    assert (a.score, a.value, a.interval) == ("top-1", 0.75, [0.5, 0.9])
    assert a.about == "12 videos, 3 groups"
    assert (b.value, b.interval, b.about) == (0.6, [0.4, 0.8], "2 folds, 20 videos")
    assert (c.score, c.value, c.interval, c.about) == ("", None, None, "not tested")
    assert differing([a, b, c]) == {"clip.stride": ["2", "3", "3"]}
    assert differing([b, c]) == {}
    assert [each.can_classify for each in (a, b, c)] == [True, False, False]
    test = {"frames": {"mean_average_precision": 0.5}, "bouts": {"recordings": [{}]}}
    bundle = {"model": {"task": "frames-multilabel"}}
    d = figures(write(root / "d", metrics_json={"test": test}, bundle_json=bundle))
    assert (d.score, d.value, d.interval) == ("mean average precision", 0.5, None)
    assert d.about == "1 recording"
    # One that was really trained.
    rows, settings = history(blob_run), figures(blob_run).settings
    assert settings["clip.num_frames"] == blob_run.config().clip.num_frames
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert {"loss", "val_loss", "seconds"} <= set(rows[0])
    # Of the page: a plain run and a fused one with a report, and kinds that have none.
    runs, app = root / "runs", application(Workspace(root), lambda: False)
    fused = {"fusion_json": {}, "metrics_json": {"test": {**TESTED["test"], "task": "video"}}}
    write(runs / "fused <b>", **fused)
    write(runs / "auto of labels", **fused)
    write(runs / "auto in folds", crossval_json=FOLDS)
    for name in ("a", "fused <b>"):
        page = Run(runs / name).report_page
        page.parent.mkdir()
        page.write_text(f"report of {name}")
    status, _, page = ask(app, "/runs")
    assert status == 200
    links = sorted(re.findall('href="(/runs/[^"]+)"', page))
    assert links == ["/runs/a/report", "/runs/fused%20%3Cb%3E/report"]
    assert ask(app, links[0])[::2] == (200, "report of a")
    assert ask(app, "/runs/fused <b>/report")[::2] == (200, "report of fused <b>")
    for name in ("auto of labels", "auto in folds", "b"):
        assert f'value="{name}"' in page
