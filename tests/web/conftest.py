"""Apps and a browser for tests of the pages."""

import contextlib
import dataclasses
import json
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from pipeline.video import write_video
from tests.conftest import blob_recording
from tests.processes import python_processes, wait_until
from tests.web.browser import TOKEN, chromium, opened

SCRIPT = Path(__file__).parents[2] / "scripts" / "app.py"


@dataclasses.dataclass
class App:
    """A running app: its process, its address and the folder that it works in."""

    process: object
    address: str
    root: Path

    def ask(self, path, content=None, *, method=None, headers=None, **parameters):
        """The status and the bytes that come back."""
        url = f"{self.address}{path}?{urllib.parse.urlencode(parameters)}"
        usual = {"Accept": "application/json", "Authorization": f"Bearer {TOKEN}"}
        headers = {**usual, **(headers or {})}
        data = None
        if content is not None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path, **parameters):
        """The JSON that comes back of a request that goes well."""
        status, content = self.ask(path, **parameters)
        assert status == 200, content
        return json.loads(content)

    def read_through(self, video):
        """What is known of a recording once all of it is."""
        found = {}

        def is_read():
            found.update(self.get("/api/video", video=video))
            return found["is_complete"] or found["error"]

        wait_until(is_read)
        return found

    def put(self, path, content, **parameters):
        """The status and the JSON that come back."""
        status, answer = self.ask(path, content, method="PUT", **parameters)
        return status, json.loads(answer)

    def save(self, video, **content):
        """The status and the answer to saving what follows on what is there of a recording."""
        folder, _, name = video.rpartition("/")
        videos = self.get("/api/label/folder", folder=folder)["videos"]
        (version,) = (each["version"] for each in videos if each["name"] == name)
        return self.put("/api/label/events", {**content, "version": version}, video=video)


@contextlib.contextmanager
def apps(cache):
    """Starts apps on folders; what they keep of files is kept in a folder of theirs."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "CLIPLINE_TOKEN": TOKEN}
    with python_processes() as python:

        def start(root):
            root.mkdir(exist_ok=True)
            process = python(SCRIPT, root, "--port", 0, "--no-browser", env=environment)
            line = process.stdout.readline()
            return App(process, line.split(": ")[1].partition("/?")[0], root)

        yield start


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """One that all tests share, each of which makes folders of its own in its root."""
    folder = tmp_path_factory.mktemp("app")
    with apps(folder / "cache") as start:
        yield start(folder / "work")


@pytest.fixture(scope="session")
def app_of_run(tmp_path_factory, blob_run):
    """Likewise, with a run that is called `blobs`."""
    folder = tmp_path_factory.mktemp("app of run")
    shutil.copytree(blob_run.folder, folder / "work" / "runs" / "blobs")
    with apps(folder / "cache") as start:
        yield start(folder / "work")


@pytest.fixture
def start_app(tmp_path):
    """Starts an app for this test alone."""
    with apps(tmp_path / "cache") as start:
        yield start


def coded(num_frames, *, height=96, width=128):
    """Frames, uint8 (N, H, W, 3), whose halves say their number by their brightness."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    for number in range(num_frames):
        for place, digit in enumerate(divmod(number, 16)):
            half = slice(place * width // 2, (place + 1) * width // 2)
            frames[number, :, half] = 16 * digit + 8
    return frames


def number_of(pixels):
    """The number that a frame of `coded` says, of pixels (H, W, 3) of any size."""
    width = pixels.shape[1]
    middles = pixels[:, width // 8 : 3 * width // 8], pixels[:, 5 * width // 8 : 7 * width // 8]
    first, second = (int(each.mean()) // 16 for each in middles)
    return 16 * first + second


@pytest.fixture(scope="session")
def coded_recordings(tmp_path_factory):
    """Two recordings that say the numbers of their frames; to be copied."""
    folder = tmp_path_factory.mktemp("coded")
    write_video(folder / "a.avi", coded(120), fps=25, codec="FFV1")
    write_video(folder / "b.avi", coded(60), fps=10, codec="MJPG")
    return folder


@pytest.fixture
def lab(app, coded_recordings, tmp_path):
    """A folder of the app with recordings that say the numbers of their frames."""
    return shutil.copytree(coded_recordings, app.root / tmp_path.name)


@pytest.fixture(scope="session")
def moving(tmp_path_factory):
    """Six recordings of things that move to the left or right; their events by file."""
    folder, events = tmp_path_factory.mktemp("moving"), {}
    for number in range(6):
        frames, events[f"g{number}.avi"] = blob_recording(np.random.default_rng(number))
        write_video(folder / f"g{number}.avi", frames, fps=10, codec="FFV1")
    return folder, events


def write_events(folder, moving, number):
    """Labels the first of `moving` in a folder."""
    lines = ["video,start_seconds,end_seconds,label"]
    for name, events in list(moving[1].items())[:number]:
        lines += [f"{name},{start},{end},{label}" for start, end, label in events]
    (folder / "events.csv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser):
    """Opens pages, whose console says nothing until the test has ended."""
    with contextlib.ExitStack() as stack:
        yield lambda address, **options: stack.enter_context(opened(browser, address, **options))
