"""Apache Beam's local runner, and a cluster of Dask, write what the local workers write."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, PipelineError
from pipeline.prepare.preparation import prepare
from pipeline.workers.process import DASK_WORKER
from tests.dask_cluster import dask_cluster
from tests.prepare.people import SCRIPT, configure, tree, words_of

CLUSTER = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"


def with_beam(people, out, options=""):
    return configure(people, out, shard_videos=8, runner="beam", beam_options=options)


def command(config):
    words = [sys.executable, SCRIPT, *words_of(config)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.usefixtures("quick_workers")
def test_beam_and_the_local_workers_write_the_same_bytes(people, tmp_path, capfd):
    beam = prepare(with_beam(people, tmp_path / "beam", "--runner=DirectRunner"))
    assert capfd.readouterr() == ("", "")
    local = prepare(configure(people, tmp_path / "local", shard_videos=8))
    assert str(beam) == str(local).replace("/local", "/beam")
    wanted = tree(tmp_path / "local")
    assert len([name for name in wanted if name.startswith("clipline-")]) == 3
    assert tree(tmp_path / "beam") == wanted


@pytest.mark.slow
def test_two_workers_of_dask_write_the_same_bytes(people, tmp_path):
    """They are started as the documentation says."""
    assert DASK_WORKER in CLUSTER.read_text(encoding="utf-8")
    words = DASK_WORKER.split()
    setting, value = words[0].split("=")
    options = words[words.index("--nworkers") :]
    options[options.index("-1")] = "2"
    with dask_cluster(tmp_path, 1, options=options, settings={setting: value}) as cluster:
        dask = command(with_beam(people, tmp_path / "dask", cluster.beam_options))
    assert dask.returncode == 0, dask.stderr
    prepare(configure(people, tmp_path / "local", shard_videos=8))
    assert tree(tmp_path / "dask") == tree(tmp_path / "local")


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
    monkeypatch.setattr("pipeline.prepare.shard_workers._write_one", nothing)
    monkeypatch.setattr("pipeline.workers.beam._SEEN_SECONDS", 0)
    with pytest.raises(PipelineError, match="must see the folder .*/gone/.* under the same path"):
        prepare(with_beam(people, tmp_path / "gone"))
    with pytest.raises(ConfigError, match="--beam-options: .*Nonsense"):
        prepare(with_beam(people, tmp_path / "out", "--runner=Nonsense"))
