"""Workers of a training wait for each other: threads of this process, and one that is signalled."""

import contextlib
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


# At the beginning.


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


def test_a_worker_without_the_first_one_says_why(addresses):
    with pytest.raises(WorkerLostError, match=r"worker 0 .* did not come .*: Connection refused"):
        meet(addresses, 1, seconds=0.2)
    nowhere = ["no.such.machine.invalid:1", *addresses[1:]]
    with pytest.raises(WorkerLostError, match=r"did not come .*: .*(not known|resolution)"):
        meet(nowhere, 1, seconds=0.2)


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


def test_a_port_that_is_in_use_is_told(addresses):
    for index, address in enumerate(addresses[:2]):
        wanted = rf"{address}: port \d+ of this machine is in use"
        server = socket.create_server(("", port_of(address)))
        with server, pytest.raises(ConfigError, match=wanted):
            meet(addresses, index)


# At the end.


@pytest.fixture
def met(addresses):
    met = [Worker(addresses, index) for index in range(3)]
    assert not ended(*met)
    return met


def leaving(workers):
    """Threads in which workers leave."""
    threads = [threading.Thread(target=leave, args=(w.lines, w.given[1])) for w in workers]
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
