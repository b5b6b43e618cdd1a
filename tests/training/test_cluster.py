"""Training on several machines: processes of this one, which know each other by TF_CONFIG."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from pipeline.config.file import save_config
from pipeline.errors import ConfigError
from pipeline.run import Run
from pipeline.training.cluster import Cluster, by_slurm
from pipeline.training.fit import train
from pipeline.training.place import Place, place_in
from tests.runs import changed, expect_same
from tests.training.workers import workers


@pytest.fixture
def config(tiny_config):
    """With what all workers must have in common: statistics, and the draws of mixing."""
    values = {"backbone.synchronised": True, "augment.mixup.strength": 0.2, "train.keep": "last"}
    return changed(tiny_config, values)


def command_of(config, tmp_path):
    """Its arguments, and the run that it trains."""
    run = Run(tmp_path / "run")
    save_config(config, tmp_path / "config.toml")
    return ("--config", tmp_path / "config.toml", "--run", run.folder), run


def test_two_workers_train_as_one(config, tmp_path):
    command, run = command_of(config, tmp_path)
    with workers(2, *command) as (first, second):
        said, errors = first.communicate(timeout=300)
        silent = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), errors + silent[1]
    assert (errors, *silent) == ("", "", "")
    assert said.startswith("2 workers, waiting for all: localhost:")
    expect_same(run, train(config, tmp_path / "one"), rtol=1e-3, atol=1e-3)


def text_of(path):
    return path.read_text() if path.is_file() else ""


def epochs_of(run):
    """At this moment, the last of them perhaps in part."""
    return text_of(run.history_file).count("\n") - 1


def until_more_epochs(run, done, process):
    end = time.monotonic() + 200
    while epochs_of(run) <= done:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_others_and_all_go_on(config, tmp_path):
    command, run = command_of(changed(config, {"train.epochs": 4000}), tmp_path)
    done = 0
    for killed, ended_by in ((1, signal.SIGKILL), (0, signal.SIGTERM)):
        with workers(2, *command) as started:
            until_more_epochs(run, done + 2, started[0])
            started[killed].send_signal(ended_by)
            _, errors = started[1 - killed].communicate(timeout=60)
        assert started[1 - killed].returncode == 2
        (line,) = errors.splitlines()
        assert line.startswith(f"clipline: worker {killed} (localhost:")
        assert line.endswith(
            "has ended, and so does this one. See what was said there. Start all again with the "
            "same command: the training goes on after its last checkpoint"
        )
        done = epochs_of(run)
    with workers(2, *command) as started:
        until_more_epochs(run, done + 2, started[0])
        started[1].send_signal(signal.SIGINT)
        said, errors = started[0].communicate(timeout=120)
        started[1].communicate(timeout=60)
    assert "clipline: " not in errors
    assert f"{run.folder}: goes on after epoch " in said
    assert "interrupted; the model of epoch " in said
    assert [started[0].returncode, started[1].returncode] == [130, 130]
    assert [int(row["epoch"]) for row in run.history()] == list(range(1, len(run.history()) + 1))


def test_a_worker_leaves_once_the_others_do(config, tmp_path):
    line, of_another = socket.socketpair()
    args = {"cluster": Cluster(lines=(line,))}
    first = threading.Thread(target=train, args=(config, tmp_path / "run"), kwargs=args)
    first.start()
    while '"ended"' not in text_of(Run(tmp_path / "run").environment_file):
        assert first.is_alive()
        time.sleep(0.05)
    time.sleep(0.2)
    assert first.is_alive()
    of_another.close()
    first.join(10)
    assert not first.is_alive()


def test_ctrl_c_before_the_first_step_waits_for_nobody(config, tmp_path, monkeypatch):
    """They are elsewhere, and hear of it by the end of this one."""

    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.training.fit.build_recognizer", press)
    line, of_another = socket.socketpair()
    with line, of_another:
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run", cluster=Cluster(lines=(line,)))
        assert line.fileno() != -1


@pytest.mark.slow
def test_where_the_first_worker_cannot_begin_the_others_are_told(config, tmp_path, hold):
    command, run = command_of(config, tmp_path)
    hold(run.folder)
    with workers(2, *command) as (first, second):
        _, errors = first.communicate(timeout=120)
        _, others = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (2, 2)
    assert errors.startswith(f"clipline: another process is training or testing {run.folder}")
    (line,) = others.splitlines()
    assert line.startswith("clipline: worker 0 (localhost:")
    assert "has ended, and so does this one. See what was said there" in line


# Which worker this is.

ADDRESSES = ("one:1", "two:2", "three:3")
CLUSTER = {"worker": ADDRESSES}
TASK = {"type": "worker", "index": 0}


def placed(cluster, task):
    return place_in({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})


def test_the_place_is_that_of_the_environment():
    assert place_in({}) == Place()
    assert placed(CLUSTER, {"type": "worker", "index": 2}) == Place(
        2, 3, ("one:1", "two:2", "three:3")
    )
    with_chief = {"chief": ["zero:1"], **CLUSTER}
    assert placed(with_chief, {"type": "chief", "index": 0}).index == 0
    assert placed(with_chief, {"type": "worker", "index": 1}).index == 2
    assert placed({"worker": ["one:1"]}, {"type": "worker", "index": 0}) == Place()
    assert place_in({"TF_CONFIG": "{}"}) == Place()
    slurm = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
    assert place_in(slurm) == Place(3, 4)
    assert place_in({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) == Place()  # not by srun


def test_addresses_under_slurm_are_in_its_order_and_gpus_are_shared(monkeypatch):
    step = {"STEP_NUM_TASKS": "4", "STEP_NODELIST": "node[9-10]", "STEP_TASKS_PER_NODE": "2(x2)"}
    for name, value in {**step, "PROCID": "3"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    monkeypatch.setenv("TF_CONFIG", "")
    addresses = by_slurm(place_in())
    assert addresses == ("node9:8888", "node9:8889", "node10:8888", "node10:8889")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert place_in() == Place(3, 4, addresses)  # as TensorFlow is told


@pytest.mark.parametrize(
    ("cluster", "task", "reason"),
    [
        (CLUSTER, {"index": 3}, "no worker 3"),
        (CLUSTER, {"index": 0.7}, "such as"),
        (CLUSTER, {"type": ["worker"]}, "such as"),
        (CLUSTER, None, "expected JSON such as"),
        ({**CLUSTER, "ps": ["x:1"]}, {}, "only workers train here, and no ps"),
        ({"worker": "one:1"}, {}, "expected JSON such as"),
        ({"worker": {"0": "one:1", "1": "two:2"}}, {}, "expected JSON such as"),
        ({"worker": ["one:1", "two"]}, {}, "expected HOST:PORT, such as one:2222; got 'two'"),
        ({"worker": ["one:1", "two:99999"]}, {}, "got 'two:99999'"),
        ({"worker": ["one:1", 2]}, {}, "expected HOST:PORT, such as one:2222; got 2"),
        ({"worker": ["one:1", "one:1"]}, {}, "two workers have the address one:1"),
    ],
)
def test_a_place_that_cannot_be_is_told(cluster, task, reason):
    content = {"cluster": cluster} | ({} if task is None else {"task": {**TASK, **task}})
    with pytest.raises(ConfigError, match=reason):
        place_in({"TF_CONFIG": json.dumps(content)})


def test_what_is_no_configuration_of_a_cluster_is_told():
    for text in ("{", "[]"):
        with pytest.raises(ConfigError, match="expected JSON such as"):
            place_in({"TF_CONFIG": text})


def test_a_place_that_slurm_cannot_mean_is_told(monkeypatch):
    with pytest.raises(ConfigError, match="there is no task 2 of 2"):
        place_in({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "2"})
    step = {"STEP_NUM_TASKS": "3", "STEP_NODELIST": "node[1-2]", "STEP_TASKS_PER_NODE": "1(x2)"}
    for name, value in {**step, "PROCID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(ConfigError, match=r"the variables of Slurm: .*3 tasks.*Use `srun`"):
        by_slurm(place_in())
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-b]")
    with pytest.raises(ConfigError, match="the variables of Slurm"):
        by_slurm(place_in())
    monkeypatch.delenv("SLURM_STEP_TASKS_PER_NODE")
    with pytest.raises(ConfigError, match="the variables of Slurm"):
        by_slurm(place_in())
