"""The page for labelling in a real browser, as a person uses it."""

import contextlib
import random
import re
import shutil
import subprocess
from urllib.parse import urlencode

import imageio_ffmpeg
import pytest
from playwright.sync_api import expect

from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.recordings import recording_labels
from pipeline.manifest.annotation import IGNORED_LABEL
from pipeline.prepare.preparation import prepare
from pipeline.sources.events.reading import read_events
from pipeline.video import write_video
from pipeline.video.seeking import mark_frames
from pipeline.web.label.classes import change_settings, read_settings
from tests.web.browser import HASTY, MOST_BYTES, NEEDS_CHROMIUM, findings
from tests.web.conftest import coded, write_events

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

PLAYED = f"""async () => {{
    const media = document.getElementById("media"), found = [];
    for (let count = 0; count < 12; count++) {{
        await new Promise((done) => media.requestVideoFrameCallback(done));
        const text = document.getElementById("clock").textContent;
        found.push([({LEVELS})(media), Number(text.split("frame ")[1])]);
    }}
    return found;
}}"""
"""Of some frames that the player shows: the numbers that they say, and that the page says."""

MOVES = [("ArrowRight", 1), ("ArrowLeft", -1), ("End", 150), ("Home", -150)]
TO_H264 = ["-c:v", "libx264", "-bf", "3", "-g", "40", "-pix_fmt", "yuv420p"]
OF_MANY_RATES = [  # of three frames, the second is shown twice as long
    *("-vf", "setpts='(floor(N/3)*4+mod(N,3)+gte(mod(N,3),2))/25/TB'"),
    *(*TO_H264, "-fps_mode", "vfr"),
]
"""With frames out of order at times that are not regular."""
FORMATS = {
    "variable.mkv": OF_MANY_RATES,
    "ffv1.avi": ["-c:v", "ffv1"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "2"],
    "b frames.mp4": TO_H264,
    "rotated.mov": TO_H264,
    "vp9.webm": ["-c:v", "libvpx-vp9", "-g", "50", "-b:v", "2M", "-pix_fmt", "yuv420p"],
}


def encode(source, target, options, of_source=()):
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *of_source, "-i", source]
    subprocess.run([*ffmpeg, *options, target], check=True)


@pytest.fixture
def label(app, lab, visit):
    """Opens the page at a recording and waits until that is read through."""

    def label(video="a.avi", *, app=app, folder=lab.name, **options):
        query = urlencode({"folder": folder, "video": video})
        page = visit(f"{app.address}/label?{query}", **options)
        page.wait_for_selector("#picture[data-number='0']")
        expect(page.locator("#waiting")).to_be_hidden()
        return page

    return label


def add_class(page, name, key, *, point=False):
    page.fill("#class-name", name)
    page.fill("#class-key", key)
    if point:
        page.check("#class-point")
    page.click("#add-class button")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def answer_with(page, text):
    """What is typed where the page asks for something next."""
    page.once("dialog", lambda dialog: dialog.accept(text))


def typed(cell, text):
    cell.fill(text)
    cell.press("Enter")


def something_is_saved(page):
    page.evaluate("document.getElementById('subject').dispatchEvent(new Event('change'))")


def frame(page):
    """The number of the frame that is shown, once it is drawn."""
    number = page.text_content("#clock").split("frame ")[1]
    page.wait_for_selector(f"#picture[data-number='{number}']")
    return int(number)


def saved(page):
    expect(page.locator("#saved")).to_have_text("Saved")


def lines_of(folder):
    """What the table of a folder says, line by line."""
    return (folder / "events.csv").read_text().splitlines()[1:]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if place else [])
        for place, name in enumerate(FORMATS)
    ],
)
def test_the_frame_of_a_time_is_the_one_of_the_reader(label, lab, tmp_path, name):
    write_video(tmp_path / "coded.avi", coded(150), fps=25, codec="FFV1")
    turned = ["-display_rotation", "180", "-noautorotate"] if name == "rotated.mov" else []
    encode(tmp_path / "coded.avi", lab / name, FORMATS[name], turned)
    times = [mark.seconds for mark in mark_frames(lab / name)]
    assert len(times) == 150
    page = label(name)
    add_class(page, "peck", "p", point=True)
    rng, at, expected = random.Random(0), 0, []
    for step in range(15):
        if step % 3 == 0:
            at = rng.randrange(150)
            box = page.locator("#axis").bounding_box()
            duration = float(page.get_attribute("#axis", "aria-valuemax"))
            page.mouse.click(box["x"] + 0.5 + times[at] / duration * box["width"], box["y"] + 5)
            at = frame(page)
        else:
            key, moved = MOVES[step % 4]
            press(page, key)
            at = min(max(0, at + moved), 149)
        assert frame(page) == at
        drawn = page.evaluate(NUMBER)
        if turned:  # by half a turn, which exchanges the halves
            drawn = 16 * (drawn % 16) + drawn // 16
        assert drawn == at
        if step % 5 == 0:
            press(page, "p")
            expected.append(round(times[at], 3))
    saved(page)
    (recording,) = read_events(lab / "events.csv")
    assert [event.start_seconds for event in recording.events] == sorted(set(expected))


def test_keys_begin_and_end_events_and_are_undone_and_redone_all_the_way(label, lab):
    page = label()
    count, undo, redo = (page.locator(each) for each in ("#count", "#undo", "#redo"))
    for name in ("eat", "walk"):  # After each, its key marks.
        press(page, ",")
        page.keyboard.type(name)
        press(page, "Enter")
    press(page, "e", "ArrowRight", "w", "e", "Shift+ArrowRight")
    add_class(page, "peck", "p", point=True)
    add_class(page, "<b>&", "b")
    press(page, "b", "p")
    expect(page.locator("#classes .mark[aria-pressed=true]")).to_have_count(2)
    press(page, "Shift+ArrowRight", "w", "ArrowLeft", "b")
    saved(page)
    lines = [
        *("a.avi,0.000,0.040,eat,,", "a.avi,0.040,2.040,walk,,"),
        *("a.avi,1.040,,peck,,", "a.avi,1.040,2.000,<b>&,,"),
    ]
    assert lines_of(lab) == lines
    press(page, *["Control+z"] * 7)  # Three have begun, and as many ended.
    expect(count).to_have_text("")
    expect(undo).to_be_disabled()
    press(page, *["Control+Shift+z"] * 7)
    expect(count).to_have_text("4")
    expect(redo).to_be_disabled()
    saved(page)
    assert lines_of(lab) == lines
    press(page, "Control+z", "ArrowUp", "Delete")
    expect(count).to_have_text("2")
    expect(redo).to_be_disabled()


def test_events_are_changed_where_they_are_drawn_and_in_their_list(label, lab):
    page = label()
    add_class(page, "walk", "w")
    add_class(page, "peck", "p", point=True)
    press(page, "Shift+ArrowRight", "w", "Shift+ArrowRight", "w")
    box = page.locator("#axis").bounding_box()
    duration = float(page.get_attribute("#axis", "aria-valuemax"))
    row = box["y"] + 66
    page.mouse.move(box["x"] + 2 / duration * box["width"], row)
    page.mouse.down()
    page.mouse.move(box["x"] + 3.01 / duration * box["width"], row, steps=4)
    page.mouse.up()
    end, notes = page.get_by_label("End in seconds of walk"), page.get_by_label("Notes of walk")
    expect(end).to_have_value("3.000")
    typed(end, "3,2")
    typed(notes, 'a, "b"')
    notes.fill("half typed")
    something_is_saved(page)
    expect(notes).to_have_value("half typed")
    notes.fill('a, "b"')
    typed(end, "0.5")
    expect(end).to_have_value("3.200")
    saved(page)
    assert lines_of(lab) == ['a.avi,1.000,3.200,walk,,"a, ""b"""']
    # The same event is there once.
    count, told, end = page.locator("#count"), page.locator("#told"), end.first
    end.blur()
    press(page, "Home", "p", "p", *["Home", "w", "ArrowRight", "w"] * 2)
    expect(count).to_have_text("3")
    expect(page.locator("#classes [aria-pressed=true]")).to_have_count(0)
    press(page, "Home", "w", "End", "w")
    expect(count).to_have_text("4")
    typed(page.get_by_label("End in seconds of walk").nth(1), "0.04")
    expect(told).to_contain_text("There is the same event already: walk at 0:00")
    expect(page.get_by_label("End in seconds of walk").nth(1)).to_have_value("4.760")
    expect(page.locator("#events .chosen [data-field=end]")).to_have_value("0.040")
    # A cell keeps its focus and what is selected.
    end.select_text()
    something_is_saved(page)
    page.keyboard.insert_text("4")
    page.keyboard.press("Enter")
    expect(end).to_have_value("4.000")
    typed(page.get_by_label("Start in seconds of walk").last, "0")
    expect(end).to_have_value("3.200")
    page.locator("#events .chip").last.click()  # Another one is chosen, and stays so.
    typed(end, "4")
    expect(end).to_have_value("3.200")  # What was refused is not shown.
    saved(page)
    assert [line.split(",")[1:4] for line in lines_of(lab)] == [
        *(["0.000", "", "peck"], ["0.000", "3.200", "walk"]),
        *(["0.000", "4.000", "walk"], ["0.000", "4.760", "walk"]),
    ]


def test_a_file_of_another_program_is_imported_and_exported(label, tmp_path):
    text = "video,start_seconds,end_seconds,label\na.avi,1,2,walk\nb.avi,3,,peck\n"
    (tmp_path / "old.csv").write_text(text)
    page = label()
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


@pytest.mark.parametrize("video", ["a.avi", "h264.mp4"])
def test_it_plays_and_rests_at_the_frame_that_was_shown(label, lab, video):
    is_media = video == "h264.mp4"
    if is_media:
        encode(lab / "a.avi", lab / video, TO_H264)
    page = label(video)
    page.select_option("#rate", "0.25" if is_media else "0.5")
    press(page, "Home", "Space")
    expect(page.locator("#screen.playing-media")).to_have_count(int(is_media))
    if is_media:  # While it plays, what the player shows is what the page takes for the frame.
        pairs = page.evaluate(PLAYED)
        assert all(abs(drawn - said) <= 1 for drawn, said in pairs)
        assert sum(drawn == said for drawn, said in pairs) >= 4
    expect(page.locator("#clock")).not_to_have_text(re.compile("frame [0-9]$"))
    press(page, "Space")
    at = frame(page)
    assert 9 < at < 119
    assert page.evaluate(NUMBER) == at
    page.select_option("#rate", "8")
    press(page, "Space")
    expect(page.locator("#play")).to_have_text("Play")
    assert frame(page) >= 118


@contextlib.contextmanager
def refusal(page):
    """What the page sends inside is refused, and the page has read that when it ends."""
    with page.expect_response(lambda response: response.status == 409) as refused:
        yield
    refused.value.finished()
    page.wait_for_timeout(200)


def test_two_windows_at_one_recording_are_told_and_what_is_shown_as_saved_is_there(label, lab):
    one, other = label(), label()
    count, told = other.locator("#count"), other.locator("#told")
    add_class(one, "alpha", "a")
    add_class(other, "peck", "p", point=True)
    expect(other.locator("#classes b")).to_have_text(["alpha", "peck"])
    add_class(one, "*", "x")
    expect(one.locator("#told")).to_contain_text("Choose another name")
    one.locator("#classes li").first.locator("button").last.click()
    expect(one.locator("#classes b")).to_have_text(["peck"])
    press(one, "p")
    saved(one)
    press(other, "ArrowRight", "p")
    expect(other.locator("#saved")).to_have_text("Not saved")
    expect(told).to_contain_text("were changed in another window")
    with refusal(other):
        press(other, "Control+z")
    expect(count).to_have_text("")
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
    expect(told).to_be_hidden()
    assert lines_of(lab) == ["a.avi,0.000,,peck,,"]
    press(one, "ArrowRight", "p")
    saved(one)
    with refusal(other):
        press(other, "End", "p")
    asked = []
    other.on("request", lambda request: asked.append(request.method))
    other.get_by_role("button", name="Take theirs").click()
    expect(count).to_have_text("2")
    other.wait_for_selector("#picture[data-number='0']")
    assert "PUT" not in asked
    press(other, "ArrowRight", "ArrowRight", "p")
    saved(other)
    press(one, "ArrowRight", "ArrowRight", "p")
    one.get_by_role("button", name="Keep mine").click()
    saved(one)
    assert [line.split(",")[1] for line in lines_of(lab)] == ["0.000", "0.040", "0.120"]
    for page in (one, other):
        page.said[:] = [each for each in page.said if "409 (Conflict)" not in each]


def test_a_server_that_is_gone_is_asked_now_and_then(label, start_app, coded_recordings, tmp_path):
    folder, asked = shutil.copytree(coded_recordings, tmp_path / "work"), []
    app = start_app(folder)
    page = label(app=app, folder="")
    told = page.locator("#told")
    add_class(page, "peck", "p", point=True)
    page.on("request", lambda request: asked.append(request.url))
    for path in ("**/api/video?*", "**/api/video/frames*"):
        page.route(path, lambda route: route.abort())
    page.select_option("#rate", "0.5")
    press(page, "Space")
    expect(told).to_contain_text("The server does not answer")
    press(page, "End", *["ArrowLeft"] * 40)
    page.wait_for_timeout(1000)
    assert len([url for url in asked if "/api/video" in url]) < 8
    page.unroute_all()
    expect(told).to_be_hidden()
    assert frame(page) == 79
    press(page, "Home", "p", "ArrowRight", "p")
    saved(page)
    app.process.kill()
    app.process.communicate()
    press(page, "ArrowRight", "p")
    expect(page.locator("#saved")).to_have_text("Not saved")
    expect(told).to_contain_text("The server does not answer")
    assert lines_of(folder) == ["a.avi,0.000,,peck,,", "a.avi,0.040,,peck,,"]
    page.close()
    page.said.clear()


LEARNT = {"recordings": 20, "described": 20, "events": 27, "labelled": 13, "curve": []}
LEARNT |= {"stretches": [], "failed": {}, "error": "", "lesson": 0}
LEARNT |= {"is_learning": False, "is_scoring": False}
"""What a page hears of a folder whose labels taught something."""


def propose(page, proposed):
    """Lets be proposed so many of start, end, class and probability."""
    fields = ("start", "end", "label", "probability")
    found = {"proposals": [dict(zip(fields, each, strict=False)) for each in proposed]}
    page.route("**/api/label/proposals*", lambda route: route.fulfill(json=found))


PROPOSED = [
    *((0, 3, "eat", 0.91, True), (1, 4, "walk", 0.55, True), (0, 3, "stand", 0.52, False)),
    *((4, 8, "stand", 0.71, True), (4, 6, "eat", 0.62, False), (6, 8, "walk", 0.95, False)),
    *((8.5, 9.5, "stand", 0.81, False), (8.5, 9.5, "eat", 0.59, False)),
    (8.5, 9.5, "walk", 0.53, False),
]
"""Start, end, class and probability of what is proposed, and whether it is so."""

TAUGHT = {  # in half seconds
    "background": "0000000000000000.11.",
    "eat": "111111..0000.....00.",
    "stand": "000000..11111111.00.",
    "walk": "..111111....0000.00.",
}


def test_a_decision_says_nothing_of_other_classes_and_other_times(label, lab, tmp_path):
    """What is decided is what the table says, and what is taught."""
    (lab / "b.avi").unlink()
    write_video(lab / "a.avi", coded(100), fps=10, codec="FFV1")
    page = label()
    about = page.locator("#proposed")
    propose(page, PROPOSED)
    page.click("#ask")
    expect(about).to_have_text("9 to decide")
    press(page, "?")
    for left in range(len(PROPOSED), 0, -1):
        expect(about).to_contain_text(f". {left} to decide")
        probability = float(about.text_content().split()[1].rstrip("."))
        (is_so,) = (each[4] for each in PROPOSED if each[3] == probability)
        press(page, "Enter" if is_so else "Delete")
    expect(about).to_contain_text("Nothing to decide. Where nothing else happens, tick")
    saved(page)
    assert sorted(lines_of(lab)) == sorted(
        f"a.avi,{start:.3f},{end:.3f},{kind if is_so else f'* {kind}'},,"
        for start, end, kind, _, is_so in PROPOSED
    )
    options = {"fps": 10, "size": 32, "workers": 1, "val_fraction": 0.0, "test_fraction": 0.0}
    table, out = str(lab / "events.csv"), str(tmp_path / "store")
    store = prepare(PrepareConfig(source="events", path=table, out=out, **options)).store
    (found,) = recording_labels(store, store.clips)
    signs = {0: "0", 1: "1", IGNORED_LABEL: "."}
    taught = ["".join(signs[each] for each in column) for column in found[2::5].T.tolist()]
    assert dict(zip(store.class_names, taught, strict=True)) == TAUGHT


def test_proposals_are_not_renewed_under_the_hand_of_who_decides(label):
    """They wait until nothing is chosen, also where they were asked for before."""
    page, held = label(script=HASTY), []
    about = page.locator("#proposed")
    propose(page, PROPOSED)
    page.click("#ask")
    expect(about).to_have_text("9 to decide")
    page.route("**/api/label/proposals*", lambda route: held.append(route))
    with page.expect_request("**/api/label/proposals*"):
        page.route(
            "**/api/label/learnt*", lambda route: route.fulfill(json={**LEARNT, "lesson": 9})
        )
    press(page, "?")
    expect(about).to_contain_text(". 9 to decide")
    page.unroute("**/api/label/proposals*")
    propose(page, [])
    with page.expect_response("**/api/label/proposals*"):
        held.pop().fulfill(json={"proposals": []})
    press(page, "Delete")
    expect(about).to_contain_text(". 8 to decide")
    with page.expect_response("**/api/label/proposals*"):
        press(page, "Escape")
    expect(about).to_contain_text("Nothing to decide")


def test_decisions_are_taken_back_and_done_again(label, lab):
    page = label("b.avi")
    about, told = page.locator("#proposed"), page.locator("#told")
    propose(page, [(1, 3, "eat", 0.9), (1, 3, "stand", 0.6), (2, 5, "walk", 0.8)])
    page.click("#ask")
    for text in ("2", "", "80", "x"):
        page.fill("#above", text)
        page.click("#accept-all")
        expect(told).to_contain_text("a probability from 0 to 1")
    page.fill("#above", "0,8")
    page.click("#accept-all")
    expect(about).to_have_text("1 to decide")
    expect(told).to_be_hidden()
    expect(page.locator("#classes b")).to_have_text(["eat", "walk"])
    saved(page)
    assert lines_of(lab) == [
        *("b.avi,1.000,3.000,eat,,", "b.avi,2.000,5.000,walk,,", "b.avi,0.000,0.000,*,,")
    ]
    page.click("#unsure")
    expect(about).to_contain_text("stand 0.60. 1 to decide")
    assert findings(page) == []
    press(page, "Delete")
    expect(about).to_contain_text("Nothing to decide")
    expect(page.locator("#decide")).to_be_hidden()
    saved(page)
    decided = lines_of(lab)
    press(page, "Control+z", "Control+z")
    expect(about).to_have_text("3 to decide")
    saved(page)
    assert lines_of(lab) == []
    assert read_settings(lab).rejected == {}
    press(page, "Control+Shift+z", "Control+Shift+z")
    saved(page)
    assert lines_of(lab) == decided
    page.reload()
    page.wait_for_selector("#picture[data-number='0']")
    page.click("#ask")
    expect(about).to_contain_text("Nothing to decide")  # What was rejected stays so.


def test_what_an_earlier_version_took_to_be_watched_is_told(label, lab):
    table = lab / "events.csv"
    spoilt = (
        "video,start_seconds,end_seconds,label,subject,notes\n"
        "a.avi,0.000,2.000,eat,,\na.avi,0.000,3.000,*,,\nb.avi,1.000,2.000,walk,,\n"
        "b.avi,0.500,4.000,*,,\n"
    )
    table.write_text(spoilt)
    change_settings(lab, {"rejected": {"a.avi": [{"start": 2, "end": 3, "label": "walk"}]}})
    page, told = label(), "every class: a.avi 0:00.000 to 0:03.000? They are exactly"
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
    table.write_text(spoilt)
    page.reload()
    page.get_by_role("button", name="I did, keep").click()
    page.reload()
    page.wait_for_selector("#picture[data-number='0']")
    expect(page.locator("#told")).to_be_hidden()
    assert table.read_text() == spoilt


def test_what_labels_are_worth_is_told_or_what_is_missing(app, lab, visit):
    page, found = visit(app.address, script=HASTY), LEARNT
    page.route("**/api/label/learnt*", lambda route: route.fulfill(json=found))
    page.goto(f"{app.address}/label?folder={lab.name}")
    for changes, told in (
        ({"labelled": 1}, "27 events in 1 recording. Label a second recording to see"),
        ({"described": 1}, "recordings: 1 of 20. 27 events in 13 recordings. Learning."),
        ({}, "27 events in 13 recordings. Watch two recordings, as a whole or in part"),
        ({"curve": [{"events": 13.4, "f1_50": 0.5}] * 4}, "0.50 of 1, learnt from 13 of the 27 at"),
    ):
        found = {**LEARNT, **changes}
        expect(page.locator("#learnt")).to_contain_text(told)


@pytest.fixture
def guided(label, lab, moving):
    """The page at one of six recordings of things that move, of which two are labelled."""
    shutil.rmtree(lab)
    shutil.copytree(moving[0], lab)
    write_events(lab, moving, 2)

    def guided(video):
        page = label(video, script=HASTY)
        expect(page.locator("#learnt")).to_contain_text("F1 of events")
        return page

    return guided


def in_table(folder, media):
    """What is known of a recording; None: it is not listed."""
    found = read_events(folder / "events.csv")
    return next((each for each in found if each.media == media), None)


def test_the_page_leads_to_what_is_to_be_labelled_next(guided, lab):
    page = guided("g0.avi")
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
    press(page, *["ArrowRight"] * 10, "l")
    saved(page)
    assert in_table(lab, first).known == ((0, 0),)  # Until it is done, the event alone is known.
    press(page, ".")
    expect(shown).not_to_have_text(first)
    second = shown.text_content()
    page.click("#skip")
    expect(shown).not_to_have_text(second)
    saved(page)
    expect(page.locator("#learnt")).to_contain_text("5 events in 3 recordings")
    found = in_table(lab, first)
    (event,) = found.events
    assert (event.start_seconds, event.end_seconds) == (place, pytest.approx(place + 1))
    assert found.known == ((0.0, 6.0),)  # the stretch, which is the whole of it
    page.get_by_role("button", name="g0.avi").click()
    expect(shown).to_have_text("g0.avi")
    press(page, "ArrowDown")
    page.click("#alike")
    expect(page.locator("#where")).to_contain_text(", alike")
    expect(shown).not_to_have_text("g0.avi")


def test_done_waits_for_what_is_not_shown_yet_or_has_begun_and_can_be_taken_back(guided, lab):
    page = guided("g0.avi")
    for path in ("**/api/video/frames*", "**/api/video?*"):
        page.route(path, lambda _: None)  # No frame comes.
    press(page, ".", ".", ".")
    saved(page)
    shown = page.locator("#videos [aria-current] span").first
    expect(shown).not_to_have_text("g0.avi")
    first = shown.text_content()
    assert {each.media for each in read_events(lab / "events.csv")} == {"g0.avi", "g1.avi"}
    with page.expect_response(lambda response: "/api/video/frames" in response.url):
        page.unroute_all()
    press(page, "l", ".")
    expect(page.locator("#told")).to_contain_text("left has begun and not ended")
    press(page, "Control+z", ".")
    expect(shown).not_to_have_text(first)
    page.click("#back")
    expect(shown).to_have_text(first)
    saved(page)
    assert in_table(lab, first) is None
    frame(page)
    press(page, ".")
    expect(page.locator("#back")).to_be_visible()
    answer_with(page, "west")
    page.get_by_role("button", name="Rename left").click()
    expect(page.locator("#classes b").first).to_have_text("west")
    expect(page.locator("#back")).to_be_hidden()  # What it would take back was read anew.


def test_proposals_of_the_labels_so_far_are_renewed(guided):
    page = guided("g5.avi")
    page.click("#ask")
    expect(page.locator("#proposed")).to_have_text(re.compile(r"^\d to decide$"))
    page.check("#done")  # Nothing happens in g5: the labels teach something else now.
    expect(page.locator("#learnt")).to_contain_text("4 events")
    with page.expect_response(lambda response: "/api/label/proposals" in response.url):
        pass


def test_a_recording_is_known_as_a_whole_or_in_part(label, lab):
    head = "video,start_seconds,end_seconds,label\n"
    (lab / "events.csv").write_text(f"{head}a.avi,1,2,walk\n")
    page = label()

    def known():
        saved(page)
        return in_table(lab, "a.avi").known

    expect(page.locator("#done")).to_be_checked()
    page.uncheck("#done")
    assert known() == ((0, 0),)  # Besides that the events happen, nothing.
    page.locator("#done").blur()
    press(page, "Control+z")
    expect(page.locator("#done")).to_be_checked()
    assert known() is None
    (lab / "events.csv").write_text(f"{head}a.avi,0,1,*\na.avi,3,4.5,*\n")
    page.reload()
    page.wait_for_selector("#picture[data-number='0']")
    expect(page.locator("#done")).not_to_be_checked()
    page.check("#done")
    assert known() is None
    page.uncheck("#done")
    assert known() == ((0.0, 1.0), (3.0, 4.5))
    (lab / "events.csv").write_text("a,b\n1,2\n")
    page.reload()
    expect(page.locator("#told")).to_contain_text("expected the columns video, start_seconds")
    page.said.clear()


def test_clips_get_a_label_each(app, lab, visit):
    write_video(lab / "c.avi", coded(10), fps=10, codec="FFV1")
    page = visit(f"{app.address}/clips?folder={lab.name}")
    name, left, told = (page.locator(each) for each in ("#name", "#left", "#told"))
    expect(left).to_have_text("3 to do")
    held = []
    page.route("**/api/label/settings*", lambda route: held.append(route))
    add_class(page, "walk", "w")
    add_class(page, "jump", "j")
    expect(page.locator("#play")).to_have_text("Pause")
    press(page, "w")
    expect(name).to_have_text("b.avi")
    press(page, "j")  # A class marks before it is saved.
    expect(name).to_have_text("c.avi")
    assert len(held) == 1  # The second is sent after the answer to the first.
    page.unroute("**/api/label/settings*")
    press(page, "w")
    expect(left).to_have_text("all done")
    press(page, "Control+z")
    expect(left).to_have_text("1 to do")
    saved(page)
    press(page, "ArrowLeft", "Delete", "w")
    saved(page)
    page.get_by_role("button", name="Take walk off the list").click()
    expect(told).to_contain_text("walk is the label of 2 clips.")
    for given in ("jump", "go"):
        answer_with(page, given)
        page.get_by_role("button", name="Rename walk").click()
        if given == "jump":
            expect(told).to_have_text("There is a class jump already.")
    expect(page.locator("#videos li").nth(1)).to_have_text("b.avigo")
    expect(page.locator("#undo")).to_be_disabled()
    assert findings(page) == []
    lines = (lab / "labels.csv").read_text().splitlines()
    assert sorted(lines) == ["a.avi,go", "b.avi,go", "path,label"]


@pytest.mark.parametrize(
    "options", [{}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}]
)
def test_nobody_is_kept_out(app, label, visit, options):
    page = label(**options)
    weight = page.evaluate(
        """["navigation", "resource"]
            .flatMap((kind) => performance.getEntriesByType(kind))
            .filter((each) => !each.name.includes("/api/video"))
            .reduce((sum, each) => sum + each.decodedBodySize, 0)"""
    )
    assert 20_000 < weight < MOST_BYTES
    page.focus("#play")
    press(page, "Tab", "Tab", "Tab", "Tab", "Space")  # on to "Loop"
    expect(page.locator("#loop")).to_be_checked()
    expect(page.locator("#play")).to_have_text("Play")
    add_class(page, "walk", "w")
    press(page, "w", "ArrowRight", "w")
    saved(page)
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert findings(visit(app.address, **options)) == []


def test_folders_are_listed_and_names_are_no_markup(app, visit):
    folder = app.root / "<img src=x onerror=alert(1)> & 'q'"
    folder.mkdir()
    write_video(folder / '"><b>.avi', coded(3), fps=25, codec="FFV1")
    page = visit(app.address)
    expect(page.locator(".card", has_text="<img src=x")).to_contain_text("1 video")
    page.get_by_role("link", name="Mark events in <img src=x").click()
    page.wait_for_selector("#picture[data-number='0']")
    expect(page.locator("#videos")).to_contain_text('"><b>.avi')
    assert page.locator("#videos b, main img").count() == 0


def test_a_class_is_renamed_wherever_it_stands(label, lab):
    rows = ["video;start_seconds;end_seconds;label;notes", "b;1;2;walk;x", "a.avi;0;1;*;"]
    (lab / "events.csv").write_text("\n".join([*rows, "gone.avi;3;;walk;", ""]))
    page = label()
    told, names = page.locator("#told"), page.locator("#classes b")
    add_class(page, "sit", "s", point=True)
    press(page, "ArrowRight", "w")  # has begun
    page.get_by_role("button", name="Take walk off the list").click()
    expect(told).to_contain_text("walk has 2 events in 2 recordings. Delete them, or rename")
    for name, why in (("sit", "There is a class sit already"), ("*", "*"), (" ", "needs a name")):
        answer_with(page, name)
        page.get_by_role("button", name="Rename walk").click()
        expect(told).to_contain_text(why)
    answer_with(page, " go  on ")
    page.get_by_role("button", name="Rename walk").click()
    expect(names).to_have_text(["go on", "sit"])
    expect(told).to_be_hidden()
    press(page, "ArrowRight", "w")  # Its key is still the same, and what has begun ends.
    saved(page)
    assert (lab / "events.csv").read_text() == (
        "video;start_seconds;end_seconds;label;notes;subject\n"
        "b;1;2;go on;x;\ngone.avi;3;;go on;;\n"
        "a.avi;0.040;0.080;go on;;\na.avi;0.000;1.000;*;;\n"
    )
    page.get_by_role("button", name="Take sit off the list").click()
    expect(names).to_have_text(["go on"])
