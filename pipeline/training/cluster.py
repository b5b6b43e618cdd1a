"""The machines, and the devices of each, that train one model together."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.dataset.order import Share
from pipeline.errors import ConfigError
from pipeline.text import one_line
from pipeline.training.rendezvous import Place, leave, meet
from pipeline.workers.pool import WorkerLostError
from pipeline.workers.shares import share_gpus

PORT = 8888
"""Of the first worker on a machine, where SLURM says which machines there are."""

_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
"""What collective operations raise where another process has ended."""


@dataclass(frozen=True)
class Cluster:
    """The processes that train one model together, and this one's place among them.

    Attributes:
        strategy: Of TensorFlow, over all devices of all workers.
        index: The number of this worker; the first, 0, alone writes and speaks.
        addresses: HOST:PORT of each worker; of one that is alone, none.
        lines: To the others, see `meet`.
    """

    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)
    index: int = 0
    addresses: tuple[str, ...] = ()
    lines: tuple[socket.socket, ...] = ()

    @property
    def num_workers(self) -> int:
        """Processes."""
        return max(1, len(self.addresses))

    @property
    def num_devices(self) -> int:
        """Devices of all workers together; each has a copy of the model."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes and speaks."""
        return self.index == 0

    @property
    def share_of_machine(self) -> float:
        """What the workers on this machine have of each batch together, above 0 to 1."""
        return len(_beside(self.addresses, self.index)) / self.num_workers if self.addresses else 1

    def share(self) -> Share:
        """What of each batch this worker reads."""
        return Share(self.index, self.num_workers, self.num_devices // self.num_workers)

    def sum(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sums float32 values over all devices, on each of them; within `strategy.run`."""
        if self.num_devices == 1:
            return list(values)
        # All in one message: each has its latency.
        flat = tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
        context = tf.distribute.get_replica_context()
        summed = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
        parts = tf.split(summed, [math.prod(value.shape) for value in values])
        return [tf.reshape(p, v.shape) for p, v in zip(parts, values, strict=True)]

    def agree(self, value: Any) -> Any:
        """What the first worker has, of JSON types; the others wait for it."""
        if self.num_workers == 1:
            return value
        text = json.dumps(value).encode() if self.is_first else b""
        (length,) = self._of_first(np.array([len(text)], np.float32))
        codes = np.zeros(int(length), np.float32)
        codes[: len(text)] = list(text)
        return json.loads(bytes(self._of_first(codes).astype(np.uint8)))

    def agree_on(self, variables: Sequence[Any]) -> None:
        """Gives variables the values that they have at the first worker."""
        for variable in variables if self.num_workers > 1 else ():
            whole = variable.dtype in ("uint32", "int32", "int64")  # counts, states of dropout
            value = np.asarray(variable.numpy())
            found = self._of_first(value.astype(np.float64 if whole else value.dtype))
            variable.assign(found.astype(value.dtype))

    def leave(self) -> None:
        """Waits for all others to have done with this one as well: the last thing to do here."""
        leave(self.lines, self.index)

    def _of_first(self, array: np.ndarray) -> np.ndarray:
        def one() -> tf.Tensor:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            mine = array if self.is_first else np.zeros_like(array)
            return self.sum([tf.where(number == 0, mine, np.zeros_like(array))])[0]

        found = self.strategy.run(tf.function(one))
        return np.asarray(self.strategy.experimental_local_results(found)[0])


def alone() -> Cluster:
    """This process by itself, with all GPUs of this machine where there are several."""
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) < 2:
        return Cluster()
    return Cluster(tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]))


def join(place: Place) -> Cluster:
    """The cluster of this process, once all of its workers are there.

    Nothing of TensorFlow may have run before in this process.

    Raises:
        ConfigError: What TF_CONFIG or Slurm says cannot be.
        WorkerLostError: Another worker has ended meanwhile, or did not come.
    """
    if place.num_workers == 1:
        return alone()
    addresses = place.addresses or by_slurm(place)
    if place.index == 0:
        print(f"{len(addresses)} workers, waiting for all: {', '.join(addresses)}", flush=True)
    lines = meet(addresses, place.index)
    with lost_workers_named(addresses, place.index):
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # TensorFlow takes this signal, and then does not end.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return Cluster(strategy, place.index, addresses, lines)


def by_slurm(place: Place) -> tuple[str, ...]:
    """The addresses of all tasks of a step of Slurm, which TensorFlow is told of by `TF_CONFIG`.

    TensorFlow's resolver knows how Slurm writes names of machines. It sorts them as texts, node10
    before node9, where Slurm counts; and it fails without a GPU.

    Raises:
        ConfigError: The variables of Slurm do not go together.
    """
    count = place.num_workers
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=PORT, gpus_per_node=count, gpus_per_task=1, auto_set_gpu=False
        )
        found = resolver.cluster_spec().as_dict()["worker"]
    except (RuntimeError, ValueError, KeyError, subprocess.SubprocessError, OSError) as error:
        raise ConfigError(f"the variables of Slurm: {one_line(error)}. Use `srun`") from None
    addresses = tuple(sorted(found, key=lambda each: _counted(each.rpartition(":"))))
    here = _beside(addresses, place.index)
    share_gpus(here.index(place.index), len(here))
    task = {"type": "worker", "index": place.index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    return addresses


def _beside(addresses: Sequence[str], index: int) -> list[int]:
    """The numbers of the workers on the machine of one of them, itself among them."""
    hosts = [address.rpartition(":")[0] for address in addresses]
    return [number for number, host in enumerate(hosts) if host == hosts[index]]


def _counted(address: tuple[str, str, str]) -> tuple[list[tuple[int, str]], int]:
    """A key by which numbers within names of machines are sorted as numbers."""
    host, _, port = address
    parts = re.split(r"(\d+)", host)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], int(port)


@contextmanager
def lost_workers_named(addresses: Sequence[str], index: int) -> Iterator[None]:
    """Within it, the end of another worker is told in one line.

    Raises:
        WorkerLostError: Another one has ended.
    """
    try:
        yield
    except _LOST as error:
        if len(addresses) < 2:
            raise
        others = [number for number in range(len(addresses)) if number != index]
        named = [number for number in others if re.search(rf"/task:{number}\b", str(error))]
        found = others if len(others) == 1 else named
        who = f"worker {found[0]} ({addresses[found[0]]})" if len(found) == 1 else "another worker"
        raise WorkerLostError(
            f"{who} has ended, and so does this one. See what was said there. Start all again with "
            "the same command: the training goes on after its last checkpoint"
        ) from None
