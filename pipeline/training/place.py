"""Which of several workers this process is, by its environment; needs no TensorFlow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ConfigError
from pipeline.text import listed

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
