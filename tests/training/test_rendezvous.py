"""Workers of a training wait for each other: threads of this process, and one that is signalled."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pipeline.errors import ConfigError
from pipeline.training import rendezvous
from pipeline.training.rendezvous import leave, meet
from pipeline.workers.pool import WorkerLostError
from tests.training.workers import free_ports

LINES = []
"""That are still to be closed."""


@pytest.fixture
def addresses():
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
    time.sleep(1.5)
    assert first.is_alive()
    assert third.is_alive()
    second = Worker(addresses, 1)
    for worker in (first, second, third):
        worker.join(10)
        assert not worker.is_alive()
        assert worker.error is None
    for address in addresses:  # TensorFlow can listen there.
        socket.create_server(("", port_of(address))).close()


def test_who_is_missing_is_told_and_not_waited_for_without_end(addresses, monkeypatch, capsys):
    monkeypatch.setattr(rendezvous, "TELL_SECONDS", 0.5)
    second = Worker(addresses, 1, 5)
    with pytest.raises(WorkerLostError) as lost:
        meet(addresses, 0, seconds=2)
    second.join(10)
    assert isinstance(second.error, WorkerLostError)
    who = f"worker 2 ({addresses[2]})"
    assert str(lost.value).startswith(f"{who} did not come within 0 minutes. See what was said")
    said = capsys.readouterr().err
    assert said.count(f"still waiting for {who}\n") == 1


def test_a_worker_without_the_first_one_says_why(addresses, capsys):
    with pytest.raises(WorkerLostError, match=r"worker 0 .* did not come .*: Connection refused"):
        meet(addresses, 1, seconds=1)
    nowhere = ["no.such.machine.invalid:1", *addresses[1:]]
    with pytest.raises(WorkerLostError, match=r"did not come .*: .*(not known|resolution)"):
        meet(nowhere, 1, seconds=1)


def test_a_worker_that_ended_while_it_waited_may_come_again(addresses):
    first = Worker(addresses, 0)
    with knock(addresses[0]) as gone:
        gone.sendall(json.dumps([1, 3]).encode() + b"\n")
        time.sleep(1)
    others = [Worker(addresses, 1), Worker(addresses, 2)]
    for worker in (first, *others):
        worker.join(10)
        assert worker.error is None


def test_a_first_worker_that_ended_meanwhile_is_told(addresses, monkeypatch, capsys):
    monkeypatch.setattr(rendezvous, "TELL_SECONDS", 0.2)
    first, second = Worker(addresses, 0, 1.5), Worker(addresses, 1, 4)
    for worker in (first, second):
        worker.join(10)
    said = capsys.readouterr().err
    assert said.index("still waiting for the other workers\n") < said.index(
        f"still waiting for worker 0 ({addresses[0]}): Connection refused\n"
    )


def test_a_worker_that_others_are_already_is_told(addresses):
    first, second = Worker(addresses, 0), Worker(addresses, 1)
    time.sleep(1.5)
    elsewhere = [addresses[0], *(f"localhost:{port}" for port in free_ports(2))]
    with pytest.raises(ConfigError, match="there is another worker 1"):
        meet(elsewhere, 1)
    with pytest.raises(ConfigError, match="the first worker knows of 3 workers, this one of 2"):
        meet(elsewhere[:2], 1)
    Worker(addresses, 2).join(10)
    for worker in (first, second):
        worker.join(10)
        assert worker.error is None


def test_strangers_are_in_nobodys_way(addresses):
    first = Worker(addresses, 0)
    for said in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"[1]\n",
        b'"ab"\n',
        b"[7, 3]\n",
        b"[0, 3]\n",
        b"[[1], 3]\n",
        b"",
    ):
        with knock(addresses[0]) as stranger:
            stranger.sendall(said)
    others = [Worker(addresses, 1), Worker(addresses, 2)]
    for worker in (first, *others):
        worker.join(10)
        assert worker.error is None


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_that_is_in_use_is_told(addresses, index):
    with (
        socket.create_server(("", port_of(addresses[index]))),
        pytest.raises(
            ConfigError, match=rf"{addresses[index]}: port \d+ of this machine is in use"
        ),
    ):
        meet(addresses, index)


def leaving(workers):
    """Threads in which workers leave."""
    threads = [threading.Thread(target=leave, args=(w.lines, w.given[1])) for w in workers]
    for thread in threads:
        thread.start()
    return threads


def all_met(addresses):
    met = [Worker(addresses, index) for index in range(3)]
    for worker in met:
        worker.join(10)
    return met


@pytest.mark.parametrize("last", [0, 1, 2])
def test_nobody_leaves_before_the_last_one_does(addresses, last):
    met = all_met(addresses)
    threads = leaving([worker for worker in met if worker.given[1] != last])
    time.sleep(0.5)
    assert all(thread.is_alive() for thread in threads)
    for thread in [*threads, *leaving([met[last]])]:
        thread.join(10)
        assert not thread.is_alive()


def test_who_has_ended_is_not_waited_for(addresses):
    met = all_met(addresses)
    for line in met[2].lines:
        line.close()
    for thread in leaving(met[:2]):
        thread.join(10)
        assert not thread.is_alive()


def test_who_does_not_leave_is_not_waited_for_without_end(addresses, monkeypatch):
    monkeypatch.setattr(rendezvous, "LEAVE_SECONDS", 0.5)
    for thread in leaving(all_met(addresses)[:2]):
        thread.join(10)
        assert not thread.is_alive()


WAIT = """
import sys
from pipeline.training.rendezvous import meet
print("waits", flush=True)
meet(sys.argv[2:], int(sys.argv[1]))
"""


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_can_be_ended(addresses, index, number):
    with subprocess.Popen(
        [sys.executable, "-c", WAIT, str(index), *addresses],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout.readline() == "waits\n"
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(10) == -number
