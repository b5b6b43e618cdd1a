"""Several processes of this machine that train one model, as several machines would."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def workers(count, *arguments):
    """Starts them; none is left when it ends."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    started = []
    try:
        for index in range(count):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            started.append(
                subprocess.Popen(
                    [sys.executable, SCRIPT, *map(str, arguments)],
                    env={**os.environ, "TF_CONFIG": config},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
                )
            )
        yield started
    finally:
        for each in started:
            each.kill()
            each.communicate()
