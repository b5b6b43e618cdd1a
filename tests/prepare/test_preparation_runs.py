"""Preparations that are killed, stopped, without space, without a terminal, or two at once."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.prepare.preparation import prepare
from pipeline.prepare.summary import PrepareReport
from tests.prepare.people import configure, tree, writes
from tests.processes import Start, alive, python_processes, wait_until, workers_of

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare.py"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
posix = pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")


@linux
def test_two_preparations_at_once(root: Path, start: Start) -> None:
    config = configure(root)
    video, content = block(root)
    process = start(config)
    wait_until(lambda: only_the_test_shard_is_missing(config))

    with pytest.raises(ConfigError, match="another process is preparing .*out. Wait until it"):
        prepare(config)

    process.kill()
    process.communicate()
    video.unlink()
    video.write_bytes(content)
    assert len(prepare(config).store.manifest.rows) == 11


def options(config: PrepareConfig) -> Iterator[str]:
    """The command line of a configuration."""
    for name, value in dataclasses.asdict(config).items():
        if value not in ("", (), False):
            text = ",".join(value) if isinstance(value, tuple) else value
            yield f"--{name.replace('_', '-')}={text}"


@pytest.fixture
def start() -> Iterator[Start]:
    with python_processes() as start:
        yield lambda config: start(SCRIPT, *options(config))


def block(root: Path) -> tuple[Path, bytes]:
    """Puts a list of a pipe that nobody writes to in place of the last test video: FFmpeg hangs."""
    video = root / "wälk fast" / "eve 1.avi"
    content = video.read_bytes()
    hidden = video.with_name("__MACOSX")
    hidden.mkdir()
    os.mkfifo(hidden / "pipe")
    video.write_text(f"ffconcat version 1.0\nfile {hidden.name}/pipe\n")
    return video, content


def only_the_test_shard_is_missing(config: PrepareConfig) -> bool:
    return len(list(Path(config.out).glob("clipline-partial/shards/*.json"))) == 5


@linux
def test_killed_run_goes_on_to_the_same_store(root: Path, start: Start) -> None:
    config = configure(root)
    video, content = block(root)
    process = start(config)
    begun = Path(config.out) / "clipline-partial"
    wait_until(lambda: only_the_test_shard_is_missing(config) and any(begun.glob("*.tmp")))
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
def test_ctrl_c_ends_the_workers_and_keeps_finished_shards(root: Path, start: Start) -> None:
    config = configure(root)
    block(root)
    process = start(config)
    wait_until(lambda: only_the_test_shard_is_missing(config))
    workers = workers_of(process.pid)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (130, "interrupted\n")
    assert not alive(workers)
    assert only_the_test_shard_is_missing(config)


def lost_videos(config: PrepareConfig) -> list[tuple[str, str]]:
    with (Path(config.out) / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return [(Path(x["path"]).name, x["reason"]) for x in lines if x["problem"] == "lost"]


@linux
def test_a_decoder_that_crashes_costs_its_video_only(root: Path, start: Start) -> None:
    config = configure(root, max_bad_fraction=0.2, workers=1)
    video, content = block(root)
    process = start(config)
    writer: list[int] = []
    wait_until(lambda: is_read(video.with_name("__MACOSX") / "pipe", writer))

    (worker,) = workers_of(process.pid)
    os.kill(worker, signal.SIGSEGV)
    output, errors = process.communicate(timeout=60)
    os.close(writer[0])

    assert (process.returncode, errors) == (0, "")
    assert "10 videos, 2 classes, 6 groups" in output
    assert output.splitlines()[-1].startswith("2 videos left out")
    assert lost_videos(config) == [("eve 1.avi", "its decoder crashed (SIGSEGV).")]
    video.unlink()
    video.write_bytes(content)
    assert len(prepare(config).store.manifest.rows) == 11


def is_read(pipe: Path, writer: list[int]) -> bool:
    """Whether somebody has opened a pipe to read it; he then waits for what never comes."""
    try:
        writer.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # nobody has
        return False
    return True


@posix
@pytest.mark.parametrize("most", [0.1, 0.2])
def test_a_video_that_cost_a_worker_is_tried_again(root: Path, most: float) -> None:
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
def test_disk_that_is_full(prepared: PrepareReport, root: Path, start: Start) -> None:
    """As far as one file is concerned: the largest shard does not fit."""
    import resource

    sizes = {path.name: path.stat().st_size for path in prepared.store.path.glob("clipline-*")}
    largest = max(sizes, key=lambda name: sizes[name])
    config = configure(root, workers=1)
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
    assert tree(config.out) == tree(prepare(configure(root, "undisturbed")).store.path)


def test_without_a_terminal_there_is_only_the_summary(root: Path, start: Start) -> None:
    process = start(configure(root))

    output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert len(output.splitlines()) == 6


def test_preparing_needs_no_tensorflow(root: Path) -> None:
    code = """
import json, sys
from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.preparation import prepare
prepare(PrepareConfig(**json.loads(sys.argv[1])))
sys.exit("tensorflow" in sys.modules)
"""
    config = json.dumps(dataclasses.asdict(configure(root)))
    assert subprocess.run([sys.executable, "-c", code, config]).returncode == 0
