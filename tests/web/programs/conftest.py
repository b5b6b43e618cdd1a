"""Servers as processes of their own, with runs whose weights are drawn, and what is asked of them.

A decoder that hangs is one whose process is stopped: whatever it reads, nothing more comes.
"""

import contextlib
import http.client
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
)
from pipeline.inference.bundle import Bundle, write_bundle
from pipeline.inference.fused import Fused, write_fused
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.video import write_video
from tests.processes import python_processes, wait_until, workers_of

CODE = """
import sys
from pipeline.cli.script import run_script
from pipeline.cli.serve import main
{patches}
run_script(main)
"""
NAMES = ("fall", "jump", "wave")


def run_in(folder, seed, **model):
    """A run that was exported, with nothing but what classifying takes."""
    from pipeline.inference.export import _write
    from pipeline.models.recognizer import build_recognizer

    config = RunConfig(
        frames=FramesConfig(fps=10, size=16, jpeg_quality=95),
        clip=ClipConfig(num_frames=8, sampling="dense", stride=1, views=2),
        model=ModelConfig(**model),
        backbone=BackboneConfig(filters=(4,), grid=2),
        temporal=TemporalConfig(kind="gru", units=6),
    )
    network, rng = build_recognizer(config, len(NAMES)), np.random.default_rng(seed)
    for weight in network.weights:
        if weight.name not in ("moving_variance", "gamma", "steps"):
            weight.assign(rng.normal(scale=0.5, size=weight.shape))
    folder.mkdir()
    run = Run(folder)
    _write("litert", network, config, None, run.litert_file, {})
    bundle = Bundle(
        class_names=NAMES,
        frames=config.frames.only(config.model.images),
        clip=config.clip,
        model=config.model,
        calibration=Calibration(temperature=2.0),
        looks_back_only=True,
    )
    write_bundle(bundle, run)
    return run


@pytest.fixture(scope="session")
def served_runs(tmp_path_factory):
    """Of whole videos, of their frames, and two that are fused; by name."""
    folder = tmp_path_factory.mktemp("served")
    runs = {
        "videos": run_in(folder / "videos", 0, streams=("rgb",)),
        "other": run_in(folder / "other", 1, streams=("rgb", "difference")),
        "frames": run_in(folder / "frames", 2, task="frames", streams=("rgb",)),
    }
    fused = Fused(
        rule="average",
        weights=(0.7, 0.3),
        temperatures=(1.0, 1.0),
        calibration=Calibration(temperature=0.5),
        runs=(str(runs["videos"].folder), str(runs["other"].folder)),
    )
    runs["both"] = Run(folder / "both")
    runs["both"].folder.mkdir()
    write_fused(fused, runs["both"])
    return {name: run.folder for name, run in runs.items()}


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


class Server:
    """A server, and what asks it.

    Attributes:
        process: Its process.
        said: What it printed when it started.
        uploads: Its folder of uploads.
    """

    def __init__(self, process):
        self.process = process
        self.said = process.stdout.readline() + process.stdout.readline()
        if not self.said:
            raise RuntimeError(process.communicate()[1])
        address = self.said.split(" at ")[1].split("\n")[0]
        self.port = int(address.partition("?")[0].rstrip("/").rpartition(":")[2])

    @property
    def uploads(self):
        temporary = Path(os.environ["TMPDIR"])
        (folder,) = temporary.glob(f"clipline-uploads-{self.process.pid}-*")
        return folder

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

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
        """The value of a metric."""
        lines = self.ask("/metrics")[2].decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def wait_for(self, name, value):
        wait_until(lambda: self.gauge(name) == value)

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


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts servers, which end with the module."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
    with python_processes() as python:

        def start(*arguments, patches="", token=False, **options):
            code, words = CODE.format(patches=patches), () if token else ("--no-token",)
            return Server(python("-c", code, *arguments, *words, "--port", "0", **options))

        yield start
    patch.undo()


@pytest.fixture(scope="module")
def server(start, served_runs, clips):
    """One with all runs, for requests that leave it as it is."""
    limits = ("--most-bytes", "200K", "--most-seconds", "20", "--most-pixels", "4000")
    return start(*served_runs.values(), "--folder", clips, *limits)


@pytest.fixture
def small(start, served_runs):
    """Starts one with one run and one worker, which has a decoder."""

    def start_small(*arguments, patches="", **options):
        arguments = (served_runs["videos"], "--workers", "1", *arguments)
        return start(*arguments, patches=patches, **options)

    return start_small


def slowly(pause, *parts):
    """Parts of a body that come after each other."""
    for part in parts:
        yield part
        time.sleep(pause)
