"""Trying a run in a real browser: files, downloads, and a webcam, which is a file here."""

import json
import shutil
import subprocess
from functools import partial

import imageio_ffmpeg
import numpy as np
import pytest
from playwright.sync_api import expect

from pipeline.inference.classifier import Classifier
from pipeline.inference.timeline import make_timeline
from pipeline.sources.events.reading import read_events
from pipeline.video import VideoReader, write_video
from tests.conftest import blob
from tests.web.browser import NEEDS_CHROMIUM, chromium, findings, opened

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """A video of something that moves to the right, of a name that is no markup."""
    path = tmp_path_factory.mktemp("right") / "<b>right.avi"
    write_video(path, blob(np.random.default_rng(50), 12), fps=10, codec="FFV1")
    return path


@pytest.fixture(scope="module")
def page(app_of_run, right):
    """The page, in a browser that is told when it starts what its webcam shows."""
    camera = right.with_name("camera.y4m")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", right]
    scaled = ["-vf", "scale=160:120:flags=neighbor", "-pix_fmt", "yuv420p", camera]
    subprocess.run([*ffmpeg, *scaled], check=True)
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    )
    address = f"{app_of_run.address}/try"
    with chromium(*fake) as browser, opened(browser, address) as page:
        yield page


def test_files_are_answered_as_the_classifier_does(app_of_run, page, right, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    page.reload()
    assert findings(page) == []
    page.set_input_files("#files", [tmp_path / "bad.mp4", right])
    results = page.locator("#results li")
    expect(results.nth(0)).to_contain_text("it is text, not a video")
    expect(results.nth(1)).to_contain_text("(blobs)")
    prediction = Classifier.load(app_of_run.root / "runs" / "blobs").predict(right)
    expect(page.locator("#answer")).to_have_text(str(prediction))
    expect(page.locator("#bars li")).to_have_count(2)
    page.wait_for_selector("#picture[data-number='0']")
    assert page.locator("main b").count() == 0
    assert findings(page) == []
    for end in (".json", ".csv", ".srt", ".boris.tsv", ".mp4"):
        page.select_option("#format", end)
        with page.expect_download() as download:
            page.click("#download")
        assert download.value.suggested_filename.endswith(f"right{end}")
        download.value.save_as(tmp_path / f"out{end}")
    page.said[:] = [each for each in page.said if "422" not in each]
    assert json.loads((tmp_path / "out.json").read_text())["path"] == right.name
    (recording,) = read_events(tmp_path / "out.csv")
    assert recording.media == right.name
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert reader.count() == 12


def test_a_dropped_folder_is_walked_through_and_a_webcam_is_answered(page, right, tmp_path):
    folder = tmp_path / "many"
    (folder / "day 2").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for place in ("b.avi", "a.avi", "day 2/c.avi", ".hidden/d.avi"):
        shutil.copy(right, folder / place)
    page.reload()
    box = page.locator("#drop").bounding_box()
    place = {"x": box["x"] + 5, "y": box["y"] + 5}
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    names = page.locator("#results li button span:first-child")
    expect(names).to_have_text(["a.avi", "b.avi", "c.avi"])
    expect(page.locator("#results li").nth(2)).to_contain_text("(blobs)")
    expect(page.locator("#answer")).not_to_be_empty()
    page.wait_for_selector("#picture[data-number='0']")
    page.reload()
    page.click("#webcam")
    expect(page.locator("#seen")).to_have_text("Watching")
    expect(page.locator("#seen")).to_contain_text("0.", timeout=30_000)
    assert findings(page) == []
    page.click("#webcam")
    expect(page.locator("#live")).to_be_hidden()


def test_an_answer_is_explained_and_its_events_are_proposed_for_labelling(app_of_run, tmp_path):
    app, folder = app_of_run, app_of_run.root / tmp_path.name
    folder.mkdir()
    parts = [blob(np.random.default_rng(number), 12)[:: (-1) ** number] for number in range(8)]
    write_video(folder / "turns.avi", np.concatenate(parts), fps=10, codec="FFV1")
    video, kind = (folder / "turns.avi").read_bytes(), {"Content-Type": "video/x-msvideo"}
    asked = {"method": "POST", "headers": kind, "run": "blobs", "name": "../../x.avi"}
    tried = partial(app.ask, "/api/try", **asked)
    status, content = tried(video)
    assert status == 200, content
    found = json.loads(content)
    assert found["name"] == "x.avi"
    status, picture = app.ask(f"/api/try/{found['key']}/explanation")
    assert (status, picture[:4]) == (200, b"\x89PNG")
    assert app.get("/api/video", tried=found["key"])["width"] == 32
    timeline = make_timeline(Classifier.load(app.root / "runs" / "blobs"), folder / "turns.avi")
    expected = [(e.label, pytest.approx(e.start_seconds, abs=1e-3)) for e in timeline.segments]
    proposals = partial(app.ask, "/api/label/proposals", video=f"{folder.name}/turns.avi")
    for _ in range(2):  # The second time, they are kept.
        status, content = proposals(run="blobs")
        assert (status, json.loads(content)) == (200, {"proposals": found["events"]})
    assert len(expected) > 3
    assert [(each["label"], each["start"]) for each in found["events"]] == expected
    assert all(each["start"] < each["end"] for each in found["events"])
    assert all(0.5 < each["probability"] <= 1 for each in found["events"])
    for run, reason in (("none", b"there is no such run"), ("../runs/blobs", b"")):
        for status, answer in (proposals(run=run), tried(b"x", run=run)):
            assert status == 422
            assert reason in answer
    assert tried(b"x", headers={"Content-Type": "text/html"})[0] == 415
