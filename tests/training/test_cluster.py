"""Training on several devices and machines: processes of this one, which TF_CONFIG tells."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.config.augment import NO_AUGMENT
from pipeline.config.file import save_config
from pipeline.errors import ConfigError
from pipeline.run import Run
from pipeline.training import rendezvous
from pipeline.training.cluster import Cluster, by_slurm
from pipeline.training.fit import train
from pipeline.training.rendezvous import Place, leave, meet, place_in
from pipeline.workers.pool import WorkerLostError
from tests.processes import python_processes
from tests.runs import changed, expect_same

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def workers(count, *arguments):
    """Starts them; none is left when it ends."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    with python_processes() as start:
        started = []
        for index in range(count):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            environment = {**os.environ, "TF_CONFIG": config}
            started.append(start(SCRIPT, *arguments, env=environment))
        yield started


@pytest.fixture
def config(tiny_config):
    """With what all workers must have in common: statistics, and the draws of mixing."""
    values = {
        "backbone.synchronised": True,
        "augment.mixup.strength": 0.2,
        "train.checkpoint": "last",
    }
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
    expect_same(run, train(config, tmp_path / "one").run, rtol=1e-3, atol=1e-3)


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


# Several devices: two halves of the CPU, in a process of its own.

ON_TWO_DEVICES = """
import sys
from pathlib import Path
import tensorflow as tf
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
import keras
import numpy as np
from pipeline.config import RunConfig
from pipeline.config.file import load_config
from pipeline.errors import ConfigError
from pipeline.models.layers import BatchNormalization
from pipeline.training import rendezvous
from pipeline.training.cluster import Cluster
from pipeline.training.trainer import CtrlC
from pipeline.training.fit import help_train, train
from pipeline.training.optimizer import compile_model
from pipeline.training.trainer import Trainer
cluster = Cluster(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
for name in ("uneven", "whole"):
    folder = Path(sys.argv[1]) / name
    try:
        train(load_config(f"{folder}.toml"), folder, cluster=cluster)
    except ConfigError as error:
        print("refused", name, error)
with cluster.strategy.scope():
    inputs = keras.Input((3,))
    dropped = keras.layers.Dropout(0.5)(BatchNormalization(momentum=0.5)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(dropped))
    metrics = compile_model(model, RunConfig(), 4)
rng = np.random.default_rng(0)
targets = np.eye(2, dtype="float32")[rng.integers(2, size=32)]
clips = rng.normal(size=(32, 3)).astype("float32"), targets
batches = tf.data.Dataset.from_tensor_slices(clips).repeat().batch(4)
Trainer(model, metrics, cluster).fit(
    lambda **_: batches, None, epochs=range(1), steps=4, callbacks=[], ctrl_c=CtrlC()
)
for variable in model.variables:
    copies = cluster.strategy.experimental_local_results(variable.value)
    one, other = (copy.numpy() for copy in copies)
    print("variable", variable.name, int(np.array_equal(one, other)), float(np.abs(one).sum()))
means = clips[0][:32].reshape(4, 8, 3)
moving = sum(0.5 ** (4 - step) * means[step].mean(axis=0) for step in range(4))
print("expected", float(np.abs(moving).sum()))
"""


@pytest.fixture
def two(tiny_config, tmp_path):
    """A configuration by the name of its run on two devices.

    Without batch normalisation, whose statistics are those of what one device sees.
    """
    plain = {"backbone.normalisation": "off", "backbone.normalise_features": False}
    config = dataclasses.replace(changed(tiny_config, plain), augment=NO_AUGMENT)
    values = {
        "train.gradient_accumulation_steps": 2,
        "train.ema_momentum": 0.5,
        "train.class_weights": True,
    }
    uneven = changed(config, {"train.batch_size": 7})
    found = {"whole": changed(config, values), "uneven": uneven}
    for name, each in found.items():
        save_config(each, tmp_path / f"{name}.toml")
    return found


def test_two_devices_train_as_one(two, tmp_path):
    command = [sys.executable, "-c", ON_TWO_DEVICES, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    (refused,) = (line for line in said if line.startswith("refused"))
    assert refused == (
        "refused uneven train.batch_size must be a multiple of the 2 devices that share a batch. "
        "Received: 7; try 8"
    )
    assert not (tmp_path / "uneven").exists()
    one = train(two["whole"], tmp_path / "one").run
    expect_same(Run(tmp_path / "whole"), one, rtol=1e-3, atol=1e-4)
    # Averages are the same on all devices, and dropout is not.
    variables = [line.split()[1:] for line in said if line.startswith("variable")]
    same = {name: bool(int(is_same)) for name, is_same, _ in variables}
    assert not same.pop("seed_generator_state")
    assert same.keys() > {"kernel", "moving_mean", "moving_variance", "steps"}
    assert all(same.values())
    (moving,) = (float(total) for name, _, total in variables if name == "moving_mean")
    assert moving == pytest.approx(float(said[-1].split()[1]), rel=1e-4)


# Which worker this is.

ADDRESSES = ("one:1", "two:2", "three:3")
CLUSTER = {"worker": ADDRESSES}
TASK = {"type": "worker", "index": 0}


def placed(cluster, task):
    return place_in({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})


@pytest.fixture
def by_srun(monkeypatch):
    """The addresses that a step of Slurm gives."""

    def by_srun(tasks, nodes, per_node, task):
        step = {"STEP_NUM_TASKS": tasks, "STEP_NODELIST": nodes, "PROCID": task}
        for name, value in (step | {"STEP_TASKS_PER_NODE": per_node}).items():
            monkeypatch.setenv(f"SLURM_{name}", value)
        return by_slurm(place_in())

    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    return by_srun


def test_the_place_is_that_of_the_environment(by_srun):
    assert place_in({}) == Place()
    assert placed(CLUSTER, {"type": "worker", "index": 2}) == Place(2, 3, ADDRESSES)
    with_chief = {"chief": ["zero:1"], **CLUSTER}
    assert placed(with_chief, {"type": "chief", "index": 0}).index == 0
    assert placed(with_chief, {"type": "worker", "index": 1}).index == 2
    assert placed({"worker": ["one:1"]}, {"type": "worker", "index": 0}) == Place()
    assert place_in({"TF_CONFIG": "{}"}) == Place()
    slurm = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
    assert place_in(slurm) == Place(3, 4)
    assert place_in({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) == Place()  # not by srun
    # Addresses under Slurm are in its order, and GPUs are shared.
    addresses = by_srun("4", "node[9-10]", "2(x2)", "3")
    assert addresses == ("node9:8888", "node9:8889", "node10:8888", "node10:8889")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert place_in() == Place(3, 4, addresses)  # as TensorFlow is told


SUCH_AS = "expected JSON such as"
IMPOSSIBLE = [
    (CLUSTER, {"index": 3}, "no worker 3"),
    (CLUSTER, {"index": 0.7}, SUCH_AS),
    (CLUSTER, {"type": ["worker"]}, SUCH_AS),
    (CLUSTER, None, SUCH_AS),
    ({**CLUSTER, "ps": ["x:1"]}, {}, "only workers train here, and no ps"),
    ({"worker": "one:1"}, {}, SUCH_AS),
    ({"worker": {"0": "one:1", "1": "two:2"}}, {}, SUCH_AS),
    ({"worker": ["one:1", "two"]}, {}, "expected HOST:PORT, such as one:2222; got 'two'"),
    ({"worker": ["one:1", "two:99999"]}, {}, "got 'two:99999'"),
    ({"worker": ["one:1", 2]}, {}, "expected HOST:PORT, such as one:2222; got 2"),
    ({"worker": ["one:1", "one:1"]}, {}, "two workers have the address one:1"),
]


def test_a_place_that_cannot_be_is_told(by_srun, monkeypatch):
    """Nor that Slurm can mean."""
    texts = [("{", SUCH_AS), ("[]", SUCH_AS)]
    for cluster, task, reason in IMPOSSIBLE:
        content = {"cluster": cluster} | ({} if task is None else {"task": {**TASK, **task}})
        texts.append((json.dumps(content), reason))
    for text, reason in texts:
        with pytest.raises(ConfigError, match=reason):
            place_in({"TF_CONFIG": text})
    with pytest.raises(ConfigError, match="there is no task 2 of 2"):
        place_in({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "2"})
    for nodes, reason in (("node[1-2]", ".*3 tasks.*Use `srun`"), ("node[1-b]", "")):
        with pytest.raises(ConfigError, match=f"the variables of Slurm: {reason}"):
            by_srun("3", nodes, "1(x2)", "0")
    monkeypatch.delenv("SLURM_STEP_TASKS_PER_NODE")
    with pytest.raises(ConfigError, match="the variables of Slurm"):
        by_slurm(place_in())


# How workers wait for each other: threads of this process, and one that is signalled.

LINES = []
"""That are still to be closed."""


@pytest.fixture
def addresses(monkeypatch):
    monkeypatch.setattr(rendezvous, "_LOOK_SECONDS", 0.05)
    yield [f"localhost:{port}" for port in free_ports(3)]
    while LINES:
        LINES.pop().close()


class Worker(threading.Thread):
    """A worker that waits for the others."""

    def __init__(self, addresses, index, seconds=20.0):
        super().__init__()
        self.given, self.error, self.lines = (addresses, index, seconds), None, ()
        self.start()

    def run(self):
        try:
            self.lines = meet(*self.given)
            LINES.extend(self.lines)
        except Exception as error:
            self.error = error


def ended(*threads):
    """The errors of those that ended with one; all must end."""
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return [thread.error for thread in threads if getattr(thread, "error", None)]


def still_wait(*threads):
    time.sleep(0.4)
    return all(thread.is_alive() for thread in threads)


def port_of(address):
    return int(address.rpartition(":")[2])


def knock(address):
    """A connection to somebody who listens soon."""
    for _ in range(100):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("localhost", port_of(address)))
        time.sleep(0.05)
    raise TimeoutError


def test_all_go_on_once_all_are_there_whoever_comes_first(addresses):
    third = Worker(addresses, 2)
    first = Worker(addresses, 0)
    assert still_wait(first, third)
    assert not ended(first, Worker(addresses, 1), third)
    for address in addresses:  # TensorFlow can listen there.
        socket.create_server(("", port_of(address))).close()


def test_who_is_missing_is_told_and_not_waited_for_without_end(addresses, monkeypatch, capsys):
    monkeypatch.setattr(rendezvous, "TELL_SECONDS", 0.2)
    second = Worker(addresses, 1, 3)
    with pytest.raises(WorkerLostError) as lost:
        meet(addresses, 0, seconds=1)
    (error,) = ended(second)
    assert isinstance(error, WorkerLostError)
    who = f"worker 2 ({addresses[2]})"
    assert str(lost.value).startswith(f"{who} did not come within 0 minutes. See what was said")
    said = capsys.readouterr().err
    assert said.count(f"still waiting for {who}\n") == 1
    assert said.index("still waiting for the other workers\n") < said.index(
        f"still waiting for worker 0 ({addresses[0]}): Connection refused\n"
    ), "the first one has ended"


def test_a_worker_without_the_first_one_or_its_port_says_why(addresses):
    with pytest.raises(WorkerLostError, match=r"worker 0 .* did not come .*: Connection refused"):
        meet(addresses, 1, seconds=0.2)
    nowhere = ["no.such.machine.invalid:1", *addresses[1:]]
    with pytest.raises(WorkerLostError, match=r"did not come .*: .*(not known|resolution)"):
        meet(nowhere, 1, seconds=0.2)
    for index, address in enumerate(addresses[:2]):
        wanted = rf"{address}: port \d+ of this machine is in use"
        server = socket.create_server(("", port_of(address)))
        with server, pytest.raises(ConfigError, match=wanted):
            meet(addresses, index)


def test_a_worker_that_others_are_already_is_told(addresses):
    first, second = Worker(addresses, 0), Worker(addresses, 1)
    assert still_wait(first, second)
    elsewhere = [addresses[0], *(f"localhost:{port}" for port in free_ports(2))]
    with pytest.raises(ConfigError, match="there is another worker 1"):
        meet(elsewhere, 1)
    with pytest.raises(ConfigError, match="the first worker knows of 3 workers, this one of 2"):
        meet(elsewhere[:2], 1)
    assert not ended(first, second, Worker(addresses, 2))


STRANGE = (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'"ab"\n', b"[7, 3]\n", b"[0, 3]\n", b"[[1], 3]\n")


def test_strangers_are_in_nobodys_way_and_who_ended_while_it_waited_may_come_again(addresses):
    first = Worker(addresses, 0)
    with knock(addresses[0]) as gone:
        gone.sendall(b"[1, 3]\n")
        time.sleep(0.3)
    for said in (*STRANGE, b""):
        with knock(addresses[0]) as stranger:
            stranger.sendall(said)
    assert not ended(first, Worker(addresses, 1), Worker(addresses, 2))


@pytest.fixture
def met(addresses):
    met = [Worker(addresses, index) for index in range(3)]
    assert not ended(*met)
    return met


def leaving(met):
    """Threads in which workers leave."""
    threads = [threading.Thread(target=leave, args=(w.lines, w.given[1])) for w in met]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("last", [0, 2])
def test_nobody_leaves_before_the_last_one_does(met, last):
    threads = leaving([worker for worker in met if worker.given[1] != last])
    assert still_wait(*threads)
    ended(*threads, *leaving([met[last]]))


@pytest.mark.parametrize("has_ended", [True, False])
def test_who_has_ended_is_not_waited_for_nor_others_without_end(met, monkeypatch, has_ended):
    if has_ended:
        for line in met[2].lines:
            line.close()
    else:
        monkeypatch.setattr(rendezvous, "LEAVE_SECONDS", 0.3)
    ended(*leaving(met[:2]))


WAIT = """
import sys
from pipeline.training.rendezvous import meet
print("waits", flush=True)
meet(sys.argv[2:], int(sys.argv[1]))
"""


@pytest.mark.parametrize(("index", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_who_waits_can_be_ended(addresses, index, number):
    with python_processes() as start:
        process = start("-c", WAIT, index, *addresses)
        assert process.stdout.readline() == "waits\n"
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(10) == -number
