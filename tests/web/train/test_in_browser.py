"""Training in a real browser, from labels to a run."""

import dataclasses
import shutil
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import expect

from pipeline.run import Run
from pipeline.video import write_video
from pipeline.web.train.job import Job
from pipeline.web.train.jobs import Jobs
from pipeline.web.train.runs import figures
from tests.conftest import blob
from tests.processes import wait_until
from tests.runs import drawn_run
from tests.web.browser import NEEDS_CHROMIUM, findings
from tests.web.conftest import write_events

pytestmark = NEEDS_CHROMIUM


def end_all(jobs):
    for number in jobs.all():
        jobs.stop(number)
        wait_until(lambda number=number: jobs.folder(number).read().state != "running")


@pytest.fixture
def jobs(app):
    """The trainings of the app, which end with the test, as its runs do."""
    jobs = Jobs(app.root)
    yield jobs
    end_all(jobs)
    shutil.rmtree(app.root / "runs", ignore_errors=True)


@pytest.fixture
def clips(app, jobs, tmp_path):
    """A folder of the app of short videos with labels, of names that are no markup."""
    folder = app.root / f"{tmp_path.name} <b>"
    folder.mkdir()
    lines = ["path,label,group"]
    for group in range(8):
        frames = blob(np.random.default_rng(group), 12)
        for label, ordered in (("right <i>", frames), ("left", frames[::-1])):
            name = f"{group} {label}.avi"
            write_video(folder / name, ordered, fps=10, codec="FFV1")
            lines.append(f"{name},{label},{group}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_videos_are_checked_and_trained_on_once_at_a_time(app, jobs, clips, visit):
    page = visit(f"{app.address}/train?folder={quote(clips.name)}")
    state, told, start = (page.locator(at) for at in ("#state", "#told", "#choice button.main"))
    assert findings(page) == []
    expect(page.locator("#preset option:not([hidden])").first).to_have_text("small")
    page.click("#check")
    expect(state).to_have_text("Done", timeout=60_000)
    expect(page.locator("#data table").first).to_be_visible()
    assert page.locator("#data i").count() == 0
    assert findings(page) == []
    page.go_back()
    page.select_option("#preset", "tiny")
    before = len(jobs.all())
    start.dblclick()  # The second click starts no second one.
    expect(state).to_have_text("Running")
    started = page.url.removeprefix(app.address)
    page.go_back()
    expect(page.locator("#choice + h2 + .list li")).to_have_count(before + 1)
    page.click("#check")
    expect(told).to_contain_text(f"tiny on {clips.name} is running")
    assert page.locator("#check").is_enabled()
    see = page.get_by_role("link", name="See it")
    assert see.get_attribute("href") == started
    see.click()
    page.click("#stop")
    expect(state).to_have_text("Stopped")
    (clips / "0 left.avi").unlink()
    page.go_back()
    page.select_option("#preset", "tiny")
    start.click()
    expect(told).to_contain_text("or read: 0 left.avi. Bring them back")
    assert findings(page) == []
    page.get_by_role("button", name="Train without them").click()
    expect(page.locator("#steps li.done")).to_have_count(1, timeout=60_000)
    page.click("#stop")
    expect(state).to_have_text("Stopped")
    expect(page.locator("#finish")).to_be_hidden()  # There is no epoch of it.
    page.said[:] = [each for each in page.said if "409" not in each and "410" not in each]


def test_a_training_is_followed_and_becomes_a_run(app, jobs, visit, tiny_config, tmp_path, hold):
    name, folder = tmp_path.name, jobs.folder("901")
    run = drawn_run(tiny_config, app.root / "runs" / name, exported=False)
    steps = ("prepare",), ("train", "--run", f"runs/{name}"), ("evaluate", f"runs/{name}")
    job = Job(title="training", steps=steps, run=f"runs/{name}", done=1, state="running")
    folder.write(job)
    first, rest = "the log: Grö".encode()[:-1], "öße".encode()[1:]  # A character comes apart.
    folder.log.write_bytes(first)
    process = hold(folder.running)
    folder.write(dataclasses.replace(job, process=process.pid))
    page = visit(f"{app.address}/jobs/901")
    state, log = page.locator("#state"), page.locator("#log")
    expect(state).to_have_text("Running")
    expect(page.locator("#steps li.done")).to_have_count(1)
    expect(page.locator("#curves")).to_be_visible()
    expect(page.locator("#progress")).to_have_text("epoch 1 of 2, at most 1 minutes more")
    for hidden in ("#result", "#finish", "#go-on"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(log).to_have_text("the log: Gr")
    with folder.log.open("ab") as file:
        file.write(rest)
    expect(log).to_have_text("the log: Größe")
    page.reload()
    expect(log).to_have_text("the log: Größe")
    page.click("#stop")
    expect(state).to_have_text("Stopped")
    page.click("#finish")
    expect(page.locator("h1").first).to_have_text("training, as far as it came")
    expect(state).to_have_text("Done", timeout=240_000)
    score = f"top-1 {figures(run).value:.3f}"
    expect(page.locator("#result")).to_contain_text(score)
    expect(page.locator("#finish")).to_be_hidden()
    assert run.bundle_file.is_file()
    assert findings(page) == []
    page.get_by_role("link", name="Open the report").click()
    expect(page.locator("h1")).to_have_text(run.folder.name)
    page.goto(f"{app.address}/runs")
    expect(page.locator("tbody")).to_contain_text(score)
    assert page.locator("main [role=status]").count() == 0
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("status")).to_have_text("Choose two runs or more to compare.")
    assert findings(page) == []
    folder.write(dataclasses.replace(job, steps=(("--version",), ("--version",))))
    page.goto(f"{app.address}/jobs/901")  # It was killed, as it were.
    expect(state).to_have_text("Stopped")
    expect(page.get_by_role("link", name="Try it")).to_be_visible()
    page.click("#go-on")
    expect(state).to_have_text("Done")
    expect(log).to_contain_text("$ clipline --version")


def test_a_click_before_the_script_is_there_is_not_lost(app, clips, visit):
    page, held = visit(f"{app.address}/runs"), []
    for path, script, form in (
        ("train", "**/form.js", "#choice"),
        ("label", "**/label/main.js", "#add-class"),
        ("clips", "**/label/clips.js", "#add-class"),
    ):
        page.route(script, lambda route: held.append(route))
        with page.expect_request(script):
            page.goto(f"{app.address}/{path}?folder={quote(clips.name)}", wait_until="commit")
        buttons = page.locator(f"{form} button")
        expect(buttons.last).to_be_visible()
        for button in buttons.all():
            expect(button).to_be_disabled()
        held.pop().continue_()
        for button in buttons.all():
            expect(button).to_be_enabled()


def test_one_epoch_is_seen_in_the_curves_and_a_report_reaches_nothing_else(app, visit, tmp_path):
    coloured = visit(f"{app.address}/runs").evaluate(
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
    run = Run(app.root / "runs" / tmp_path.name)
    run.report_page.parent.mkdir(parents=True)
    run.config_file.write_text("")
    run.report_page.write_text(
        "<h1>a</h1><img src='/static/icon.svg'><script>"
        "try { document.title = document.cookie + localStorage.length }"
        "catch { document.title = 'shut' }"
        "fetch('/runs').then(() => document.title = 'open', () => document.title += '!')</script>"
    )
    page = visit(f"{app.address}/runs/{run.folder.name}/report")
    expect(page).to_have_title("shut!")
    assert any("img-src" in each for each in page.said)
    page.said.clear()


def stop(page):
    page.click("#stop")
    expect(page.locator("#state")).to_have_text("Stopped", timeout=300_000)  # It is exported.


@pytest.fixture
def own(start_app, moving, tmp_path):
    """An app of its own, in whose folder five recordings are, four of them labelled."""
    folder = shutil.copytree(moving[0], tmp_path / "VIDEOS", ignore=lambda *_: ["g5.avi"])
    write_events(folder, moving, 4)
    app = start_app(folder)
    yield app
    end_all(Jobs(app.root))


@pytest.mark.slow
def test_from_labelled_recordings_to_what_a_run_proposes(own, visit):
    page = visit(own.address)
    log = page.locator("#log")
    page.click("text=Mark events")
    page.get_by_role("link", name="Train").click()
    page.click("#choice button.main")
    expect(page.locator("main")).to_contain_text("Data set: data/videos-events")
    expect(log).to_contain_text("epoch   2/", timeout=240_000)
    expect(page.locator("#steps li.done")).to_have_count(1)
    expect(page.locator("#curves")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("minutes more")
    page.reload()
    expect(log).to_contain_text("epoch   1/")
    stop(page)
    expect(page.get_by_role("link", name="Try it")).to_be_visible()
    page.click("#go-on")
    expect(page.locator("#state")).to_have_text("Running")
    expect(page.locator("#result")).to_be_hidden()
    stop(page)
    page.get_by_role("link", name="Label").click()
    expect(page.locator(".card")).to_have_count(1)
    page.click("text=Mark events")
    expect(page.locator("#videos li")).to_have_count(5)
    page.locator("#videos li").nth(4).get_by_role("button").click()
    page.select_option("#run", "videos-recordings-1")
    page.click("#ask")
    expect(page.locator("#proposed")).to_contain_text("to decide", timeout=120_000)
