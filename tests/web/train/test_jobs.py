"""Commands that run in processes of their own, really."""

import contextlib
import dataclasses
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.run import Run
from pipeline.video import write_video
from pipeline.web.errors import RunningError
from pipeline.web.train.job import Job, as_far_as_it_came
from pipeline.web.train.jobs import Jobs
from tests.processes import alive, wait_until

PREPARE = ("prepare", "--source", "csv", "--path", "lab/labels.csv", "--out", "data/lab")


@pytest.fixture
def jobs(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    lines = ["path,label,group"]
    for number in range(6):
        frames = np.random.default_rng(number).integers(256, size=(8, 32, 32, 3), dtype=np.uint8)
        write_video(folder / f"{number}.avi", frames, fps=8, codec="FFV1")
        lines.append(f"{number}.avi,{'down' if number % 2 else 'up'},{number}")
    (folder / "labels.csv").write_text("\n".join(lines))
    jobs = Jobs(tmp_path)
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


def test_one_that_is_stopped_or_killed_goes_on_where_it_was(jobs, tmp_path):
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
    found = ended(jobs, number)
    assert (found.state, found.done) == ("done", 2)
    assert 0 < found.seconds < time.time() - found.started
    assert list(jobs.all()) == ["2", "1"]
    log = jobs.folder(number).log.read_text()
    assert "$ clipline prepare --source csv --path lab/labels.csv" in log
    assert log.index("data/lab is ready: 6 videos") < log.index("$ clipline --version")
    assert (tmp_path / "data" / "lab" / "data_report.md").is_file()
    jobs.stop(number)
    assert jobs.folder(number).read().state == "done"
    with pytest.raises(DataError, match="a test: done, there is nothing to go on with"):
        jobs.go_on(number)


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
    jobs.stop("1")
    ended(jobs, "1")
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
