"""The page on a run: whole, true, and in need of nothing else."""

import re
import shlex
import shutil

import numpy as np
import pytest

from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.page import _page
from pipeline.evaluation.report import MOST_MISTAKES
from pipeline.run import Run
from tests.evaluation.pages import Page


@pytest.fixture(scope="module")
def evaluated(hasty_run, tmp_path_factory):
    run = Run(shutil.copytree(hasty_run.folder, tmp_path_factory.mktemp("report") / "a <b>run"))
    result = evaluate(run)
    return run, result, Page((run.report / "index.html").read_text())


def test_the_page_needs_nothing_else(evaluated):
    run, _, page = evaluated
    assert page.open == []
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)
    style = re.search(r"<style>(.*?)</style>", (run.report / "index.html").read_text(), re.S)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "<script" not in (run.report / "index.html").read_text()


def test_the_page_says_what_was_found(evaluated):
    _run, result, page = evaluated
    assert "a <b>run" in page.text
    for value in (
        result["video"]["top1"],
        result["clip"]["top1"],
        result["macro"]["f1"],
        result["calibration"]["error_after"],
        *result["video"]["top1_interval95"],
        *(row["recall"] for row in result["per_class"].values()),
    ):
        assert f"{value:.3f}" in page.text
    assert "learning_rate = 0.01" in page.text
    assert "The ranges are 95 % intervals over 4 groups: videos of one group are alike" in page.text
    assert "16 test videos of 4 groups, 2 clips a video" in page.text
    assert "tensorflow" in page.text
    assert "64 videos of 16 groups" not in page.text
    assert "80 videos of 20 groups" in page.text, "the data report"


def test_pictures_are_those_beside_it(evaluated):
    run, result, page = evaluated
    names = {path.name for path in run.report.iterdir()}
    assert {
        f"test_{name}.png" for name in ("confusion", "per_class", "reliability", "lengths")
    } < names
    wrong = round(16 * (1 - result["video"]["top1"]))
    mistakes = sorted(name for name in names if "mistake" in name)
    assert mistakes == [f"test_mistake_{n}.jpg" for n in range(1, min(wrong, MOST_MISTAKES) + 1)]
    assert len(page.pictures) == 5 + len(mistakes)


def test_the_most_confident_mistakes_come_first(evaluated):
    _run, _result, page = evaluated
    shown = re.findall(r"(\w+), taken for (\w+) with probability ([\d.]+): (.*?avi)", page.text)
    assert shown
    probabilities = [float(each[2]) for each in shown]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(label != answer for label, answer, *_ in shown)
    assert all(video.startswith(f"{label}/") for label, _, _, video in shown)


def test_the_strip_shows_the_video_of_the_mistake(evaluated, blob_store):
    from pipeline.dataset.clip_batches import evaluation_clips
    from pipeline.figures import frame_strip
    from pipeline.video import decode_jpeg

    run, _, page = evaluated
    video = re.search(r"with probability [\d.]+: (.*?avi)", page.text)[1]
    (clip,) = (
        inputs
        for inputs, _, source in evaluation_clips(blob_store, run.config(), "test").unbatch()
        if source["video"].numpy().decode() == video
    )
    strip = decode_jpeg((run.report / "test_mistake_1.jpg").read_bytes()).astype(int)
    difference = strip - frame_strip(clip["frames"].numpy(), clip["mask"].numpy())
    assert np.abs(difference).mean() < 8


def test_another_split_has_a_page_of_its_own(evaluated):
    run, _, _ = evaluated
    before = (run.report / "index.html").read_bytes()
    evaluate(run, "val")
    assert (run.report / "index.html").read_bytes() == before
    page = Page((run.report / "val.html").read_text())
    assert "These videos chose the epoch and the calibration" in page.text
    assert "16 val videos" in page.text
    assert (run.report / "val.md").is_file()


def test_what_preparing_said_loads_nothing():
    """It came with the data set, whoever made that."""
    page = Page(_page("# A\n![x](http://a/b.png) [x](http://a) <http://a> <img src=http://a>"))
    assert page.addresses == page.pictures == []
    assert "![x](http://a/b.png)" in page.text


def test_a_run_without_mistakes(blob_run, tmp_path):
    run = Run(shutil.copytree(blob_run.folder, tmp_path / "run"))
    (tmp_path / "run" / "report" / "test_mistake_9.jpg").write_bytes(b"of an evaluation before")
    assert evaluate(run)["video"]["top1"] == 1
    page = Page((run.report / "index.html").read_text())
    assert "None: every answer is right." in page.text
    assert not list(run.report.glob("*mistake*"))


def test_the_model_card(evaluated):
    run, result, _ = evaluated
    card = (run.report / "report.md").read_text()
    assert card.startswith("# a \\<b\\>run\n")
    assert f"--run {shlex.quote(str(run.folder))}\n" in card
    assert f"| video | {result['video']['top1']:.3f} | " in card
    assert "| left | 8 | " in card
    assert "not calibrated, for there were no validation videos" in card
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (run.report / picture).is_file()


def test_leaks_and_a_table_of_videos(hasty_run, blob_store, tmp_path):
    """Of a table there is no data report; where there are leaks, that comes first."""
    import dataclasses

    from pipeline.evaluation.evaluate import summarise
    from pipeline.evaluation.predictions import predict
    from pipeline.evaluation.report import write_report
    from pipeline.models.recognizer import load_recognizer
    from pipeline.tasks.calibration import Calibration
    from pipeline.tasks.exclusive import Exclusive

    run = Run(shutil.copytree(hasty_run.folder, tmp_path / "run"))
    found = predict(load_recognizer(run.model_file), blob_store, run.config(), "test")
    result = summarise(found, run.class_names(), Calibration(), Exclusive()) | {
        "leaks": ["group 'a*n*n' is in train and test"],
        "lengths": [{"num_frames": 1, "top1": 0.5}],
        "order": {"in_order": 0.5, "shuffled": 0.5, "reversed": 0.5},
    }
    result["calibration"]["logit_threshold"] = 0.0
    result["unknown"] = {"num_videos": 7, "classes": ["r_u_n"], "auroc": 0.9, "rejected": 0.5}
    moved = shutil.copytree(blob_store.path, tmp_path / "store")
    (moved / "data_report.md").unlink()
    write_report(run, "test", result, found, dataclasses.replace(blob_store, path=moved))
    page = Page((run.report / "index.html").read_text())
    assert "have a highest logit of 0.00 or more and are answered" in page.text
    assert "AUROC of 0.900; 0.500 of them are answered" in page.text
    card = (run.report / "report.md").read_text()
    assert 'The answer is "unknown" where the highest logit is below 0.00.' in card
    assert 'gets an answer nonetheless, or "unknown"' in card
    assert r"does not know (r\_u\_n)" in card
    assert r"not to be believed:** group 'a\*n\*n' is in" in card
    assert "These figures are not to be believed: group 'a*n*n' is in train and test" in page.text
    assert "80 videos of 20 groups" not in page.text
