"""Servers as processes of their own, with runs whose weights are drawn, and what is asked of them.

A decoder that hangs is one whose process is stopped: whatever it reads, nothing more comes.
"""

import contextlib
import http.client
import json
import os
import signal
import socket

import numpy as np
import pytest

from pipeline.inference.fused import Fused, write_fused
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.video import write_video
from tests.processes import python_processes, wait_until, workers_of
from tests.runs import changed, drawn_run

CODE = """
import sys
from pipeline.cli.script import run_script
from pipeline.cli.serve import main
{patches}
run_script(main)
"""


def make_served(folder, blob_config, recording_config):
    """Runs of whole videos, of their frames, and two that are fused."""
    folder.mkdir()
    clip = {"num_frames": 8, "sampling": "dense", "stride": 1, "views": 2}
    tiny = {f"clip.{name}": value for name, value in clip.items()}
    tiny |= {"backbone.filters": [4], "backbone.grid": 2}
    tiny |= {"temporal.kind": "gru", "temporal.units": 6}
    differences = {"model.streams": ["rgb", "difference"]}
    # With these seeds, answers differ from video to video.
    for seed, name, config, changes in (
        (0, "videos", blob_config, {}),
        (1, "other", blob_config, differences),
        (4, "frames", recording_config, {}),
    ):
        drawn_run(changed(config, {**tiny, **changes, "seed": seed}), folder / name)
    fused = Fused(
        rule="average",
        temperatures=(1.0, 1.0),
        calibration=Calibration(temperature=0.5),
        runs=(str(folder / "videos"), str(folder / "other")),
    )
    (folder / "both").mkdir()
    write_fused(fused, Run(folder / "both"))


@pytest.fixture(scope="session")
def served_runs(made, blob_config, recording_config):
    """Folders by name, see `make_served`."""
    folder = made("served", lambda folder: make_served(folder, blob_config, recording_config))
    return {name: folder / name for name in ("videos", "other", "frames", "both")}


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Six videos, each of noise in other colours, in a folder."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "inner").mkdir()
    for number in range(6):
        rng = np.random.default_rng(number)
        brightest = rng.integers(30, 256, 3)  # of each colour
        noise = rng.random((20 + number, 24, 32, 3))
        frames = (brightest * noise).astype(np.uint8)
        name = f"inner/{number}.avi" if number == 5 else f"{number}.avi"
        write_video(folder / name, frames, fps=10, codec="FFV1")
    return folder


@pytest.fixture(scope="session")
def video(clips):
    """The bytes of one of them."""
    return (clips / "0.avi").read_bytes()


class Server:
    """A server, and what asks it.

    Attributes:
        process: Its process.
        said: What it printed when it started.
    """

    def __init__(self, process, temporary):
        self.process, self._temporary = process, temporary
        self.said = process.stdout.readline() + process.stdout.readline()
        if not self.said:
            raise RuntimeError(process.communicate()[1])
        address = self.said.split(" at ")[1].split("\n")[0]
        self.port = int(address.partition("?")[0].rstrip("/").rpartition(":")[2])

    @property
    def uploads(self):
        """Its folder of uploads."""
        (folder,) = self._temporary.glob(f"clipline-uploads-{self.process.pid}-*")
        return folder

    def ended(self, number=signal.SIGTERM):
        """What it printed until it ended, as it was told to."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return out + errors

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    @contextlib.contextmanager
    def sent(self, head, body=b"", *, path="/v1/classify", timeout=30):
        """A connection over which the head of a request and some of its body were sent."""
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", *head, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall("\r\n".join(lines).encode() + body)
            yield connection

    def ask(self, path, body=None, method="", **headers):
        """The status, headers and body of an answer; of `headers`, _ stands for -."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.connect()) as connection:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def json(self, path, body=None, **headers):
        """The status and the content of an answer."""
        status, about, content = self.ask(path, body, **headers)
        assert about["content-type"] == "application/json", content
        return status, json.loads(content)

    def begin(self, path, body):
        """Sends a request whose answer is read later, see `end`."""
        connection = self.connect()
        connection.request("POST", path, body)
        return connection

    def end(self, connection):
        with contextlib.closing(connection):
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def gauge(self, name):
        """The sum of the metrics whose names begin so."""
        lines = self.ask("/metrics")[2].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def wait_for(self, name, value):
        wait_until(lambda: self.gauge(f"clipline_{name}_requests") == value)

    @contextlib.contextmanager
    def hanging(self):
        """Whatever its decoders read, nothing comes of it until this ends."""
        workers = workers_of(self.process.pid)
        assert workers, "it must have answered before"
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        try:
            yield workers
        finally:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGCONT)


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts servers, which end with the tests."""
    temporary = tmp_path_factory.mktemp("temporary")
    with python_processes() as python:

        def start(*arguments, patches="", token=""):
            environment = {**os.environ, "TMPDIR": str(temporary), "CLIPLINE_TOKEN": token}
            words = (*arguments, "--port", "0", *(() if token else ("--no-token",)))
            process = python("-c", CODE.format(patches=patches), *words, env=environment)
            return Server(process, temporary)

        yield start


@pytest.fixture(scope="session")
def server(start, served_runs, clips):
    """One with all runs, for requests that leave it as it is."""
    limits = ("--most-bytes", "200K", "--most-seconds", "20", "--most-pixels", "4000")
    return start(*served_runs.values(), "--folder", clips, *limits)
