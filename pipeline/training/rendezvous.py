"""Which of several workers a process is; and how they wait for each other. Needs no TensorFlow.

They wait at the beginning, and at the end. TensorFlow waits for all to come as well, but it hears
no Ctrl-C meanwhile, and does not say for whom. It does not wait at the end: where one has its sum
and leaves, another one may still be reading it there, and takes it for lost.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ConfigError
from pipeline.text import listed
from pipeline.workers.pool import WorkerLostError

_EXAMPLE: Final = (
    'TF_CONFIG: expected JSON such as {"cluster": {"worker": ["one:2222", "two:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Place:
    """The place of this process among the workers that train a model together.

    Attributes:
        index: Its number, from 0.
        num_workers: How many there are.
        addresses: HOST:PORT of each, where `TF_CONFIG` tells of them.
    """

    index: int = 0
    num_workers: int = 1
    addresses: tuple[str, ...] = ()


def place_in(environment: Mapping[str, str] = os.environ) -> Place:
    """The place that `TF_CONFIG` gives; or SLURM, where `srun` started several tasks.

    Raises:
        ConfigError: What they say cannot be.
    """
    if text := environment.get("TF_CONFIG"):
        return _of_tf_config(text)
    # Those of the step: a script of SLURM that runs once, for many, is alone.
    tasks, number = (environment.get(name, "") for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"))
    if tasks.isdecimal() and number.isdecimal() and int(tasks) > 1:
        if int(number) >= int(tasks):
            raise ConfigError(f"SLURM_PROCID: there is no task {number} of {tasks}. Use `srun`")
        return Place(int(number), int(tasks))
    return Place()


def _of_tf_config(text: str) -> Place:
    kinds, kind, index = _parsed(text)
    if others := sorted(kinds.keys() - {"chief", "worker"}):
        raise ConfigError(f"TF_CONFIG: only workers train here, and no {listed(others)}")
    chiefs, workers = kinds.get("chief", ()), kinds.get("worker", ())
    addresses = (*chiefs, *workers)
    if len(addresses) < 2:
        return Place()
    for address in addresses:
        if not _is_address(address):
            raise ConfigError(f"TF_CONFIG: expected HOST:PORT, such as one:2222; got {address!r}")
        if addresses.count(address) > 1:
            raise ConfigError(f"TF_CONFIG: two workers have the address {address}")
    if not 0 <= index < len(kinds.get(kind, ())):
        raise ConfigError(f"{_EXAMPLE}; there is no {kind} {index} in it")
    return Place(index + len(chiefs) * (kind == "worker"), len(addresses), addresses)


def _parsed(text: str) -> tuple[dict[str, tuple[str, ...]], str, int]:
    """The addresses of each kind, and of which kind and number this process is."""
    try:
        content = json.loads(text)
        cluster, task = content.get("cluster", {}), content.get("task", {})
        kinds = {kind: tuple(addresses) for kind, addresses in cluster.items()}
        kind, index = (task["type"], task["index"]) if kinds else ("worker", 0)
        if not all(isinstance(each, list) for each in cluster.values()):
            raise TypeError
        if not isinstance(kind, str) or type(index) is not int:
            raise TypeError
    except (ValueError, TypeError, AttributeError, KeyError):
        raise ConfigError(f"{_EXAMPLE}; got {text[:200]}") from None
    return kinds, kind, index


def _is_address(address: object) -> bool:
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


TELL_SECONDS: Final = 15.0
"""After which somebody who waits says for whom."""
MOST_SECONDS: Final = 900.0
"""After which nobody waits any longer: what came so far ends."""
LEAVE_SECONDS: Final = 30.0
"""After which nobody waits any longer for others to leave as well."""

_LOOK_SECONDS: Final = 0.5
_ANSWER_SECONDS: Final = 5.0
_HERE: Final = b"all here\n"


def meet(
    addresses: Sequence[str], index: int, seconds: float = MOST_SECONDS
) -> tuple[socket.socket, ...]:
    """Waits until each worker has called this; the first one is who all others report to.

    Args:
        addresses: HOST:PORT of each worker, the port of which is free until TensorFlow listens.
        index: The number of this worker, from 0.
        seconds: How long to wait at most.

    Returns:
        Lines to the others, for `leave`: of the first worker to each, of each to the first.

    Raises:
        ConfigError: The port of this worker is in use, or another one has the same number.
        WorkerLostError: Not all have come in time.
    """
    names = [f"worker {number} ({address})" for number, address in enumerate(addresses)]
    wait = _Wait(seconds)
    with _listening(addresses[index]) as door:
        if index:
            return (_report(addresses, index, names[0], wait),)
        return _receive(door, names, wait)


def leave(lines: Sequence[socket.socket], index: int) -> None:
    """Waits until each worker has called this, or has ended.

    Args:
        lines: What `meet` gave; closed afterwards.
        index: The number of this worker.
    """
    end = time.monotonic() + LEAVE_SECONDS  # A network may lose an end.
    if index:
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_WR)
    for line in lines:  # The first worker hears all, and only then answers by closing its lines.
        line.settimeout(max(0.1, end - time.monotonic()))
        with contextlib.suppress(OSError):
            line.recv(1)
    _close(lines)


def _close(lines: Iterable[socket.socket]) -> None:
    for line in lines:
        line.close()


class _Wait:
    """How long somebody has waited; says for whom, whenever that changes, and gives up at last."""

    def __init__(self, seconds: float) -> None:
        self._began, self._seconds, self._told = time.monotonic(), seconds, ""

    def look(self, who: str, why: str = "") -> None:
        """Called now and then with who is missing, and what is known of why.

        Raises:
            WorkerLostError: They have not come in time.
        """
        waited, reason = time.monotonic() - self._began, f": {why}" if why else ""
        if waited > self._seconds:
            raise WorkerLostError(
                f"{who} did not come within {self._seconds / 60:.0f} minutes{reason}. See what was "
                "said there, and start all again with the same command"
            )
        line = f"still waiting for {who}{reason}"
        if waited > TELL_SECONDS and line != self._told:
            print(line, file=sys.stderr, flush=True)
            self._told = line


def _listening(address: str) -> socket.socket:
    """A socket at the port of an address, on all networks of this machine."""
    port = int(address.rpartition(":")[2])
    try:
        return socket.create_server(("", port))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise ConfigError(
            f"{address}: port {port} of this machine is in use, or not for everybody. Is another "
            "worker with this number running? End what listens there, or name another port for "
            "this worker, at all of them"
        ) from None


def _receive(door: socket.socket, names: Sequence[str], wait: _Wait) -> tuple[socket.socket, ...]:
    """What the first worker does: once all have reported, it tells them."""
    door.settimeout(_LOOK_SECONDS)
    count = len(names)
    here: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        stack.callback(lambda: _close(here.values()))
        while len(here) < count - 1:
            _drop_gone(here)
            wait.look(", ".join(names[number] for number in range(1, count) if number not in here))
            with contextlib.suppress(TimeoutError):
                line, _ = door.accept()
                _welcome(line, here, count)
        for line in here.values():
            with contextlib.suppress(OSError):
                line.sendall(_HERE)
        stack.pop_all()
    return tuple(here.values())


def _welcome(line: socket.socket, here: dict[int, socket.socket], count: int) -> None:
    _drop_gone(here)
    line.settimeout(_ANSWER_SECONDS)
    try:
        with line.makefile() as text:
            number, workers = map(int, json.loads(text.readline(100)))
    except (OSError, ValueError, TypeError):
        line.close()  # None of ours.
        return
    if workers != count:
        reason = f"the first worker knows of {count} workers, this one of {workers}"
    elif number in here:
        reason = f"there is another worker {number}. Each has a number of its own"
    elif number in range(1, count):
        here[number] = line
        return
    else:
        reason = f"the first worker knows of {count} workers, this one is number {number}"
    with line, contextlib.suppress(OSError):
        line.sendall(f"{reason}\n".encode())


def _drop_gone(here: dict[int, socket.socket]) -> None:
    for number in [number for number, line in here.items() if _is_gone(line)]:
        here.pop(number).close()


def _is_gone(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return not line.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        line.settimeout(_ANSWER_SECONDS)


def _report(addresses: Sequence[str], index: int, first: str, wait: _Wait) -> socket.socket:
    """What the others do, until the first worker says that all are here."""
    host, _, port = addresses[0].rpartition(":")
    why = ""
    while True:
        wait.look(first, why)
        try:
            with ExitStack() as stack:
                line = socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS)
                stack.enter_context(line)
                line.sendall(json.dumps([index, len(addresses)]).encode() + b"\n")
                if _is_answered(line, wait):
                    stack.pop_all()
                    return line
        except OSError as error:
            why = error.strerror or str(error)
        time.sleep(_LOOK_SECONDS)


def _is_answered(line: socket.socket, wait: _Wait) -> bool:
    """Whether all are here, once that is known; no, where the first worker has ended meanwhile.

    Raises:
        ConfigError: The first worker says why this one cannot take part.
    """
    line.settimeout(_LOOK_SECONDS)
    answer = b""
    while not answer.endswith(b"\n"):
        wait.look("the other workers")
        with contextlib.suppress(TimeoutError):
            part = line.recv(200)
            if not part:
                return False
            answer += part
    if answer != _HERE:
        raise ConfigError(f"TF_CONFIG: {answer.decode(errors='replace').strip()}")
    return True
