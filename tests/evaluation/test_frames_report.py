"""The page on a run that answers at every frame: whole, true, and in need of nothing else."""

import re

import numpy as np
import pytest

from pipeline.evaluation.frame_scores import score_recordings
from pipeline.evaluation.frames_report import MOST_MISTAKES, write_frames_report
from pipeline.evaluation.mistakes import longest_mistakes
from pipeline.video import encode_jpeg
from tests.evaluation.made_up import made_up, made_up_run
from tests.evaluation.pages import Page
from tests.evaluation.recordings import at_once, exclusive, recording

NAMES = ["walk", "a <b>$m$", "background"]
PICTURE = encode_jpeg(np.full((8, 64, 3), 90, np.uint8), quality=80)


def report(folder, recordings, *, background="", split="test", exclusive=True, leaks=()):
    """The run, what was found, the page, its text, and what pictures were asked for."""
    run = made_up_run(folder, NAMES)
    (run.report / f"{split}_mistake_9.jpg").write_bytes(b"of an evaluation before")
    result = score_recordings(recordings, NAMES, background=background, exclusive=exclusive)
    if leaks:
        result["leaks"] = leaks
    asked = []

    def strip(*span):
        asked.append(span)
        return PICTURE if len(asked) % 2 else None

    write_frames_report(run, split, result, recordings, NAMES, data=folder, strip=strip)
    text = (run.report / ("index.html" if split == "test" else f"{split}.html")).read_text()
    return run, result, Page(text), text, asked


RECORDINGS = [
    made_up(number, 3, seconds=60, exclusive=True, unknown=number == 1) for number in range(4)
]


@pytest.fixture(scope="module")
def of_one_class(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames") / "a <b>run"
    return report(folder, RECORDINGS, background="background")


def test_the_page_needs_nothing_else(of_one_class):
    _, _, page, text, _ = of_one_class
    assert page.open == []
    links = [address for address in page.addresses if not address.startswith("data:")]
    assert links
    assert all(re.fullmatch(r"#recording-[0-3]", link) for link in links)
    assert all(f'id="{link[1:]}"' in text for link in links)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert not re.search(r"https?:|fetch|import|XMLHttp", script)
    assert "{{" not in script


def test_the_page_says_what_was_found(of_one_class):
    _, result, page, _, _ = of_one_class
    frames, segments, bouts = result["frames"], result["segments"], result["bouts"]
    for value in (
        frames["accuracy"],
        *frames["accuracy_interval95"],
        frames["macro_f1"],
        frames["macro_f1_without_background"],
        frames["mean_average_precision"],
        frames["mean_average_precision_without_background"],
        frames["kappa"],
        frames["chance"],
        *(segments[f"f1_{at}"] for at in (10, 25, 50)),
        *(segments["with_background"][f"f1_{at}"] for at in (10, 25, 50)),
        *(row["f1_50"] for row in segments["f1_50_by_recording"]),
        *(row["average_precision"] for row in frames["per_class"].values()),
    ):
        assert f"{value:.3f}" in page.text
    assert f"{segments['edit']:.1f}" in page.text
    correlation = bouts["agreement"]["walk"]["total_seconds"]["correlation"]
    assert f"{correlation:.2f}" in page.text
    total = sum(row["classes"]["walk"]["machine"]["total_seconds"] for row in bouts["recordings"])
    assert f"{total:.1f}" in page.text
    unknown = frames["num_unknown_frames"]
    assert unknown
    assert f"4 test recordings of 4 groups, {frames['num_frames']:,} frames in" in page.text
    assert f"Of {unknown} more frames nothing is known" in page.text
    assert "a <b>run" in page.text
    assert "data <b>" in page.text


def test_a_ribbon_for_each_recording(of_one_class):
    _, _, page, text, _ = of_one_class
    assert text.count('class="ribbon"') == len(RECORDINGS)
    assert all(each.name in page.text for each in RECORDINGS)
    assert re.search(r"walk, human: 0:\d\d\.\d to 0:\d\d\.\d", page.text)
    assert re.search(r"a <b>\$m\$, machine: 0:\d\d\.\d to ", page.text)
    assert 'viewBox="0 0 60.0 20"' in text


def test_mistakes_with_their_pictures(of_one_class):
    run, _, page, text, asked = of_one_class
    mistakes = longest_mistakes(RECORDINGS, NAMES, exclusive=True, most=MOST_MISTAKES)
    assert asked == [(each.recording, each.first_frame, each.last_frame) for each in mistakes]
    names = {path.name for path in run.report.iterdir()}
    assert {name for name in names if "mistake" in name} == {
        f"test_mistake_{number}.jpg" for number in range(1, len(asked) + 1, 2)
    }
    assert page.pictures.count("Frames of the mistake") == (len(asked) + 1) // 2
    longest = mistakes[0]
    assert f"Human: {longest.human[0]}. Machine: {longest.machine[0][0][0]}" in page.text
    assert f'data-from="{longest.start_seconds}" data-to="{longest.end_seconds}"' in text


def test_pictures_are_those_of_the_task(of_one_class, tmp_path):
    run, _, page, _, _ = of_one_class
    assert "Confusion matrix" in page.pictures
    names = ("confusion", "per_class", "precision_recall")
    assert all((run.report / f"test_{name}.png").is_file() for name in names)
    several = [made_up(number, 3, seconds=60) for number in range(3)]
    run, result, page, text, _ = report(tmp_path / "several", several, exclusive=False)
    assert "Confusion matrix" not in page.pictures
    assert "of the frames have all classes right" in page.text
    assert f"{result['frames']['mean_average_precision']:.3f}mean average" in page.text
    assert "without " not in page.text.split("Which classes")[0]
    assert 'viewBox="0 0 60.0 30"' in text


def test_the_model_card(of_one_class):
    run, result, _, _, _ = of_one_class
    card = (run.report / "report.md").read_text()
    assert card.startswith("# a \\<b\\>run\n")
    low, high = result["frames"]["accuracy_interval95"]
    accuracy = f"{result['frames']['accuracy']:.3f}"
    line = f"| accuracy by frame | {accuracy} (95 % interval over groups {low:.3f} to {high:.3f}) |"
    assert line in card
    assert "| a \\<b\\>\\$m\\$ | " in card
    assert "--timeline --run" in card


def test_nothing_was_marked(tmp_path):
    empty = recording(*(at_once("....", "....", "....") for _ in range(2)))
    _, _, page, _, _ = report(tmp_path / "run", [empty], exclusive=False)
    assert "–mean average precision" in page.text
    assert "no events" in page.text
    assert "The human marked 0 segments" in page.text


def test_few_groups_leaks_and_another_split(tmp_path):
    run, _, page, text, asked = report(
        tmp_path / "run",
        [exclusive("abab", "abab", name="x <i>.mp4")],
        split="val",
        leaks=["group 'a' is in train and val"],
    )
    assert asked == []
    assert "None: every frame is right." in page.text
    assert "There is no interval: that takes 3 groups or more." in page.text
    assert "These figures are not to be believed: group 'a' is in train and val" in page.text
    assert "These videos chose the epoch and the calibration" in page.text
    assert "x <i>.mp4" in page.text
    assert "x <i>" not in text
    assert not list(run.report.glob("*mistake*"))
    assert "without" not in page.text.split("Which classes")[0]
    assert "**These figures are not to be believed:**" in (run.report / "val.md").read_text()
