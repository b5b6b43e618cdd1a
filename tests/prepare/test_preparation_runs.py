"""Preparations that are killed, stopped, without space or a terminal, two at once, or by Beam."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.prepare.preparation import prepare
from pipeline.workers.process import DASK_WORKER
from tests.dask_cluster import dask_cluster
from tests.prepare.people import SCRIPT, configure, tree, words_of, writes
from tests.processes import alive, python_processes, wait_until, workers_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
posix = pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")


TOLD = f"""
import atexit, runpy, sys
atexit.register(lambda: print("tensorflow" in sys.modules))
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


@pytest.fixture
def start():
    with python_processes() as start:
        yield lambda config, script=(SCRIPT,): start(*script, *words_of(config))


def block(root):
    """Puts a list of a pipe that nobody writes to in place of the last test video: FFmpeg hangs."""
    video = root / "wälk fast" / "eve 1.avi"
    content = video.read_bytes()
    hidden = video.with_name("__MACOSX")
    hidden.mkdir()
    os.mkfifo(hidden / "pipe")
    video.write_text(f"ffconcat version 1.0\nfile {hidden.name}/pipe\n")
    return video, content


def only_the_last_is_missing(config):
    return len(list(Path(config.out).glob("frames/*.index"))) == 10


@linux
def test_a_run_that_is_interrupted_and_killed_goes_on_to_the_same_store(root, start):
    config = configure(root, workers=2)
    video, content = block(root)

    def at_its_last_video():
        writer = []
        process = start(config)
        wait_until(lambda: is_read(video.with_name("__MACOSX") / "pipe", writer))
        wait_until(lambda: only_the_last_is_missing(config))
        return process, workers_of(process.pid), writer

    process, workers, (pipe,) = at_its_last_video()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    os.close(pipe)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert not alive(workers)
    process, workers, (pipe,) = at_its_last_video()
    with pytest.raises(ConfigError, match="another process is preparing .*out. Wait until it"):
        prepare(config)
    process.kill()
    process.communicate()
    wait_until(lambda: not alive(workers))
    os.close(pipe)
    assert not (Path(config.out) / "prepare.json").exists()
    before = writes(config.out)
    video.unlink()
    video.write_bytes(content)
    assert prepare(config).num_decoded == 1
    after = writes(config.out)
    assert {name: after[name] for name in before} == before
    undisturbed = configure(root, "undisturbed")
    prepare(undisturbed)
    assert tree(config.out) == tree(undisturbed.out)


def lost_videos(config):
    with (Path(config.out) / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return [(Path(x["path"]).name, x["reason"]) for x in lines if x["problem"] == "lost"]


@linux
def test_a_decoder_that_crashes_costs_its_video_only(root, start):
    """Without a terminal, nothing else is printed but the summary; TensorFlow is not needed."""
    config = configure(root, max_bad_fraction=0.2)
    video, content = block(root)
    process = start(config, ("-c", TOLD))
    writer = []
    wait_until(lambda: is_read(video.with_name("__MACOSX") / "pipe", writer))
    (worker,) = workers_of(process.pid)
    os.kill(worker, signal.SIGSEGV)
    output, errors = process.communicate(timeout=60)
    os.close(writer[0])
    assert (process.returncode, errors) == (0, "")
    first, *splits, last, has_tensorflow = output.splitlines()
    assert first.endswith("10 videos, 2 classes, 6 groups")
    assert splits.pop() == "10 videos decoded"
    assert len(splits) == 3
    assert last.startswith("2 videos left out")
    assert has_tensorflow == "False"
    assert lost_videos(config) == [("eve 1.avi", "its decoder crashed (SIGSEGV).")]
    video.unlink()
    video.write_bytes(content)
    assert len(prepare(config).store.manifest.rows) == 11


def is_read(pipe, writer):
    """Whether somebody has opened a pipe to read it; he then waits for what never comes."""
    try:
        writer.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # nobody has
        return False
    return True


@posix
def test_a_video_that_cost_a_worker_is_tried_again(root, quick_workers):
    """Whether or not the preparation came to an end, and though nothing else changed."""
    config = configure(root, seconds_per_video=1)
    video, content = block(root)
    with pytest.raises(DataError, match="2 of 12 videos would"):
        prepare(config)
    before = writes(config.out)
    config = dataclasses.replace(config, max_bad_fraction=0.2, seconds_per_video=2)
    prepare(config)
    assert lost_videos(config) == [("eve 1.avi", "it took longer than 2 seconds.")]
    assert writes(config.out) == before
    pipe = video.with_name("__MACOSX") / "pipe"
    pipe.unlink()
    pipe.write_bytes(content)
    assert len(prepare(config).store.manifest.rows) == 11


@posix
def test_disk_that_is_full(people_store, root, full_disk):
    """As far as one file is concerned: the largest does not fit."""
    sizes = {path.name: path.stat().st_size for path in people_store.path.glob("frames/*.tfrec*")}
    largest = max(sizes, key=lambda name: sizes[name])
    config = configure(root)
    hint = "File too large. Make sure that it can be written and that there is free"
    with full_disk(sizes[largest] - 1), pytest.raises(PipelineError, match=hint):
        prepare(config)
    finished = writes(config.out)
    assert 0 < len(finished) < len(sizes)
    prepare(config)
    after = writes(config.out)
    assert {name: after[name] for name in finished} == finished
    mine, wanted = tree(config.out), tree(people_store.path)
    assert all(mine[name] == wanted[name] for name in wanted if name.startswith("frames/"))


CLUSTER = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"


def with_beam(people, out, options=""):
    return configure(people, out, runner="beam", beam_options=options)


def command(config):
    words = [sys.executable, SCRIPT, *words_of(config)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.usefixtures("quick_workers")
def test_beam_and_the_local_workers_write_the_same_bytes(people, tmp_path, capfd):
    beam = prepare(with_beam(people, tmp_path / "b" / "beam", "--runner=DirectRunner"))
    assert capfd.readouterr() == ("", "")
    local = prepare(configure(people, tmp_path / "local"))
    assert str(beam) == str(local).replace("/local", "/b/beam")
    wanted = tree(tmp_path / "local")
    assert len([name for name in wanted if ".tfrecord-" in name]) == 11
    assert tree(tmp_path / "b" / "beam") == wanted


@pytest.mark.slow
def test_two_workers_of_dask_write_the_same_bytes(people, tmp_path):
    """They are started as the documentation says."""
    assert DASK_WORKER in CLUSTER.read_text(encoding="utf-8")
    words = DASK_WORKER.split()
    setting, value = words[0].split("=")
    options = words[words.index("--nworkers") :]
    options[options.index("-1")] = "2"
    with dask_cluster(tmp_path, 1, options=options, settings={setting: value}) as cluster:
        dask = command(with_beam(people, tmp_path / "d" / "dask", cluster.beam_options))
    assert dask.returncode == 0, dask.stderr
    prepare(configure(people, tmp_path / "local"))
    assert tree(tmp_path / "d" / "dask") == tree(tmp_path / "local")


@pytest.mark.slow
def test_a_worker_of_dask_that_may_start_no_process_ends_in_one_line(people, tmp_path):
    with dask_cluster(tmp_path, 1, options=()) as cluster:
        result = command(with_beam(people, tmp_path / "refused", cluster.beam_options))
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("clipline: on a machine of Beam: a daemonic process may start no others")
    assert last.endswith(f"Start the workers of Dask so: {DASK_WORKER}")


def nothing(task, config):
    """What comes of the work on a machine that sees another disk."""


def test_shards_that_are_not_here_and_options_that_there_are_not(people, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.prepare.decode_all._decode_one", nothing)
    monkeypatch.setattr("pipeline.workers.beam._SEEN_SECONDS", 0)
    with pytest.raises(PipelineError, match="must see the folder .*/gone/.* under the same path"):
        prepare(with_beam(people, tmp_path / "gone"))
    with pytest.raises(ConfigError, match="--beam-options: .*Nonsense"):
        prepare(with_beam(people, tmp_path / "out", "--runner=Nonsense"))
