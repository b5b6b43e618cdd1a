"""The page for labelling in a real browser, as a person uses it."""

import contextlib
import csv
import random
import re
import shutil
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from playwright.sync_api import expect

from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.records import recording_labels
from pipeline.manifest.annotation import UNKNOWN_LABEL, Annotation
from pipeline.prepare.preparation import prepare
from pipeline.sources.events.reading import read_events
from pipeline.video import write_video
from pipeline.video.seeking import mark_frames
from pipeline.web.label.classes import change_settings, read_settings
from tests.conftest import blob, blob_recording
from tests.web.browser import MOST_BYTES, NEEDS_CHROMIUM, findings, opened
from tests.web.conftest import coded

pytestmark = NEEDS_CHROMIUM

LEVELS = """(source) => {
    const canvas = new OffscreenCanvas(128, 96);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, 128, 96);
    const level = (x) => Math.floor(context.getImageData(x, 48, 1, 1).data[0] / 16);
    return 16 * level(32) + level(96);
}"""
NUMBER = f"({LEVELS})(document.getElementById('picture'))"
"""The number that a frame of `coded` says, of what is drawn."""

MOVES = [("ArrowRight", 1), ("ArrowLeft", -1), ("End", 150), ("Home", -150)]
FORMATS = {
    "ffv1.avi": ["-c:v", "ffv1"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "2"],
    "b frames.mp4": ["-c:v", "libx264", "-bf", "3", "-g", "40", "-pix_fmt", "yuv420p"],
    "rotated.mov": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-g", "50", "-b:v", "2M", "-pix_fmt", "yuv420p"],
    "variable.mkv": ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-fps_mode", "vfr"],
}


def encode(source, target, name):
    """A copy of a video in one of `FORMATS`."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    filters = []
    if name.startswith("variable"):  # Of three frames, the second is shown twice as long.
        filters = ["-vf", "setpts='(floor(N/3)*4+mod(N,3)+gte(mod(N,3),2))/25/TB'"]
    command = [*ffmpeg, "-i", source, *filters, *FORMATS[name], target]
    subprocess.run(command, check=True)
    if name.startswith("rotated"):
        aside = target.with_name("aside.mov")
        target.rename(aside)
        turned = [*ffmpeg, "-display_rotation", "180", "-i", aside, "-c", "copy", target]
        subprocess.run(turned, check=True)
        aside.unlink()


@pytest.fixture
def app(start_app, recordings):
    return start_app(recordings.parent)


def label(app, browser, video="a.avi", folder="lab", **options):
    """The page, once a recording is read through."""
    context = opened(browser, f"{app.address}/label?folder={folder}&video={video}", **options)
    page = context.__enter__()
    page.done = lambda: context.__exit__(None, None, None)
    page.wait_for_selector("#picture[data-number='0']")
    expect(page.locator("#waiting")).to_be_hidden()
    return page


def add_class(page, name, key, *, point=False):
    page.fill("#class-name", name)
    page.fill("#class-key", key)
    if point:
        page.check("#class-point")
    page.click("#add-class button")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def frame(page):
    """The number of the frame that is shown, once it is drawn."""
    number = page.text_content("#clock").split("frame ")[1]
    page.wait_for_selector(f"#picture[data-number='{number}']")
    return int(number)


def saved(page):
    expect(page.locator("#saved")).to_have_text("Saved")


@pytest.mark.parametrize("name", FORMATS)
def test_the_frame_of_a_time_is_the_one_of_the_reader(start_app, browser, tmp_path, name):
    folder = tmp_path / "work"
    folder.mkdir()
    write_video(tmp_path / "coded.avi", coded(150), fps=25, codec="FFV1")
    encode(tmp_path / "coded.avi", folder / name, name)
    times = [mark.seconds for mark in mark_frames(folder / name)]
    assert len(times) == 150
    page = label(start_app(folder), browser, video=name, folder="")
    add_class(page, "peck", "p", point=True)
    rng, at = random.Random(name), 0
    expected = []
    for step in range(30):
        key, moved = rng.choice(
            [("ArrowRight", 1), ("ArrowLeft", -1), ("End", 150), ("Home", -150)]
        )
        if step % 3 == 0:
            at = rng.randrange(150)
            box = page.locator("#axis").bounding_box()
            duration = float(page.get_attribute("#axis", "aria-valuemax"))
            page.mouse.click(box["x"] + 0.5 + times[at] / duration * box["width"], box["y"] + 5)
            at = frame(page)
        else:
            press(page, key)
            at = min(max(0, at + moved), 149)
        assert frame(page) == at
        drawn = page.evaluate(NUMBER)
        if name == "rotated.mov":  # by half a turn, which exchanges the halves
            drawn = 16 * (drawn % 16) + drawn // 16
        assert drawn == at
        if step % 5 == 0:
            press(page, "p")
            expected.append(round(times[at], 3))
    saved(page)
    page.done()
    (recording,) = read_events(folder / "events.csv")
    assert [event.start_seconds for event in recording.events] == sorted(set(expected))


def test_keys_begin_and_end_events_of_several_classes_at_once(app, browser, recordings):
    page = label(app, browser)
    add_class(page, "walk", "w")
    add_class(page, "peck", "p", point=True)
    add_class(page, "<b>&", "b")
    press(page, "Shift+ArrowRight", "w", "ArrowRight", "b", "p")
    expect(page.locator("#classes .mark[aria-pressed=true]")).to_have_count(2)
    press(page, "Shift+ArrowRight", "w", "ArrowLeft", "b")
    saved(page)
    page.done()
    lines = (recordings / "events.csv").read_text().splitlines()[1:]
    assert lines == [
        "a.avi,1.000,2.040,walk,,",
        "a.avi,1.040,,peck,,",
        "a.avi,1.040,2.000,<b>&,,",
    ]


def test_undo_and_redo_go_all_the_way(app, browser, recordings):
    page = label(app, browser)
    add_class(page, "peck", "p", point=True)
    for _ in range(12):
        press(page, "ArrowRight", "p")
    expect(page.locator("#count")).to_have_text("12")
    press(page, *["Control+z"] * 12)
    expect(page.locator("#count")).to_have_text("")
    expect(page.locator("#undo")).to_be_disabled()
    press(page, *["Control+Shift+z"] * 5)
    expect(page.locator("#count")).to_have_text("5")
    saved(page)
    assert len((recordings / "events.csv").read_text().splitlines()) == 6
    press(page, "ArrowUp", "Delete")
    expect(page.locator("#count")).to_have_text("4")
    expect(page.locator("#redo")).to_be_disabled()
    page.done()


def test_an_edge_is_dragged_to_a_frame_and_cells_are_typed(app, browser, recordings):
    page = label(app, browser)
    add_class(page, "walk", "w")
    press(page, "Shift+ArrowRight", "w", "Shift+ArrowRight", "w")
    box = page.locator("#axis").bounding_box()
    duration = float(page.get_attribute("#axis", "aria-valuemax"))
    row = box["y"] + 66
    page.mouse.move(box["x"] + 2 / duration * box["width"], row)
    page.mouse.down()
    page.mouse.move(box["x"] + 3.01 / duration * box["width"], row, steps=4)
    page.mouse.up()
    end = page.get_by_label("End in seconds")
    expect(end).to_have_value("3.000")
    end.fill("3,2")
    end.press("Enter")
    page.get_by_label("Notes of walk").fill('a, "b"')
    page.get_by_label("Notes of walk").press("Enter")
    page.get_by_label("Notes of walk").fill("half typed")
    page.evaluate("document.getElementById('subject').dispatchEvent(new Event('change'))")
    expect(page.get_by_label("Notes of walk")).to_have_value("half typed")
    page.get_by_label("Notes of walk").fill('a, "b"')
    end = page.get_by_label("End in seconds")
    end.fill("0.5")
    end.press("Enter")
    expect(end).to_have_value("3.200")
    saved(page)
    page.done()
    assert (recordings / "events.csv").read_text().splitlines()[1] == (
        'a.avi,1.000,3.200,walk,,"a, ""b"""'
    )


def test_a_cell_keeps_its_focus_and_selection_while_something_is_saved(app, browser, recordings):
    page = label(app, browser)
    add_class(page, "walk", "w")
    press(page, "w", "ArrowRight", "w", "ArrowRight", "w", "ArrowRight", "w")
    end = page.get_by_label("End in seconds of walk").first
    end.select_text()
    page.evaluate("document.getElementById('subject').dispatchEvent(new Event('change'))")
    page.keyboard.insert_text("0.2")
    page.keyboard.press("Enter")
    expect(end).to_have_value("0.200")
    start = page.get_by_label("Start in seconds of walk").last
    start.fill("0")
    start.press("Enter")
    expect(end).to_have_value("0.120")
    page.locator("#events .chip").last.click()  # The other is chosen, and stays so.
    end.fill("0.2")
    end.press("Enter")
    expect(page.locator("#told")).to_contain_text("There is the same event already")
    expect(end).to_have_value("0.120")  # What was refused is not shown.
    saved(page)
    page.done()
    lines = (recordings / "events.csv").read_text().splitlines()[1:]
    assert lines == ["a.avi,0.000,0.120,walk,,", "a.avi,0.000,0.200,walk,,"]


def test_a_file_of_another_program_is_imported_and_exported(app, browser, recordings, tmp_path):
    text = "video,start_seconds,end_seconds,label\na.avi,1,2,walk\nb.avi,3,,peck\n"
    (tmp_path / "old.csv").write_text(text)
    page = label(app, browser)
    page.set_input_files("#file", tmp_path / "old.csv")
    expect(page.locator("#told")).to_contain_text("old.csv: 2 new events in 2 recordings.")
    expect(page.locator("#count")).to_have_text("1")
    expect(page.locator("#classes kbd")).to_have_text(["p", "w"])
    page.select_option("#format", ".eaf")
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == "a.eaf"
    (found,) = read_events(download.value.path().rename(tmp_path / "a.eaf"))
    assert [(e.start_seconds, e.end_seconds, e.label) for e in found.events] == [(1, 2, "walk")]
    page.done()


@pytest.mark.parametrize("video", ["a.avi", "h264.mp4"])
def test_it_plays_and_rests_at_the_frame_that_was_shown(app, browser, recordings, video):
    encode(recordings / "a.avi", recordings / "h264.mp4", "b frames.mp4")
    page = label(app, browser, video=video)
    page.select_option("#rate", "0.5")
    press(page, "Home", "Space")
    is_media = video == "h264.mp4"
    expect(page.locator("#screen.playing-media")).to_have_count(int(is_media))
    expect(page.locator("#clock")).not_to_have_text(re.compile("frame [0-9]$"))
    press(page, "Space")
    at = frame(page)
    assert 9 < at < 119
    assert page.evaluate(NUMBER) == at
    page.select_option("#rate", "8")
    press(page, "Space")
    expect(page.locator("#play")).to_have_text("Play")
    assert frame(page) >= 118
    page.done()


def test_a_browser_s_frame_has_the_number_that_the_page_says(app, browser, recordings):
    """While it plays: what is drawn of the player is what the page takes for the frame."""
    encode(recordings / "a.avi", recordings / "h264.mp4", "b frames.mp4")
    page = label(app, browser, video="h264.mp4")
    page.select_option("#rate", "0.25")
    press(page, "Space")
    expect(page.locator("#screen.playing-media")).to_have_count(1)
    pairs = page.evaluate(
        f"""async () => {{
            const media = document.getElementById("media"), found = [];
            for (let count = 0; count < 12; count++) {{
                await new Promise((done) => media.requestVideoFrameCallback(done));
                const text = document.getElementById("clock").textContent;
                found.push([({LEVELS})(media), Number(text.split("frame ")[1])]);
            }}
            return found;
        }}"""
    )
    assert all(abs(drawn - said) <= 1 for drawn, said in pairs)
    assert sum(drawn == said for drawn, said in pairs) >= 4
    page.done()


def two_windows(app, browser):
    """The second of which knows nothing of the event that the first one saved."""
    one, other = label(app, browser), label(app, browser)
    add_class(one, "peck", "p", point=True)
    other.reload()
    other.wait_for_selector("#picture[data-number='0']")
    press(one, "p")
    saved(one)
    press(other, "ArrowRight", "p")
    return one, other


def test_two_windows_at_one_recording_are_told(app, browser, recordings):
    one, other = two_windows(app, browser)
    expect(other.locator("#told")).to_contain_text("were changed in another window")
    expect(other.locator("#saved")).to_have_text("Not saved")
    asked = []
    other.on("request", lambda request: asked.append(request.method))
    other.get_by_role("button", name="Take theirs").click()
    expect(other.locator("#count")).to_have_text("1")
    other.wait_for_selector("#picture[data-number='0']")
    assert "PUT" not in asked
    press(other, "ArrowRight", "ArrowRight", "p")
    saved(other)
    press(one, "ArrowRight", "ArrowRight", "ArrowRight", "p")
    one.get_by_role("button", name="Keep mine").click()
    saved(one)
    times = [line.split(",")[1] for line in (recordings / "events.csv").read_text().splitlines()]
    assert times[1:] == ["0.000", "0.120"]
    for page in (one, other):
        page.said[:] = [each for each in page.said if "409 (Conflict)" not in each]
        page.done()


def test_what_was_shown_as_saved_is_there_after_a_kill(app, start_app, browser, recordings):
    page = label(app, browser)
    add_class(page, "peck", "p", point=True)
    press(page, "p", "ArrowRight", "p")
    saved(page)
    app.process.kill()
    app.process.communicate()
    press(page, "ArrowRight", "p")
    expect(page.locator("#saved")).to_have_text("Not saved")
    expect(page.locator("#told")).to_contain_text("The server does not answer")
    (recording,) = read_events(recordings / "events.csv")
    assert [event.start_seconds for event in recording.events] == [0.0, 0.04]
    page.said.clear()
    page.close()
    again = label(start_app(app.root), browser)
    expect(again.locator("#count")).to_have_text("2")
    again.done()


def test_a_server_that_is_gone_is_asked_once_in_a_while(app, browser):
    page = label(app, browser)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/api/video*", lambda route: route.abort())
    page.route("**/api/video/frames*", lambda route: route.abort())
    page.select_option("#rate", "0.5")
    press(page, "Space")
    expect(page.locator("#told")).to_contain_text("The server does not answer")
    press(page, "End", *["ArrowLeft"] * 40)
    page.wait_for_timeout(1000)
    assert len([url for url in asked if "/api/video" in url]) < 8
    page.unroute_all()
    expect(page.locator("#told")).to_be_hidden()
    assert frame(page) == 79
    page.said.clear()
    page.done()


def test_the_table_that_cannot_be_read_is_told(app, browser, recordings):
    (recordings / "events.csv").write_text("a,b\n1,2\n")
    with opened(browser, f"{app.address}/label?folder=lab") as page:
        expect(page.locator("#told")).to_contain_text("expected the columns video, start_seconds")
        page.said.clear()


@pytest.fixture
def proposing(start_app, tmp_path, blob_run):
    """The app with a recording of things that move, and a run that knows them."""
    folder = tmp_path / "work" / "lab"
    folder.mkdir(parents=True)
    shutil.copytree(blob_run.folder, tmp_path / "work" / "runs" / "blobs")
    parts = [blob(np.random.default_rng(number), 12) for number in range(8)]
    frames = np.concatenate(
        [part[::-1] if number % 2 else part for number, part in enumerate(parts)]
    )
    write_video(folder / "a.avi", frames, fps=10, codec="FFV1")
    return start_app(tmp_path / "work")


def test_what_a_run_proposes_is_accepted_or_rejected(proposing, browser):
    page = label(proposing, browser)
    assert findings(page) == []
    page.click("#ask")
    expect(page.locator("#proposed")).to_contain_text("to decide")
    count = int(page.text_content("#proposed").split()[0])
    assert count >= 3
    page.click("#unsure")
    expect(page.locator("#proposed")).to_contain_text(re.compile(r"^(left|right) 0\.\d\d\. "))
    press(page, "Delete")
    expect(page.locator("#proposed")).to_contain_text(f"{count - 1} to decide")
    press(page, "Enter")
    expect(page.locator("#count")).to_have_text("1")
    expect(page.locator("#classes")).to_have_text(re.compile("left|right"))
    for text in ("2", "", "80", "x"):
        page.fill("#above", text)
        page.click("#accept-all")
        expect(page.locator("#told")).to_contain_text("a probability from 0 to 1")
    expect(page.locator("#count")).to_have_text("1")
    page.fill("#above", "0,1")
    page.click("#accept-all")
    expect(page.locator("#count")).to_have_text(str(count - 1))
    expect(page.locator("#decide")).to_be_hidden()
    page.click("#undo")
    expect(page.locator("#count")).to_have_text("1")
    page.click("#redo")
    saved(page)
    page.reload()
    page.wait_for_selector("#picture[data-number='0']")
    page.click("#ask")
    # What was rejected stays so.
    expect(page.locator("#proposed")).to_contain_text("Nothing to decide")
    page.done()
    (recording,) = read_events(proposing.root / "lab" / "events.csv")
    assert {event.label for event in recording.events} <= {"left", "right"}
    assert len(recording.events) == count - 1
    # Around what was decided on, nothing is known; nor of the other class.
    assert recording.known == ()
    (rejected,) = set(recording.known_of) - set(recording.events)
    assert rejected.label in {"left", "right"}


PROPOSED = {
    "a.avi": [
        *((0, 3, "eat", 0.91, True), (1, 4, "walk", 0.55, True), (0, 3, "stand", 0.52, False)),
        *((4, 8, "stand", 0.71, True), (4, 6, "eat", 0.62, False), (6, 8, "walk", 0.95, False)),
        (8.5, 9.5, "stand", 0.81, False),
    ],
    "b.avi": [
        *((0, 2, "walk", 0.66, True), (0, 2, "eat", 0.61, False), (2, 5, "stand", 0.51, True)),
        *((2, 5, "walk", 0.58, False), (3, 6, "eat", 0.57, True), (6, 9, "stand", 0.54, False)),
        (6, 9, "walk", 0.53, True),
    ],
    "c.avi": [
        *((1, 3, "eat", 0.92, True), (1, 3, "stand", 0.52, False), (2, 5, "walk", 0.85, True)),
        *((5, 8, "eat", 0.53, False), (5, 8, "stand", 0.99, True), (7, 9, "walk", 0.54, False)),
    ],
}
"""Start, end, class and probability of what is proposed, and whether it is so."""

ABOVE = [
    {"start": 1, "end": 3, "label": "eat", "probability": 0.9},
    {"start": 1, "end": 3, "label": "stand", "probability": 0.6},
    {"start": 2, "end": 5, "label": "walk", "probability": 0.8},
]

UNSEEN = {
    "a.avi": [(4.2, 5.8, "walk"), (8.2, 9.8, "eat")],
    "b.avi": [(6.5, 8.5, "eat"), (9.2, 9.9, "stand")],
    "c.avi": [(0.0, 0.9, "walk"), (8.2, 9.6, "stand")],
}
"""What happens besides, and nobody proposed."""


def answer_proposals(page):
    """What is proposed comes of `PROPOSED`."""

    def answer(route):
        name = route.request.url.split("video=")[1].split("&")[0].split("%2F")[-1]
        fields = ("start", "end", "label", "probability")
        found = [dict(zip(fields, each, strict=False)) for each in PROPOSED[name]]
        route.fulfill(json={"proposals": found})

    page.route("**/api/label/proposals*", answer)


def decide_all(page, proposed, left):
    """Accepts what is so, and rejects the rest."""
    about = page.locator("#proposed")
    press(page, "?")
    while left:
        expect(about).to_contain_text(f". {left} to decide")
        probability = float(about.text_content().split()[1].rstrip("."))
        (is_so,) = (each[4] for each in proposed if each[3] == probability)
        press(page, "Enter" if is_so else "Delete")
        left -= 1
    expect(about).to_contain_text("Nothing to decide. Where nothing else happens, tick")


def rows_of(table):
    """What a table says, sorted."""
    lines = csv.DictReader(table.read_text().splitlines())
    cells = ("video", "start_seconds", "end_seconds", "label")
    return sorted(tuple(line[cell] for cell in cells) for line in lines)


def expect_taught(table, out):
    """The data set that is prepared knows what was decided, all of it rightly, and no more."""
    options = {"fps": 10, "size": 32, "workers": 1, "val_fraction": 0.4, "allow_leaks": True}
    config = PrepareConfig(source="events", path=str(table), out=str(out), **options)
    store = prepare(config).store
    records = [each for split in store.num_videos for each in store.of_split(split)]
    taught = [each for split in store.num_videos for each in recording_labels(store, split)]
    assert sorted(record.name for record in records) == sorted(PROPOSED)

    assert store.class_names == ("background", "eat", "stand", "walk")

    def labels(events):
        annotation = Annotation(events=tuple(events), background="background")
        return annotation.by_frame(10, store.class_names)(0, 100)

    for record, found in zip(records, taught, strict=True):
        proposed = PROPOSED[record.name]
        happens = [each[:3] for each in proposed if each[4]] + UNSEEN[record.name]
        is_known = found != UNKNOWN_LABEL
        np.testing.assert_array_equal(found[is_known], labels(happens)[is_known])
        decided = labels(each[:3] for each in proposed)[:, 1:] == 1
        np.testing.assert_array_equal(is_known[:, 1:], decided)
        # The background is where none happens: not where one does, else where all were decided.
        is_told = decided.all(axis=1) | (found[:, 1:] == 1).any(axis=1)
        np.testing.assert_array_equal(is_known[:, 0], is_told)


def test_a_decision_says_nothing_of_other_classes_and_other_times(start_app, browser, tmp_path):
    """Twenty decisions on three recordings: they are what the table says, and what is taught."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in PROPOSED:
        write_video(folder / name, coded(100), fps=10, codec="FFV1")
    app, table, wanted = start_app(folder), folder / "events.csv", []
    for name, proposed in PROPOSED.items():
        page = label(app, browser, video=name, folder="")
        answer_proposals(page)
        page.click("#ask")
        expect(page.locator("#proposed")).to_have_text(f"{len(proposed)} to decide")
        decide_all(page, proposed, len(proposed))
        saved(page)
        page.done()
        wanted += [
            (name, f"{start:.3f}", f"{end:.3f}", kind if is_so else f"* {kind}")
            for start, end, kind, _, is_so in proposed
        ]
        assert rows_of(table) == sorted(wanted)
    expect_taught(table, tmp_path / "store")


def test_decisions_are_taken_back_and_done_again(app, browser, recordings):
    table = recordings / "events.csv"
    page, about = label(app, browser, video="b.avi"), "#proposed"
    page.route("**/api/label/proposals*", lambda route: route.fulfill(json={"proposals": ABOVE}))
    page.click("#ask")
    page.click("#accept-all")  # above 0.8
    expect(page.locator(about)).to_have_text("1 to decide")
    saved(page)
    accepted = [("b.avi", "0.000", "0.000", "*"), ("b.avi", "1.000", "3.000", "eat")]
    assert rows_of(table) == [*accepted, ("b.avi", "2.000", "5.000", "walk")]
    press(page, "?", "Delete")
    expect(page.locator(about)).to_contain_text("Nothing to decide")
    saved(page)
    decided = rows_of(table)
    press(page, "Control+z", "Control+z")
    expect(page.locator(about)).to_have_text("3 to decide")
    saved(page)
    assert rows_of(table) == []
    assert read_settings(recordings).rejected == {}
    press(page, "Control+Shift+z", "Control+Shift+z")
    saved(page)
    assert rows_of(table) == decided
    page.done()


def test_what_an_earlier_version_took_to_be_watched_is_told(app, browser, recordings):
    table = recordings / "events.csv"
    spoilt = (
        "video,start_seconds,end_seconds,label,subject,notes\n"
        "a.avi,0.000,2.000,eat,,\na.avi,0.000,3.000,*,,\nb.avi,1.000,2.000,walk,,\n"
        "b.avi,0.500,4.000,*,,\n"
    )
    table.write_text(spoilt)
    rejected = {"start": 2, "end": 3, "label": "walk"}
    change_settings(recordings, {"rejected": {"a.avi": [rejected]}})
    page, told = label(app, browser), "every class: a.avi 0:00.000 to 0:03.000? They are exactly"
    expect(page.locator("#told")).to_contain_text(told)
    page.get_by_role("button", name="b.avi").click()  # It is told until somebody decides.
    expect(page.locator("#told")).to_contain_text(told)
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#told")).to_be_hidden()
    saved(page)
    a, b = sorted(read_events(table), key=lambda each: each.media)
    assert (a.known, b.known) == ((), ((0.5, 4.0),))
    assert {(each.start_seconds, each.end_seconds, each.label) for each in a.known_of} == {
        *((0, 2, "eat"), (2, 3, "walk"))
    }
    page.done()
    table.write_text(spoilt)
    page = label(app, browser)
    page.get_by_role("button", name="I did, keep").click()
    page.reload()
    page.wait_for_selector("#picture[data-number='0']")
    expect(page.locator("#told")).to_be_hidden()
    assert table.read_text() == spoilt
    page.done()


def test_after_a_new_class_its_key_marks(app, browser, recordings):
    page = label(app, browser)
    for name in ("eat", "walk"):
        press(page, ",")
        page.keyboard.type(name)
        press(page, "Enter")
    press(page, "e", "ArrowRight", "w", "e")
    saved(page)
    page.done()
    (recording,) = read_events(recordings / "events.csv")
    assert [event.label for event in recording.events] == ["eat"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labelled": 1}, "27 events in 1 recording. Label a second recording to see"),
        (
            {"described": 1},
            "Reading the recordings: 1 of 20. 27 events in 13 recordings. Learning.",
        ),
        ({}, "27 events in 13 recordings. Watch two recordings, as a whole or in part"),
        ({"curve": [{"events": 13.4, "f1_50": 0.5}] * 4}, "0.50 of 1, learnt from 13 of the 27 at"),
    ],
)
def test_what_labels_are_worth_is_told_or_what_is_missing(app, browser, changes, told):
    learnt = {"recordings": 20, "described": 20, "events": 27, "labelled": 13, "curve": []}
    learnt |= {"stretches": [], "failed": {}, "error": "", "lesson": 0}
    learnt |= {"is_learning": False, "is_scoring": False, **changes}
    with opened(browser, app.address) as page:
        page.route("**/api/label/learnt*", lambda route: route.fulfill(json=learnt))
        page.goto(f"{app.address}/label?folder=lab")
        expect(page.locator("#learnt")).to_contain_text(told)


@pytest.fixture
def guided(start_app, tmp_path):
    """The app with six recordings of things that move, of which two are labelled."""
    folder = tmp_path / "work" / "lab"
    folder.mkdir(parents=True)
    lines = ["video,start_seconds,end_seconds,label"]
    for number in range(6):
        frames, events = blob_recording(np.random.default_rng(number))
        write_video(folder / f"g{number}.avi", frames, fps=10, codec="FFV1")
        if number < 2:
            lines += [f"g{number}.avi,{start},{end},{label}" for start, end, label in events]
    (folder / "events.csv").write_text("\n".join(lines))
    return start_app(tmp_path / "work")


def test_the_page_leads_to_what_is_to_be_labelled_next(guided, browser):
    page = label(guided, browser, video="g0.avi")
    told = r"^4 events in 2 recordings\. F1 of .* recordings: \d\.\d\d of 1, learnt from 2 of the 4"
    expect(page.locator("#learnt")).to_have_text(re.compile(told))
    expect(page.locator("#curve")).to_be_visible()
    assert findings(page) == []
    with page.expect_response(lambda response: "/api/video/frames" in response.url):
        page.click("#next")
    expect(page.locator("#where")).to_have_text(re.compile(r"^0:0\d\.000 to 0:0\d\.000\. "))
    shown = page.locator("#videos [aria-current] span").first
    first = shown.text_content()
    assert first in {f"g{number}.avi" for number in range(2, 6)}
    place = float(page.get_attribute("#axis", "aria-valuenow"))
    press(page, "l")  # left, from the start of the stretch
    for _ in range(10):
        press(page, "ArrowRight")
    press(page, "l")
    saved(page)
    table = guided.root / "lab" / "events.csv"
    (begun,) = (each for each in read_events(table) if each.media == first)
    assert begun.known == ((0, 0),)  # Until it is done, the event alone is known.
    press(page, ".")
    expect(shown).not_to_have_text(first)
    second = shown.text_content()
    page.click("#skip")
    expect(shown).not_to_have_text(second)
    saved(page)
    expect(page.locator("#learnt")).to_contain_text("5 events in 3 recordings")
    page.done()
    (found,) = (each for each in read_events(table) if each.media == first)
    (event,) = found.events
    assert (event.start_seconds, event.end_seconds) == (place, pytest.approx(place + 1))
    assert found.known == ((0.0, 6.0),)  # the stretch, which is the whole of it


def test_done_waits_for_what_has_begun_and_can_be_taken_back(guided, browser):
    page = label(guided, browser, video="g0.avi")
    expect(page.locator("#learnt")).to_contain_text("F1 of events")
    with page.expect_response(lambda response: "/api/video/frames" in response.url):
        page.click("#next")
    shown = page.locator("#videos [aria-current] span").first
    first = shown.text_content()
    press(page, "l", ".")
    expect(page.locator("#told")).to_contain_text("left has begun and not ended")
    press(page, "Control+z", ".")
    expect(shown).not_to_have_text(first)
    page.click("#back")
    expect(shown).to_have_text(first)
    saved(page)
    media = {each.media for each in read_events(guided.root / "lab" / "events.csv")}
    assert first not in media
    frame(page)
    press(page, ".")
    expect(page.locator("#back")).to_be_visible()
    answer_with(page, "west")
    page.get_by_role("button", name="Rename left").click()
    expect(page.locator("#classes b").first).to_have_text("west")
    expect(page.locator("#back")).to_be_hidden()  # What it would take back was read anew.
    page.done()


def test_a_stretch_that_is_not_shown_yet_is_not_done(guided, browser):
    page = label(guided, browser, video="g0.avi")
    expect(page.locator("#learnt")).to_contain_text("F1 of events")
    page.route("**/api/video/frames*", lambda _: None)  # No frame ever comes.
    page.route("**/api/video?*", lambda _: None)
    press(page, ".", ".", ".")
    saved(page)
    page.done()
    media = {each.media for each in read_events(guided.root / "lab" / "events.csv")}
    assert media == {"g0.avi", "g1.avi"}


def test_two_windows_have_the_classes_of_both(guided, browser):
    one, other = (label(guided, browser, video="g0.avi") for _ in range(2))
    add_class(one, "alpha", "a")
    add_class(other, "beta", "b")
    names = other.locator("#classes b")
    expect(names).to_have_text(["left", "right", "alpha", "beta"])
    add_class(one, "*", "x")
    expect(one.locator("#told")).to_contain_text("Choose another name")
    one.locator("#classes li").nth(2).locator("button").last.click()
    expect(one.locator("#classes b")).to_have_text(["left", "right", "beta"])
    for page in (one, other):
        page.done()


def test_checkboxes_and_buttons_are_pressed_by_keyboard(app, browser):
    page = label(app, browser)
    page.focus("#play")
    press(page, "Tab", "Tab", "Tab", "Tab", "Space")  # on to "Loop"
    expect(page.locator("#loop")).to_be_checked()
    expect(page.locator("#play")).to_have_text("Play")
    page.done()


def test_proposals_of_the_labels_so_far_are_renewed(guided, browser):
    page = label(guided, browser, video="g5.avi")
    expect(page.locator("#learnt")).to_contain_text("F1 of events")
    page.click("#ask")
    expect(page.locator("#proposed")).to_have_text(re.compile(r"^\d to decide$"))
    page.check("#done")  # Nothing happens in g5: the labels teach something else now.
    expect(page.locator("#learnt")).to_contain_text("4 events")
    with page.expect_response(lambda response: "/api/label/proposals" in response.url):
        pass
    page.done()


def test_more_like_this_leads_through_what_looks_alike(guided, browser):
    page = label(guided, browser, video="g0.avi")
    expect(page.locator("#learnt")).to_contain_text("F1 of events")
    press(page, "ArrowDown")
    page.click("#alike")
    expect(page.locator("#where")).to_contain_text(", alike")
    expect(page.locator("#videos [aria-current] span").first).not_to_have_text("g0.avi")
    page.done()


def test_a_recording_is_known_as_a_whole_or_in_part(guided, browser):
    page = label(guided, browser, video="g0.avi")

    def known():
        saved(page)
        recordings = read_events(guided.root / "lab" / "events.csv")
        return next(each.known for each in recordings if each.media == "g0.avi")

    expect(page.locator("#done")).to_be_checked()
    page.uncheck("#done")
    assert known() == ((0, 0),)  # Besides that the events happen, nothing.
    page.locator("#done").blur()
    press(page, "Control+z")
    expect(page.locator("#done")).to_be_checked()
    assert known() is None
    page.done()
    own = guided.root / "lab" / "events.csv"
    own.write_text("video,start_seconds,end_seconds,label\ng0.avi,0,1,*\ng0.avi,3,4.5,*\n")
    page = label(guided, browser, video="g0.avi")
    expect(page.locator("#done")).not_to_be_checked()
    page.check("#done")
    assert known() is None
    page.uncheck("#done")
    assert known() == ((0.0, 1.0), (3.0, 4.5))
    page.done()


def test_what_cannot_propose(proposing):
    status, answer = proposing.ask("/api/label/proposals", video="lab/a.avi", run="none")
    assert status == 422
    assert b"there is no such run" in answer
    status, _ = proposing.ask("/api/label/proposals", video="lab/a.avi", run="../runs/blobs")
    assert status == 422


def test_clips_get_a_label_each(app, browser, recordings):
    write_video(recordings / "c.avi", coded(10), fps=10, codec="FFV1")
    with opened(browser, f"{app.address}/clips?folder=lab") as page:
        expect(page.locator("#left")).to_have_text("3 to do")
        add_class(page, "walk", "w")
        add_class(page, "jump", "j")
        expect(page.locator("#play")).to_have_text("Pause")
        press(page, "w")
        expect(page.locator("#name")).to_have_text("b.avi")
        press(page, "j")
        expect(page.locator("#name")).to_have_text("c.avi")
        press(page, "w")
        expect(page.locator("#left")).to_have_text("all done")
        press(page, "Control+z")
        expect(page.locator("#left")).to_have_text("1 to do")
        saved(page)
        press(page, "ArrowLeft", "Delete", "w")
        saved(page)
        page.get_by_role("button", name="Take walk off the list").click()
        expect(page.locator("#told")).to_contain_text("walk is the label of 2 clips.")
        answer_with(page, "jump")
        page.get_by_role("button", name="Rename walk").click()
        expect(page.locator("#told")).to_have_text("There is a class jump already.")
        answer_with(page, "go")
        page.get_by_role("button", name="Rename walk").click()
        expect(page.locator("#videos li").nth(1)).to_have_text("b.avigo")
        expect(page.locator("#undo")).to_be_disabled()
        assert findings(page) == []
    assert sorted((recordings / "labels.csv").read_text().splitlines()) == [
        "a.avi,go",
        "b.avi,go",
        "path,label",
    ]


@pytest.mark.parametrize(
    "options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}]
)
def test_nobody_is_kept_out(app, browser, options):
    page = label(app, browser, **options)
    add_class(page, "walk", "w")
    press(page, "w", "ArrowRight", "w")
    saved(page)
    assert findings(page) == []
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0
    page.done()
    with opened(browser, app.address, **options) as home:
        assert findings(home) == []


def test_the_pages_are_light(app, browser):
    with opened(browser, f"{app.address}/label?folder=lab") as page:
        page.wait_for_selector("#picture[data-number='0']")
        weight = page.evaluate(
            """["navigation", "resource"]
                .flatMap((kind) => performance.getEntriesByType(kind))
                .filter((each) => !each.name.includes("/api/video"))
                .reduce((sum, each) => sum + each.decodedBodySize, 0)"""
        )
        assert 20_000 < weight < MOST_BYTES


def test_folders_are_listed_and_names_are_no_markup(start_app, browser, tmp_path):
    folder = tmp_path / "work" / "<img src=x onerror=alert(1)> & 'q'"
    folder.mkdir(parents=True)
    write_video(folder / '"><b>.avi', coded(3), fps=25, codec="FFV1")
    app = start_app(tmp_path / "work")
    with opened(browser, app.address) as page:
        page.get_by_role("link", name="Mark events in <img src=x").click()
        page.wait_for_selector("#picture[data-number='0']")
        expect(page.locator("#videos")).to_contain_text('"><b>.avi')
        assert page.locator("#videos b, main img").count() == 0


def answer_with(page, text):
    """What is typed where the page asks for something next."""
    page.once("dialog", lambda dialog: dialog.accept(text))


def test_a_class_is_renamed_wherever_it_stands(app, browser, recordings):
    rows = ["video;start_seconds;end_seconds;label;notes", "b;1;2;walk;x", "a.avi;0;1;*;"]
    (recordings / "events.csv").write_text("\n".join([*rows, "gone.avi;3;;walk;", ""]))
    page = label(app, browser)
    add_class(page, "sit", "s", point=True)
    press(page, "ArrowRight", "w")  # has begun
    page.get_by_role("button", name="Take walk off the list").click()
    expect(page.locator("#told")).to_have_text(
        "walk has 2 events in 2 recordings. Delete them, or rename the class."
    )
    for name, told in (("sit", "There is a class sit already"), ("*", "*"), (" ", "needs a name")):
        answer_with(page, name)
        page.get_by_role("button", name="Rename walk").click()
        expect(page.locator("#told")).to_contain_text(told)
    answer_with(page, " go  on ")
    page.get_by_role("button", name="Rename walk").click()
    expect(page.locator("#classes b")).to_have_text(["go on", "sit"])
    expect(page.locator("#told")).to_be_hidden()
    press(page, "ArrowRight", "w")  # Its key is still the same, and what has begun ends.
    saved(page)
    assert (recordings / "events.csv").read_text() == (
        "video;start_seconds;end_seconds;label;notes;subject\n"
        "b;1;2;go on;x;\ngone.avi;3;;go on;;\n"
        "a.avi;0.040;0.080;go on;;\na.avi;0.000;1.000;*;;\n"
    )
    page.get_by_role("button", name="Take sit off the list").click()
    expect(page.locator("#classes b")).to_have_text(["go on"])
    page.done()


def test_the_same_event_is_there_once(app, browser, recordings):
    page = label(app, browser)
    add_class(page, "peck", "p", point=True)
    add_class(page, "walk", "w")
    press(page, "p", "p")
    expect(page.locator("#count")).to_have_text("1")
    for _ in range(2):
        press(page, "Home", "w", "ArrowRight", "w")
    expect(page.locator("#count")).to_have_text("2")
    expect(page.locator("#classes [aria-pressed=true]")).to_have_count(0)
    press(page, "Home", "w", "End", "w")
    expect(page.locator("#count")).to_have_text("3")
    end = page.get_by_label("End in seconds of walk").last
    end.fill("0.04")
    end.press("Enter")
    expect(page.locator("#told")).to_contain_text("There is the same event already: walk at 0:00")
    expect(end).to_have_value("4.760")
    expect(page.locator("#events .chosen [data-field=end]")).to_have_value("0.040")
    saved(page)
    page.done()
    assert len((recordings / "events.csv").read_text().splitlines()) == 4


@contextlib.contextmanager
def refusal(page):
    """What the page sends inside is refused, and the page has read that when it ends."""
    with page.expect_response(lambda response: response.status == 409):
        yield
    page.evaluate("() => fetch('/api/label/folder?folder=lab').then((answer) => answer.text())")


def test_what_is_shown_as_saved_is_in_the_table(app, browser, recordings):
    one, other = two_windows(app, browser)
    expect(other.locator("#saved")).to_have_text("Not saved")
    with refusal(other):
        press(other, "Control+z")
    expect(other.locator("#count")).to_have_text("")
    expect(other.locator("#saved")).to_have_text("Not saved")
    answer_with(other, "bite")
    with refusal(other):
        other.get_by_role("button", name="Rename peck").click()  # Only what is saved is renamed.
    with refusal(other):
        press(other, "Control+Shift+z")

    def mark(route):
        press(other, "Home", "p")  # the same as theirs, while an answer is on its way
        route.continue_()

    other.route("**/api/label/events*", mark, times=1)
    other.click("#undo")  # No key may be held down while others are pressed.
    saved(other)
    expect(other.locator("#told")).to_be_hidden()
    assert (recordings / "events.csv").read_text().splitlines()[1:] == ["a.avi,0.000,,peck,,"]
    one.done()
    other.said.clear()
    other.done()
