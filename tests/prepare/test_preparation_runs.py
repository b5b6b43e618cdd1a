"""Preparations that are killed, stopped, without space, without a terminal, or two at once."""

import csv
import dataclasses
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.prepare.preparation import prepare
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


def only_the_test_shard_is_missing(config):
    return len(list(Path(config.out).glob("clipline-partial/shards/*.json"))) == 5


@linux
def test_killed_run_goes_on_to_the_same_store(people, root, start):
    config = configure(root, workers=2)
    video, content = block(root)
    process = start(config)
    begun = Path(config.out) / "clipline-partial"
    wait_until(lambda: only_the_test_shard_is_missing(config) and any(begun.glob("*.tmp")))
    with pytest.raises(ConfigError, match="another process is preparing .*out. Wait until it"):
        prepare(config)
    workers = workers_of(process.pid)
    assert workers
    process.kill()
    process.communicate()
    wait_until(lambda: not alive(workers))
    assert len(list(begun.glob("*test*.tmp"))) == 1
    assert not (Path(config.out) / "prepare.json").exists()
    before = writes(config.out)
    video.unlink()
    video.write_bytes(content)
    prepare(config)
    after = writes(config.out)
    assert {name: after[name] for name in before if "train" in name} == {
        name: before[name] for name in before if "train" in name
    }
    undisturbed = configure(root, "undisturbed")
    prepare(undisturbed)
    assert tree(config.out) == tree(undisturbed.out)


@linux
def test_ctrl_c_ends_the_workers_and_keeps_finished_shards(root, start):
    config = configure(root, workers=2)
    block(root)
    process = start(config)
    wait_until(lambda: only_the_test_shard_is_missing(config))
    workers = workers_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert not alive(workers)
    assert only_the_test_shard_is_missing(config)


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
@pytest.mark.parametrize("most", [0.1, 0.2])
def test_a_video_that_cost_a_worker_is_tried_again(root, most, quick_workers):
    """Whether or not the preparation came to an end, and though nothing else changed."""
    config = configure(root, max_bad_fraction=most, seconds_per_video=1)
    block(root)
    with nullcontext() if most == 0.2 else pytest.raises(DataError, match="2 of 12 videos would"):
        prepare(config)
    before = writes(config.out)
    prepare(dataclasses.replace(config, max_bad_fraction=0.2, seconds_per_video=2))
    assert lost_videos(config) == [("eve 1.avi", "it took longer than 2 seconds.")]
    kept = [inode for name, inode in writes(config.out).items() if "-test" not in name]
    assert kept == [inode for name, inode in before.items() if "-test" not in name]


@posix
def test_disk_that_is_full(people_store, root, start):
    """As far as one file is concerned: the largest shard does not fit."""
    import resource

    sizes = {path.name: path.stat().st_size for path in people_store.path.glob("clipline-*")}
    largest = max(sizes, key=lambda name: sizes[name])
    config = configure(root)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[largest] - 1, limits[1]))
    try:
        process = start(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert "File too large. Make sure that it can be written and that there is free" in errors
    assert errors.count("\n") == 1
    finished = writes(config.out)
    order = [
        name for split in ("train", "val", "test") for name in sorted(sizes) if f"-{split}." in name
    ]
    assert sorted(finished) == sorted(order[: order.index(largest)])
    assert finished
    prepare(config)
    after = writes(config.out)
    assert {name: after[name] for name in finished} == finished
    mine, wanted = tree(config.out), tree(people_store.path)
    assert all(mine[name] == wanted[name] for name in wanted if "clipline" in name)
