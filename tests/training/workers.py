"""Several processes of this machine that train one model, as several machines would."""

import json
import os
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.processes import python_processes

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def hear_ctrl_c():
    """Also where whoever runs the tests ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def workers(count, *arguments):
    """Starts them; none is left when it ends."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    with python_processes() as start:
        started = []
        for index in range(count):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            environment = {**os.environ, "TF_CONFIG": config}
            started.append(start(SCRIPT, *arguments, env=environment, preexec_fn=hear_ctrl_c))
        yield started
