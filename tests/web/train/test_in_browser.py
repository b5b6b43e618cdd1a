"""Training in a real browser, from labels to a run."""

import json
import shutil
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from pipeline.run import Run
from pipeline.video import write_video
from tests.conftest import blob, blob_recording
from tests.web.browser import NEEDS_CHROMIUM, findings, opened

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def app(start_app, tmp_path):
    """Short videos that are labelled, of names that are no markup."""
    folder = tmp_path / "work" / "lab <b>"
    folder.mkdir(parents=True)
    lines = ["path,label,group"]
    for group in range(8):
        frames = blob(np.random.default_rng(group), 12)
        for label, ordered in (("right <i>", frames), ("left", frames[::-1])):
            name = f"{group} {label}.avi"
            write_video(folder / name, ordered, fps=10, codec="FFV1")
            lines.append(f"{name},{label},{group}")
    (folder / "labels.csv").write_text("\n".join(lines))
    app = start_app(folder.parent)
    yield app
    for number in ("1", "2", "3"):
        app.ask(f"/api/jobs/{number}/stop", {}, method="POST")


def test_labels_become_a_run_with_its_report(app, browser):
    run = Run(app.root / "runs" / "lab_b-tiny-1")
    with opened(browser, f"{app.address}/train?folder=lab+%3Cb%3E") as page:
        assert findings(page) == []
        expect(page.locator("#preset option:not([hidden])").first).to_have_text("small")
        page.click("#check")
        expect(page.locator("#state")).to_have_text("Done", timeout=60_000)
        expect(page.locator("#data table").first).to_be_visible()
        assert page.locator("#data i").count() == 0
        assert findings(page) == []
        page.goto(f"{app.address}/train")
        page.select_option("#preset", "tiny")
        page.click("#choice button.main")
        expect(page.locator("#steps li.done")).to_have_count(1, timeout=60_000)
        expect(page.locator("#log")).to_contain_text("epoch   2/", timeout=120_000)
        expect(page.locator("#curves")).to_be_visible()
        expect(page.locator("#progress")).to_contain_text("minutes more")
        page.reload()
        expect(page.locator("#log")).to_contain_text("epoch   1/")
        page.click("#stop")
        expect(page.locator("#state")).to_have_text("Stopped", timeout=60_000)
        expect(page.get_by_role("link", name="Try it")).to_be_visible()
        shutil.move(run.bundle_file, run.folder / "aside")  # as after a kill
        page.click("#finish")
        expect(page.locator("h1").first).to_contain_text(", as far as it came")
        expect(page.locator("#state")).to_have_text("Done", timeout=120_000)
        expect(page.locator("#result")).to_contain_text("top-1")
        assert run.bundle_file.is_file()
        expect(page.locator("#finish")).to_be_hidden()
        assert findings(page) == []
        page.get_by_role("link", name="Open the report").click()
        expect(page.locator("h1")).to_have_text("lab_b-tiny-1")
    found = json.loads(run.metrics_file.read_text())["test"]["video"]["top1"]
    with opened(browser, f"{app.address}/runs") as page:
        expect(page.locator("tbody")).to_contain_text(f"top-1 {found:.3f}")
        assert page.locator("main [role=status]").count() == 0
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("status")).to_have_text("Choose two runs or more to compare.")
        assert findings(page) == []
        page.goto(f"{app.address}/jobs/2")
        page.click("#go-on")
        expect(page.locator("#log")).to_contain_text("goes on after epoch", timeout=120_000)
        expect(page.locator("#result")).to_be_hidden()
        page.click("#stop")
        expect(page.locator("#state")).to_have_text("Stopped", timeout=60_000)


def mark(page, events):
    """Marks the events of a recording, each with the first letter of its class, as it is open."""
    page.wait_for_selector("#picture[data-number='0']")
    expect(page.locator("#waiting")).to_be_hidden()
    for start, end, label in events:
        page.keyboard.press("Home")
        for seconds in (start, end - start):
            for _ in range(round(seconds)):
                page.keyboard.press("Shift+ArrowRight")
            page.keyboard.press(label[0])
    expect(page.locator("#count")).to_have_text(str(len(events)))
    expect(page.locator("#saved")).to_have_text("Saved")


def test_from_recordings_without_labels_to_what_a_run_proposes(start_app, browser, tmp_path):
    videos, events = tmp_path / "VIDEOS", []
    videos.mkdir()
    for number in range(5):
        frames, marked = blob_recording(np.random.default_rng(number))
        write_video(videos / f"{number}.avi", frames, fps=10, codec="FFV1")
        events.append(marked)
    with opened(browser, start_app(videos).address) as page:
        page.click("text=Mark events")
        page.wait_for_selector("#picture[data-number='0']")
        for name in ("left", "right"):
            page.fill("#class-name", name)
            page.fill("#class-key", name[0])
            page.click("#add-class button")
            page.locator("#class-name").blur()
        for number in range(4):
            page.locator("#videos li").nth(number).get_by_role("button").click()
            mark(page, events[number])
        page.get_by_role("link", name="Train").click()
        page.click("#check")
        expect(page.locator("#state")).to_have_text("Done", timeout=120_000)
        page.get_by_role("link", name="Train").click()
        page.click("#choice button.main")
        expect(page.locator("main")).to_contain_text("Data set: data/videos-events")
        expect(page.locator("#log")).to_contain_text("epoch   1/", timeout=240_000)
        page.click("#stop")
        expect(page.locator("#state")).to_have_text("Stopped", timeout=120_000)
        page.get_by_role("link", name="Runs").first.click()
        expect(page.locator("tbody")).to_contain_text("videos-recordings-1")
        page.get_by_role("link", name="Label").click()
        expect(page.locator(".card")).to_have_count(1)
        page.click("text=Mark events")
        expect(page.locator("#videos li")).to_have_count(5)
        page.locator("#videos li").nth(4).get_by_role("button").click()
        page.select_option("#run", "videos-recordings-1")
        page.click("#ask")
        expect(page.locator("#proposed")).to_contain_text("to decide", timeout=120_000)


def test_a_second_click_starts_no_second_one(app, browser):
    with opened(browser, f"{app.address}/train") as page:
        page.select_option("#preset", "tiny")
        page.dblclick("#choice button.main")
        expect(page.locator("#state")).to_have_text("Running")
        page.go_back()
        expect(page.locator("#choice + h2 + .list li")).to_have_count(1)
        page.click("#check")
        expect(page.locator("#told")).to_contain_text("tiny on lab <b> is running")
        assert page.get_by_role("link", name="See it").get_attribute("href") == "/jobs/1"
        assert page.locator("#check").is_enabled()
        page.said[:] = [each for each in page.said if "409" not in each]


def test_a_click_before_the_script_is_there_is_not_lost(app, browser):
    held = []
    with opened(browser, f"{app.address}/runs") as page:
        page.route("**/form.js", held.append)
        page.goto(f"{app.address}/train", wait_until="commit")
        for each in ("button.main", "#check"):
            expect(page.locator(f"#choice {each}")).to_be_disabled()
        held.pop().continue_()
        page.select_option("#preset", "tiny")
        page.click("#choice button.main")
        expect(page).to_have_url(f"{app.address}/jobs/1")


def test_one_epoch_is_seen_in_the_curves(app, browser):
    with opened(browser, f"{app.address}/runs") as page:
        coloured = page.evaluate(
            """async () => {
                const { drawCurves } = await import("/static/train/curves.js");
                const canvas = document.body.appendChild(document.createElement("canvas"));
                drawCurves(canvas, [{ epoch: 1, loss: 0.5, val_loss: 0.9 }], "loss");
                const { width, height } = canvas;
                const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
                const isBlue = (at) => data[at + 2] - data[at] > 60;
                const isWarm = (at) => data[at] - data[at + 2] > 60;
                const places = Array.from({ length: data.length / 4 }, (_, place) => 4 * place);
                return [places.filter(isBlue).length, places.filter(isWarm).length];
            }"""
        )
    assert min(coloured) > 9


def test_a_report_reaches_nothing_of_the_pages(app, browser):
    report = app.root / "runs" / "x" / "report"
    report.mkdir(parents=True)
    (report.parent / "config.toml").write_text("")
    (report / "index.html").write_text(
        "<h1>a</h1><img src='/static/icon.svg'><script>"
        "try { document.title = document.cookie + localStorage.length }"
        "catch { document.title = 'shut' }"
        "fetch('/api/jobs/1').then(() => document.title = 'open', () => {})</script>"
    )
    with opened(browser, f"{app.address}/runs/x/report") as page:
        time.sleep(0.5)
        assert page.title() == "shut"
        assert any("img-src" in each for each in page.said)
        page.said.clear()


def test_a_training_goes_on_without_what_is_missing(app, browser):
    (app.root / "lab <b>" / "0 left.avi").unlink()
    with opened(browser, f"{app.address}/train") as page:
        page.select_option("#preset", "tiny")
        page.click("#choice button.main")
        expect(page.locator("#told")).to_contain_text("or read: 0 left.avi. Bring them back")
        assert findings(page) == []
        page.get_by_role("button", name="Train without them").click()
        expect(page.locator("#steps li.done")).to_have_count(1, timeout=60_000)
        page.click("#stop")
        expect(page.locator("#state")).to_have_text("Stopped", timeout=60_000)
        expect(page.locator("#finish")).to_be_hidden()  # There is no epoch of it.
        page.said[:] = [each for each in page.said if "410" not in each]


def test_what_cannot_be_trained_is_told(app, browser):
    (app.root / "lab <b>" / "labels.csv").unlink()
    with opened(browser, f"{app.address}/train") as page:
        expect(page.locator("main")).to_contain_text("Nothing is labelled yet")
    choice = {"folder": "lab <b>", "kind": "clips", "preset": "tiny"}
    status, answer = app.ask("/api/jobs", choice, method="POST")
    assert status == 422
    assert b"there are no labels yet" in answer
    for path in (
        "/jobs/1",
        "/api/jobs/1",
        "/api/jobs/1/events",
        "/runs/x/report",
        "/runs/../report",
    ):
        assert app.ask(path)[0] in (404, 422)
