"""Apache Beam's local runner writes what the local workers write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import PipelineError
from pipeline.prepare.plan import ShardTask
from pipeline.prepare.preparation import prepare as run_prepare
from pipeline.video import write_video
from pipeline.workers.process import DASK_WORKER
from tests.dask_cluster import dask_cluster
from tests.prepare.people import tree

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "prepare.py"
CLUSTER = ROOT / "docs" / "how-to" / "cluster.md"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("beam") / "videos"
    rng = np.random.default_rng(0)
    for label in ("run", "walk"):
        (root / label).mkdir(parents=True)
        for person in range(4):
            frames = rng.integers(256, size=(12, 24, 32, 3), dtype=np.uint8)
            write_video(root / label / f"p{person} {label}.avi", frames, fps=10, codec="MJPG")
    return root


def prepare(videos: Path, out: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, SCRIPT, "--source", "folder", "--path", videos),
        *("--out", videos.parent / out, "--group-regex", r"p\d", "--test-groups", "p3"),
        *("--shard-videos", "2", "--size", "16", *options),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_beam_and_the_local_workers_write_the_same_bytes(videos: Path) -> None:
    local = prepare(videos, "local")
    beam = prepare(videos, "beam", "--runner", "beam", "--beam-options=--runner=DirectRunner")

    assert (local.returncode, local.stderr) == (0, "")
    assert (beam.returncode, beam.stderr) == (0, "")
    assert beam.stdout == local.stdout.replace("/local", "/beam")
    wanted = tree(videos.parent / "local")
    assert len([name for name in wanted if name.startswith("clipline-")]) == 5
    assert tree(videos.parent / "beam") == wanted


def test_two_workers_of_dask_write_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    """They are started as the documentation says."""
    assert DASK_WORKER in CLUSTER.read_text(encoding="utf-8")
    local = prepare(videos, "local", "--overwrite")
    command = DASK_WORKER.split()
    setting, value = command[0].split("=")
    options = command[command.index("--nworkers") :]
    options[options.index("-1")] = "2"
    with dask_cluster(tmp_path, 1, options=options, settings={setting: value}) as cluster:
        options = f"--beam-options={cluster.beam_options}"
        dask = prepare(videos, "dask", "--runner", "beam", options)
    assert (dask.returncode, local.returncode) == (0, 0), dask.stderr
    assert tree(videos.parent / "dask") == tree(videos.parent / "local")


def test_a_worker_of_dask_that_may_start_no_process_ends_in_one_line(
    videos: Path, tmp_path: Path
) -> None:
    with dask_cluster(tmp_path, 1, options=()) as cluster:
        options = f"--beam-options={cluster.beam_options}"
        result = prepare(videos, "refused", "--runner", "beam", options)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("clipline: on a machine of Beam: a daemonic process may start no others")
    assert last.endswith(f"Start the workers of Dask so: {DASK_WORKER}")


def nothing(task: ShardTask, config: PrepareConfig) -> None:
    """What comes of the work on a machine that sees another disk."""


def test_shards_that_are_not_here_end_in_one_line(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.prepare.shard_workers._write_one", nothing)
    monkeypatch.setattr("pipeline.workers.beam._SEEN_SECONDS", 0)
    config = PrepareConfig(
        source="folder", path=str(videos), out=str(videos.parent / "gone"), runner="beam"
    )
    with pytest.raises(PipelineError, match="must see the folder .*/gone/.* under the same path"):
        run_prepare(config)


@pytest.mark.parametrize("options", ["--runner=Nonsense", "--nonsense=3 garbage"])
def test_options_of_beam_that_there_are_not(videos: Path, options: str) -> None:
    result = prepare(videos, "other", "--runner", "beam", f"--beam-options={options}")
    assert result.returncode == 2
    assert "--beam-options" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_shard_that_cannot_be_written_ends_in_one_line(videos: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        result = prepare(videos, "spoiled", "--runner", "beam")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("clipline: Beam ended with ")
    assert "File too large" in line
    assert result.stderr.endswith("what is finished is kept.\n")
