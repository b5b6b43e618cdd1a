"""A tiny data set and two runs trained on it, made once for all modules that need them.

A blob moves to the right or to the left, around the border. Each video of one class is one of the
other class backwards, so that frames tell nothing: the order of them is all there is to learn.
"""

import contextlib
import dataclasses
import http.server
import os
import queue
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import (
    AugmentConfig,
    BackboneConfig,
    ClipConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import PreparedDataset, open_prepared
from pipeline.run import Run
from pipeline.video import encode_jpeg, write_video
from tests.made import Made
from tests.processes import python_processes

# Tests run side by side: threads of TensorFlow's own would only be in each other's way.
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
# As `import_tensorflow` sets it, also where a test imports TensorFlow itself.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# A shell lets what it starts in the background ignore Ctrl-C, and so all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

VIDEOS = os.environ.get("PIPELINE_VIDEOS", "")
REAL = pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")


def blob(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    x, y, speed = rng.integers(32), rng.integers(24), rng.integers(2, 4)
    background = rng.integers(60, size=(4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([background] * num_frames)
    colour = rng.integers(100, 256, 3)
    for index, frame in enumerate(frames):
        frame[y : y + 8, (x + speed * index + np.arange(8)) % 32] = colour
    return frames


@pytest.fixture(scope="session")
def made(pytestconfig: pytest.Config) -> Iterator[Made]:
    """Gives folders that all tests share, see `Made`."""
    made = Made(pytestconfig.cache.mkdir("made"))
    yield made
    made.check()


def render_blobs(folder: Path) -> None:
    root = folder / "videos"
    for label in ("left", "right"):
        (root / label).mkdir(parents=True)
    for group in range(20):
        rng = np.random.default_rng(group)
        for take in range(2):
            frames = blob(rng, 5 if take and group % 3 == 0 else 12)
            for label, ordered in (("right", frames), ("left", frames[::-1])):
                path = root / label / f"g{group:02d} {take}.avi"
                write_video(path, ordered, fps=10, codec="FFV1")


@pytest.fixture(scope="session")
def blob_videos(made: Made) -> Path:
    """Twenty groups of four videos; every third group has two that are too short for a clip."""
    return made("blobs", render_blobs) / "videos"


def prepared(source: str, path: Path, out: Path, **options: object) -> Path:
    given = {"fps": 10, "size": 32, "workers": 1, **options}
    return prepare(PrepareConfig(source=source, path=str(path), out=str(out), **given)).store.path


def prepare_blobs(videos: Path, out: Path, val_fraction: float, *, flow: bool = False) -> None:
    by_group = {"group_regex": r"g\d+", "test_groups": ("g00", "g01", "g02", "g03")}
    options = {**by_group, "val_fraction": val_fraction, "flow": flow}
    prepared("folder", videos, out, **options)


@pytest.fixture(scope="session")
def blob_store(blob_videos: Path, made: Made) -> PreparedDataset:
    """48 videos for training, 16 for validation and 16 for the test."""
    return open_prepared(made("store", lambda out: prepare_blobs(blob_videos, out, 0.2)))


@pytest.fixture(scope="session")
def store_without_validation(blob_videos: Path, made: Made) -> PreparedDataset:
    folder = made("without validation", lambda out: prepare_blobs(blob_videos, out, 0))
    return open_prepared(folder)


@pytest.fixture(scope="session")
def flow_store(blob_videos: Path, made: Made) -> PreparedDataset:
    """The videos of `blob_store` with their optical flow."""
    return open_prepared(made("flow", lambda out: prepare_blobs(blob_videos, out, 0.2, flow=True)))


def blob_recording(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Three stretches of a blob that moves or stays, 60 frames at 10 a second; and its events."""
    parts, events = [], []
    for number, label in enumerate(rng.permutation(["left", "right", "rest"])):
        frames = blob(rng, 20)
        still = frames[:1].repeat(20, axis=0)
        parts.append({"right": frames, "left": frames[::-1], "rest": still}[label])
        if label != "rest":
            events.append((2.0 * number, 2.0 * number + 2, str(label)))
    return np.concatenate(parts), events


def prepare_recordings(folder: Path) -> None:
    root = folder / "videos"
    root.mkdir(parents=True)
    lines = ["video,start_seconds,end_seconds,label,split"]
    for number, split in enumerate((*["train"] * 4, *["val"] * 2, *["test"] * 2)):
        frames, events = blob_recording(np.random.default_rng(number))
        write_video(root / f"g{number}.avi", frames, fps=10, codec="FFV1")
        lines += [f"g{number}.avi,{start},{end},{label},{split}" for start, end, label in events]
    (root / "events.csv").write_text("\n".join(lines))
    prepared("events", root / "events.csv", folder / "store")


@pytest.fixture(scope="session")
def recording_store(made: Made) -> PreparedDataset:
    """Eight recordings, each a group: 4 for training, 2 for validation and 2 for the test."""
    return open_prepared(made("recordings", prepare_recordings) / "store")


def prepare_groups(root: Path, videos: Path, count: int, even: str = "", **options: object) -> None:
    """Half of so many groups are for training; the labels of even ones have something more."""
    root.mkdir()
    lines = ["path,label,group,split"]
    for group in range(count):
        split = ("train", "train", "val", "test")[4 * group // count]
        for label in ("left", "right"):
            path = videos / label / f"g{group:02d} 0.avi"
            lines.append(f"{path},{label}{even * (1 - group % 2)},g{group:02d},{split}")
    (root / "table.csv").write_text("\n".join(lines))
    prepared("csv", root / "table.csv", root / "store", **options)


@pytest.fixture(scope="session")
def several_store(blob_videos: Path, made: Made) -> PreparedDataset:
    """Videos of `blob_videos` with labels that may be several, or none."""
    options = {"even": ";even", "multilabel": True}
    folder = made("several", lambda out: prepare_groups(out, blob_videos, 12, **options))
    return open_prepared(folder / "store")


@pytest.fixture(scope="session")
def tiny_store(blob_videos: Path, made: Made) -> PreparedDataset:
    """Few small frames, with their flow: 8 videos for training, 4 for validation, 4 for the test.

    Each group has one of each class.
    """
    options = {"fps": 5, "size": 16, "flow": True}
    folder = made("tiny", lambda out: prepare_groups(out, blob_videos, 8, **options))
    return open_prepared(folder / "store")


@pytest.fixture(scope="session")
def tiny_config(tiny_store: PreparedDataset) -> RunConfig:
    """Of a network that is trained in little more time than it takes to build it."""
    return RunConfig(
        data=str(tiny_store.path),
        seed=2,
        clip=ClipConfig(num_frames=4, views=1),
        augment=AugmentConfig(flip=0),
        model=ModelConfig(dropout=0),
        backbone=BackboneConfig(filters=(4,)),
        temporal=TemporalConfig(kind="mean", dropout=0),
        train=TrainConfig(epochs=2, batch_size=4, learning_rate=5e-3, precision="float32"),
    )


@pytest.fixture(scope="session")
def recording_config(tiny_config: RunConfig, recording_store: PreparedDataset) -> RunConfig:
    """Of the tiniest network with an answer at every frame."""
    return dataclasses.replace(
        tiny_config,
        data=str(recording_store.path),
        clip=ClipConfig(num_frames=16, sampling="dense", stride=1, views=1),
        model=ModelConfig(task="frames", dropout=0),
        temporal=TemporalConfig(kind="tcn", units=8, layers=2, dropout=0),
    )


@pytest.fixture(scope="session")
def blob_config(tiny_config: RunConfig, blob_store: PreparedDataset) -> RunConfig:
    return dataclasses.replace(
        tiny_config,
        data=str(blob_store.path),
        clip=ClipConfig(num_frames=8, views=2),
        backbone=BackboneConfig(filters=(8, 16)),
        temporal=TemporalConfig(units=16, dropout=0),
        train=dataclasses.replace(tiny_config.train, epochs=12, batch_size=8),
    )


def train_and_export(config: RunConfig, folder: Path) -> None:
    from pipeline.inference.export import export
    from pipeline.training.fit import train

    export(train(config, folder))


@pytest.fixture(scope="session")
def blob_run(blob_config: RunConfig, made: Made) -> Run:
    """Trained until it is right; not to be changed."""
    return Run(made("blobs run", lambda folder: train_and_export(blob_config, folder)))


@pytest.fixture(scope="session")
def hasty_run(blob_config: RunConfig, made: Made) -> Run:
    """Trained for one epoch, so that it is unsure and makes mistakes; not to be changed."""
    config = dataclasses.replace(
        blob_config,
        seed=1,
        backbone=BackboneConfig(filters=(8, 16, 32)),
        train=TrainConfig(epochs=1, batch_size=4, learning_rate=1e-2, precision="float32"),
    )
    return Run(made("hasty run", lambda folder: train_and_export(config, folder)))


@pytest.fixture
def full_disk() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """Meanwhile, writing more into any file than some bytes fails, as on a full disk."""

    @contextlib.contextmanager
    def full_disk(most_bytes: int = 0) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return full_disk


class Camera:
    """A camera behind an address, which breaks off after some frames of each connection.

    Each frame is of one grey, 8 levels brighter than the one before it, from black on again.

    Args:
        lengths: How many frames the connections give; a further one is refused.
        frame_seconds: From frame to frame.
    """

    def __init__(self, *lengths: int, frame_seconds: float = 0.0) -> None:
        self.connections = 0
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if camera.connections == len(lengths):
                    self.send_error(503)
                    return
                length = lengths[camera.connections]
                camera.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    for number in range(length):
                        self.wfile.write(part(number))
                        time.sleep(frame_seconds)

            def log_message(self, *_: object) -> None:
                pass

        def part(number: int) -> bytes:
            frame = np.full((32, 48, 3), 8 * number % 256, np.uint8)
            data = encode_jpeg(frame, quality=95)
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
            return f"{head}\r\n\r\n".encode() + data + b"\r\n"

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/camera"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def make_camera() -> Iterator[Callable[..., Camera]]:
    """Makes cameras, see `Camera`, and closes them after the test."""
    with contextlib.ExitStack() as stack:

        def make(*lengths: int, frame_seconds: float = 0.0) -> Camera:
            camera = Camera(*lengths, frame_seconds=frame_seconds)
            return stack.enter_context(contextlib.closing(camera))

        yield make


HOLD = """
import sys
from pathlib import Path
from pipeline.locks import alone
with alone(Path(sys.argv[1]), ""):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts a process that holds the lock of a path until its standard input ends."""
    with python_processes() as start:

        def hold(path: Path) -> subprocess.Popen[str]:
            process = start("-c", HOLD, path, stdin=subprocess.PIPE)
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            return process

        yield hold


@pytest.fixture
def said_of_locks(monkeypatch: pytest.MonkeyPatch) -> queue.SimpleQueue[str]:
    """What is printed about locks, by any thread. Reading `capsys` meanwhile would lose some."""
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr("pipeline.locks.print", lambda text, **_: said.put(text), raising=False)
    return said
