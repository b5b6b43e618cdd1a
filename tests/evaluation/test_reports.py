"""The pages on runs: whole, true, and in need of nothing else."""

import dataclasses
import html.parser
import json
import re
import shlex
import shutil

import matplotlib.image
import numpy as np
import pytest

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.evaluation import plots
from pipeline.evaluation.evaluate import summarise
from pipeline.evaluation.frame_scores import score_recordings
from pipeline.evaluation.frames_report import MOST_MISTAKES, write_frames_report
from pipeline.evaluation.mistakes import longest_mistakes
from pipeline.evaluation.page import _page
from pipeline.evaluation.predictions import predict
from pipeline.evaluation.report import MOST_MISTAKES as MOST_OF_VIDEOS
from pipeline.evaluation.report import write_report
from pipeline.figures import frame_strip
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.exclusive import Exclusive
from pipeline.video import decode_jpeg, encode_jpeg
from tests.evaluation.conftest import copy_of
from tests.evaluation.recordings import at_once, exclusive, recording

VOID = ("meta", "link", "img", "br")


class Page(html.parser.HTMLParser):
    """The text of a page, its pictures, all addresses that it names, and what it is written in."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.text, self.pictures, self.addresses, self.open = "", [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(attributes["alt"])
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page_of(run, name="index"):
    return Page((run.report / f"{name}.html").read_text())


def expect_in_need_of_nothing(page):
    """Gives the addresses besides those of pictures that it holds."""
    assert page.open == []
    assert page.addresses
    style = re.search(r"<style>(.*?)</style>", page.source, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    return [address for address in page.addresses if not address.startswith("data:")]


# On one label a video.


def test_the_page_of_videos_is_whole_and_says_what_was_found(evaluated):
    page, result = page_of(evaluated), evaluated.metrics()["test"]
    assert expect_in_need_of_nothing(page) == []
    assert "<script" not in page.source
    for value in (
        *(result["video"]["top1"], *result["video"]["top1_interval95"], result["clip"]["top1"]),
        *(result["macro"]["f1"], result["calibration"]["error_after"]),
        *(row["recall"] for row in result["per_class"].values()),
    ):
        assert f"{value:.3f}" in page.text
    for text in (
        *("a <b>run", "learning_rate = 0.01", "tensorflow"),
        "The ranges are 95 % intervals over 4 groups: videos of one group are alike",
        "16 test videos of 4 groups, 2 clips a video",
        "80 videos of 20 groups",  # of the data report
    ):
        assert text in page.text
    assert "64 videos of 16 groups" not in page.text
    # Another split has a page of its own.
    page = page_of(evaluated, "val")
    assert "These videos chose the epoch and the calibration" in page.text
    assert "16 val videos" in page.text
    assert (evaluated.report / "val.md").is_file()


def test_pictures_are_those_beside_the_page(evaluated):
    names = {path.name for path in evaluated.report.iterdir()}
    drawn = ("confusion", "per_class", "reliability", "lengths")
    assert {f"test_{name}.png" for name in drawn} < names
    wrong = round(16 * (1 - evaluated.metrics()["test"]["video"]["top1"]))
    mistakes = sorted(name for name in names if name.startswith("test_mistake"))
    assert mistakes == [f"test_mistake_{n}.jpg" for n in range(1, min(wrong, MOST_OF_VIDEOS) + 1)]
    assert len(page_of(evaluated).pictures) == 5 + len(mistakes)


def test_the_most_confident_mistakes_come_first_with_the_frames_of_their_clips(
    evaluated, blob_store
):
    text = page_of(evaluated).text
    shown = re.findall(r"(\w+), taken for (\w+) with probability ([\d.]+): (.*?avi)", text)
    assert shown
    probabilities = [float(each[2]) for each in shown]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(label != answer for label, answer, *_ in shown)
    assert all(video.startswith(f"{label}/") for label, _, _, video in shown)
    clips = evaluation_clips(blob_store, evaluated.config(), "test").unbatch()
    (clip,) = (
        inputs for inputs, _, source in clips if source["video"].numpy().decode() == shown[0][3]
    )
    strip = decode_jpeg((evaluated.report / "test_mistake_1.jpg").read_bytes()).astype(int)
    difference = strip - frame_strip(clip["frames"].numpy(), clip["mask"].numpy())
    assert np.abs(difference).mean() < 8


def test_what_preparing_said_loads_nothing():
    """It came with the data set, whoever made that."""
    page = Page(_page("# A\n![x](http://a/b.png) [x](http://a) <http://a> <img src=http://a>"))
    assert page.addresses == page.pictures == []
    assert "![x](http://a/b.png)" in page.text


def test_a_run_without_mistakes(evaluated_right):
    assert evaluated_right.metrics()["test"]["video"]["top1"] == 1
    assert "None: every answer is right." in page_of(evaluated_right).text
    assert not list(evaluated_right.report.glob("*mistake*"))


def test_the_model_card_of_videos(evaluated):
    card = (evaluated.report / "report.md").read_text()
    assert card.startswith("# a \\<b\\>run\n")
    assert f"--run {shlex.quote(str(evaluated.folder))}\n" in card
    assert f"| video | {evaluated.metrics()['test']['video']['top1']:.3f} | " in card
    assert "| left | 8 | " in card
    assert "not calibrated, for there were no validation videos" in card
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (evaluated.report / picture).is_file()


def test_leaks_and_a_table_of_videos(hasty_run, blob_store, tmp_path):
    """Of a table there is no data report; where there are leaks, that comes first."""
    run = copy_of(hasty_run, tmp_path / "run")
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
    page, card = page_of(run), (run.report / "report.md").read_text()
    for text in (
        "have a highest logit of 0.00 or more and are answered",
        "AUROC of 0.900; 0.500 of them are answered",
        "These figures are not to be believed: group 'a*n*n' is in train and test",
    ):
        assert text in page.text
    for text in (
        'The answer is "unknown" where the highest logit is below 0.00.',
        'gets an answer nonetheless, or "unknown"',
        r"does not know (r\_u\_n)",
        r"not to be believed:** group 'a\*n\*n' is in",
    ):
        assert text in card
    assert "80 videos of 20 groups" not in page.text


# On an answer at every frame.

NAMES = ["walk", "a <b>$m$", "background"]
PICTURE = encode_jpeg(np.full((8, 64, 3), 90, np.uint8), quality=80)


def report(folder, recordings, *, background="", split="test", exclusive=True, leaks=()):
    """A run without a model, what was found, its page, and what pictures were asked for."""
    run = Run(folder)
    run.report.mkdir(parents=True)
    save_config(RunConfig(data="data <b>", frames=FramesConfig(size=32, fps=5)), run.config_file)
    run.class_names_file.write_text(json.dumps(NAMES))
    environment = {"clipline": "1", "python": "3", "packages": {"numpy": "2"}, "gpus": []}
    environment |= {"platform": "Linux", "cpu_cores": 2, "command": ["train.py", "--seed", "1"]}
    run.environment_file.write_text(json.dumps(environment))
    (run.report / f"{split}_mistake_9.jpg").write_bytes(b"of an evaluation before")
    result = score_recordings(recordings, NAMES, background=background, exclusive=exclusive)
    if leaks:
        result["leaks"] = leaks
    asked = []

    def strip(*span):
        asked.append(span)
        return PICTURE if len(asked) % 2 else None

    write_frames_report(run, split, result, recordings, NAMES, data=folder, strip=strip)
    return run, result, page_of(run, "index" if split == "test" else split), asked


RECORDINGS = [
    exclusive(human, machine, name=f"camera/pen {number}.mp4", group=f"{number}", fps=0.5)
    for number, (human, machine) in enumerate(
        [
            ("caaaaacccbbbbbbbbcccccaaaacccc", "ccaaaaaccbbbbcbbbcccccaaabcccc"),
            ("ccccaaaaaaaac??????bbbccccccca", "ccccaaabaaaaccaaabbbbbccccccaa"),
            ("bbbbbccccccccccccccaaacccccccc", "bbbbbccccaacccccccccaaaccccccc"),
            ("cccccaaacccccccaaaacccccbbcccc", "cccccaaacccccccbbbbcccccbbcccc"),
        ]
    )
]


@pytest.fixture(scope="module")
def of_one_class(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames") / "a <b>run"
    return report(folder, RECORDINGS, background="background")


def test_the_page_of_frames_needs_nothing_else(of_one_class):
    _, _, page, _ = of_one_class
    links = expect_in_need_of_nothing(page)
    assert links
    assert all(re.fullmatch(r"#recording-[0-3]", link) for link in links)
    assert all(f'id="{link[1:]}"' in page.source for link in links)
    (script,) = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    assert not re.search(r"https?:|fetch|import|XMLHttp", script)
    assert "{{" not in script


def test_the_page_of_frames_says_what_was_found(of_one_class):
    _, result, page, _ = of_one_class
    frames, segments, bouts = result["frames"], result["segments"], result["bouts"]
    means = ("macro_f1", "mean_average_precision")
    for value in (
        *(frames[key] for key in ("accuracy", "kappa", "chance", *means)),
        *(frames[f"{key}_without_background"] for key in means),
        *frames["accuracy_interval95"],
        *(segments[f"f1_{at}"] for at in (10, 25, 50)),
        *(segments["with_background"][f"f1_{at}"] for at in (10, 25, 50)),
        *(row["f1_50"] for row in segments["f1_50_by_recording"]),
        *(row["average_precision"] for row in frames["per_class"].values()),
    ):
        assert f"{value:.3f}" in page.text
    correlation = bouts["agreement"]["walk"]["total_seconds"]["correlation"]
    total = sum(row["classes"]["walk"]["machine"]["total_seconds"] for row in bouts["recordings"])
    unknown = frames["num_unknown_frames"]
    assert unknown
    for text in (
        *(f"{segments['edit']:.1f}", f"{correlation:.2f}", f"{total:.1f}", "a <b>run", "data <b>"),
        f"4 test recordings of 4 groups, {frames['num_frames']:,} frames in",
        f"Of {unknown} more frames nothing is known",
    ):
        assert text in page.text


def test_a_ribbon_for_each_recording(of_one_class):
    _, _, page, _ = of_one_class
    assert page.source.count('class="ribbon"') == len(RECORDINGS)
    assert all(each.name in page.text for each in RECORDINGS)
    assert re.search(r"walk, human: 0:\d\d\.\d to 0:\d\d\.\d", page.text)
    assert re.search(r"a <b>\$m\$, machine: 0:\d\d\.\d to ", page.text)
    assert 'viewBox="0 0 60.0 20"' in page.source


def test_mistakes_with_their_pictures(of_one_class):
    run, _, page, asked = of_one_class
    mistakes = longest_mistakes(RECORDINGS, NAMES, exclusive=True, most=MOST_MISTAKES)
    assert asked == [(each.recording, each.first_frame, each.last_frame) for each in mistakes]
    assert {path.name for path in run.report.glob("*mistake*")} == {
        f"test_mistake_{number}.jpg" for number in range(1, len(asked) + 1, 2)
    }
    assert page.pictures.count("Frames of the mistake") == (len(asked) + 1) // 2
    longest = mistakes[0]
    assert f"Human: {longest.human[0]}. Machine: {longest.machine[0][0][0]}" in page.text
    assert f'data-from="{longest.start_seconds}" data-to="{longest.end_seconds}"' in page.source


def test_pictures_are_those_of_the_task(of_one_class, tmp_path):
    run, _, page, _ = of_one_class
    assert "Confusion matrix" in page.pictures
    names = ("confusion", "per_class", "precision_recall")
    assert all((run.report / f"test_{name}.png").is_file() for name in names)
    human, machine = at_once("###...", "..####", ".#...#"), at_once("####..", "..###.", "......")
    several = [recording(human, machine, name=name, fps=0.1) for name in "abc"]
    run, result, page, _ = report(tmp_path / "several", several, exclusive=False)
    assert "Confusion matrix" not in page.pictures
    assert "of the frames have all classes right" in page.text
    assert f"{result['frames']['mean_average_precision']:.3f}mean average" in page.text
    assert "without " not in page.text.split("Which classes")[0]
    assert 'viewBox="0 0 60.0 30"' in page.source


def test_the_model_card_of_frames(of_one_class):
    run, result, _, _ = of_one_class
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
    _, _, page, _ = report(tmp_path / "run", [empty], exclusive=False)
    for text in ("–mean average precision", "no events", "The human marked 0 segments"):
        assert text in page.text


def test_few_groups_leaks_and_another_split(tmp_path):
    right = exclusive("abab", "abab", name="x <i>.mp4")
    leaks = ["group 'a' is in train and val"]
    run, _, page, asked = report(tmp_path / "run", [right], split="val", leaks=leaks)
    assert asked == []
    for text in (
        *("None: every frame is right.", "x <i>.mp4"),
        "There is no interval: that takes 3 groups or more.",
        "These figures are not to be believed: group 'a' is in train and val",
        "These videos chose the epoch and the calibration",
    ):
        assert text in page.text
    assert "x <i>" not in page.source
    assert not list(run.report.glob("*mistake*"))
    assert "without" not in page.text.split("Which classes")[0]
    assert "**These figures are not to be believed:**" in (run.report / "val.md").read_text()


# Their pictures.


@pytest.fixture
def drawn(tmp_path):
    """The pixels of what is drawn of some values."""

    def call(plot, *values):
        plot(*values, tmp_path / "picture.png")
        return matplotlib.image.imread(tmp_path / "picture.png")

    return call


@pytest.mark.parametrize("num_classes", [2, 31])
def test_a_confusion_matrix_of_any_size_is_drawn(drawn, num_classes):
    names = [f"class {number} with ä $name$ 走る" for number in range(num_classes)]
    counts = 3 * np.eye(num_classes, dtype=np.int64)
    counts[-1] = 0  # a class without videos
    right, wrong = (drawn(plots.plot_confusion, each, names) for each in (counts, counts[:, ::-1]))
    assert right.shape == wrong.shape
    assert not np.array_equal(right, wrong)


ROW = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "num_videos": 3}
BIN = {"num_videos": 3, "confidence": 0.8, "accuracy": 0.6}
CURVE = {"_a$ 走る": (np.array([0.5, 1.0]), np.array([1.0, 0.5]))}
FLAT = {"_a$ 走る": (np.array([0.5, 0.5]), np.array([1.0, 0.5]))}
LENGTH = {"num_frames": 4, "top1": 0.7}


@pytest.mark.parametrize(
    ("plot", "found", "other", "more"),
    [
        (plots.plot_per_class, {"$a$ 走る": ROW}, {"$a$ 走る": ROW | {"recall": None}}, ()),
        (plots.plot_reliability, [BIN], [BIN | {"accuracy": 0.9}], ()),
        (plots.plot_lengths, [LENGTH], [LENGTH | {"top1": 0.2}], (0.5,)),
        (plots.plot_precision_recall, CURVE, FLAT, ({"_a$ 走る": "#aa0000"},)),
    ],
    ids=["per_class", "reliability", "lengths", "precision_recall"],
)
def test_what_is_found_is_drawn(drawn, plot, found, other, more):
    first, same, changed = (drawn(plot, values, *more) for values in (found, found, other))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, changed)
