"""Trying a run in a real browser: files and downloads."""

import json
import shutil

from playwright.sync_api import expect

from pipeline.inference.classifier import Classifier
from pipeline.sources.events.reading import read_events
from pipeline.video import VideoReader
from tests.web.browser import NEEDS_CHROMIUM, findings, opened

pytestmark = NEEDS_CHROMIUM


def test_files_are_answered_as_the_classifier_does(app, browser, right, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with opened(browser, f"{app.address}/try") as page:
        assert findings(page) == []
        page.set_input_files("#files", [tmp_path / "bad.mp4", right])
        results = page.locator("#results li")
        expect(results.nth(0)).to_contain_text("it is text, not a video")
        expect(results.nth(1)).to_contain_text("(blobs)")
        prediction = Classifier.load(app.root / "runs" / "blobs").predict(right)
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


def test_a_folder_that_is_dropped_is_walked_through(app, browser, right, tmp_path):
    folder = tmp_path / "many"
    (folder / "day 2").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for place in ("b.avi", "a.avi", "day 2/c.avi", ".hidden/d.avi"):
        shutil.copy(right, folder / place)
    with opened(browser, f"{app.address}/try") as page:
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


def test_an_answer_is_explained(app, right):
    status, content = app.ask(
        "/api/try",
        right.read_bytes(),
        method="POST",
        headers={"Content-Type": "video/x-msvideo"},
        run="blobs",
        name="../../x.avi",
    )
    assert status == 200, content
    found = json.loads(content)
    assert found["name"] == "x.avi"
    status, picture = app.ask(f"/api/try/{found['key']}/explanation")
    assert (status, picture[:4]) == (200, b"\x89PNG")
    assert app.get("/api/video", tried=found["key"])["width"] == 32


def test_what_is_not_tried(app):
    for path in ("/api/try/0/download", "/api/try/0/explanation"):
        assert app.ask(path)[0] == 404
    assert app.ask("/api/video", tried="../../etc/passwd")[0] == 404
    headers = {"Content-Type": "video/mp4"}
    status, answer = app.ask("/api/try", b"x", method="POST", headers=headers, run="none")
    assert status == 422
    assert b"there is no such run" in answer
    headers = {"Content-Type": "text/html"}
    assert app.ask("/api/try", b"x", method="POST", headers=headers, run="blobs")[0] == 415
