"""The pages on runs: whole, true, and in need of nothing else."""

import html.parser
import json
import re
import shlex
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.evaluation import plots
from pipeline.evaluation.evaluate import video_result
from pipeline.evaluation.frames_report import MOST_MISTAKES, longest_mistakes, write_frames_report
from pipeline.evaluation.metrics import ClassScores, Tenth
from pipeline.evaluation.predict import predict
from pipeline.evaluation.report import MOST_MISTAKES as MOST_OF_VIDEOS
from pipeline.evaluation.report import write_report
from pipeline.evaluation.results import (
    LengthScore,
    OrderScores,
    UnknownScores,
    as_json,
    score_recordings,
)
from pipeline.evaluation.views import _page
from pipeline.figures import frame_strip
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.video import decode_jpeg, encode_jpeg
from tests.evaluation.conftest import copy_of
from tests.evaluation.recordings import at_once, exclusive, recording


class Page(html.parser.HTMLParser):
    """The text of a page, its pictures, all addresses that it names, and what it is written in."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.text, self.pictures, self.addresses, self.open = "", [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(attributes["alt"])
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def expect(self, *texts):
        """Texts, and figures with three places, that it says."""
        for text in texts:
            assert (text if isinstance(text, str) else f"{text:.3f}") in self.text

    def links(self):
        """The addresses besides those of pictures that it holds: it needs nothing else."""
        assert self.open == []
        assert self.addresses
        style = re.search(r"<style>(.*?)</style>", self.source, re.DOTALL)[1]
        assert "url(" not in style
        assert "@import" not in style
        return [address for address in self.addresses if not address.startswith("data:")]


def page_of(run, name="index"):
    return Page((run.report / f"{name}.html").read_text())


# On one label a video.


def test_the_page_of_videos_is_whole_and_says_what_was_found(evaluated, blob_store):
    page, result = page_of(evaluated), evaluated.metrics()["test"]
    assert page.links() == []
    assert "<script" not in page.source
    page.expect(
        *(result["video"]["top1"], *result["video"]["top1_interval95"], result["clip"]["top1"]),
        *(result["macro"]["f1"], result["calibration"]["error_after"]),
        *(row["recall"] for row in result["per_class"].values()),
        *("a <b>run", "learning_rate = 0.01", "tensorflow"),
        "The ranges are 95 % intervals over 4 groups: videos of one group are alike",
        "16 test videos of 4 groups, 2 clips a video",
        "80 videos of 20 groups",  # of the data report
    )
    assert "64 videos of 16 groups" not in page.text
    # Its pictures are those beside it.
    names = {path.name for path in evaluated.report.iterdir()}
    drawn = ("confusion", "per_class", "reliability", "lengths")
    assert {f"test_{name}.png" for name in drawn} < names
    wrong = round(16 * (1 - result["video"]["top1"]))
    mistakes = sorted(name for name in names if name.startswith("test_mistake"))
    assert mistakes == [f"test_mistake_{n}.jpg" for n in range(1, min(wrong, MOST_OF_VIDEOS) + 1)]
    assert len(page.pictures) == 5 + len(mistakes)
    # Another split has a page of its own.
    other = page_of(evaluated, "val")
    other.expect("These videos chose the epoch and the calibration", "16 val videos")
    assert (evaluated.report / "val.md").is_file()
    # The model card.
    card = (evaluated.report / "report.md").read_text()
    assert card.startswith("# a \\<b\\>run\n")
    assert f"--run {shlex.quote(str(evaluated.folder))}\n" in card
    assert f"| video | {result['video']['top1']:.3f} | " in card
    assert "| left | 8 | " in card
    assert "not calibrated, for there were no validation videos" in card
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (evaluated.report / picture).is_file()
    # The most confident mistakes come first, with the frames of their clips.
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


def test_a_run_without_mistakes_and_what_preparing_said_loads_nothing(evaluated_right):
    assert evaluated_right.metrics()["test"]["video"]["top1"] == 1
    page_of(evaluated_right).expect("None: every answer is right.")
    assert not list(evaluated_right.report.glob("*mistake*"))
    # It came with the data set, whoever made that.
    page = Page(_page("# A\n![x](http://a/b.png) [x](http://a) <http://a> <img src=http://a>"))
    assert page.addresses == page.pictures == []
    assert "![x](http://a/b.png)" in page.text


def test_leaks_come_first_and_a_data_report_may_be_gone(hasty_run, blob_store, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    found = predict(load_recognizer(run.model_file), blob_store, run.config(), "test")
    result = video_result(
        found,
        Calibration(logit_threshold=0.0),
        lengths=[LengthScore(1, 0.5)],
        order=OrderScores(0.5, 0.5, 0.5),
        unknown=UnknownScores(7, ["r_u_n"], 0.9, 0.5),
        leaks=["group 'a*n*n' is in train and test"],
    )
    (tmp_path / "frames").symlink_to(blob_store.frames_folder)
    data = replace(blob_store, path=tmp_path)
    write_report(run, "test", result, found.by_video().calibrated(Calibration()), data)
    page, card = page_of(run), (run.report / "report.md").read_text()
    page.expect(
        "have a highest logit of 0.00 or more and are answered",
        "AUROC of 0.900; 0.500 of them are answered",
        "These figures are not to be believed: group 'a*n*n' is in train and test",
    )
    assert "80 videos of 20 groups" not in page.text
    for text in (
        'The answer is "unknown" where the highest logit is below 0.00.',
        'gets an answer nonetheless, or "unknown"',
        r"does not know (r\_u\_n)",
        r"not to be believed:** group 'a\*n\*n' is in",
    ):
        assert text in card


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
    result = replace(result, leaks=leaks)
    asked = []

    def strip(*span):
        asked.append(span)
        return PICTURE if len(asked) % 2 else None

    write_frames_report(run, split, result, recordings, NAMES, data=folder, strip=strip)
    return run, as_json(result), page_of(run, "index" if split == "test" else split), asked


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


def test_the_page_of_frames_says_what_was_found(of_one_class):
    run, result, page, _ = of_one_class
    links = page.links()
    assert links
    assert all(re.fullmatch(r"#recording-[0-3]", link) for link in links)
    assert all(f'id="{link[1:]}"' in page.source for link in links)
    (script,) = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    assert not re.search(r"https?:|fetch|import|XMLHttp", script)
    assert "{{" not in script
    frames, segments, bouts = result["frames"], result["segments"], result["bouts"]
    means = ("macro_f1", "mean_average_precision")
    correlation = bouts["agreement"]["walk"]["total_seconds"]["correlation"]
    total = sum(row["classes"]["walk"]["machine"]["total_seconds"] for row in bouts["recordings"])
    unknown = frames["num_unknown_frames"]
    assert unknown
    page.expect(
        *(frames[key] for key in ("accuracy", "kappa", "chance", *means)),
        *(frames[f"{key}_without_background"] for key in means),
        *frames["accuracy_interval95"],
        *(segments[f"f1_{at}"] for at in (10, 25, 50)),
        *(segments["with_background"][f"f1_{at}"] for at in (10, 25, 50)),
        *(row["f1_50"] for row in segments["f1_50_by_recording"]),
        *(row["average_precision"] for row in frames["per_class"].values()),
        *(f"{segments['edit']:.1f}", f"{correlation:.2f}", f"{total:.1f}", "a <b>run", "data <b>"),
        f"4 test recordings of 4 groups, {frames['num_frames']:,} frames in",
        f"Of {unknown} more frames nothing is known",
        *(each.name for each in RECORDINGS),
    )
    # A ribbon for each recording.
    assert page.source.count('class="ribbon"') == len(RECORDINGS)
    assert re.search(r"walk, human: 0:\d\d\.\d to 0:\d\d\.\d", page.text)
    assert re.search(r"a <b>\$m\$, machine: 0:\d\d\.\d to ", page.text)
    assert 'viewBox="0 0 60.0 20"' in page.source
    # The model card.
    card = (run.report / "report.md").read_text()
    assert card.startswith("# a \\<b\\>run\n")
    low, high = frames["accuracy_interval95"]
    line = f"{frames['accuracy']:.3f} (95 % interval over groups {low:.3f} to {high:.3f})"
    assert f"| accuracy by frame | {line} |" in card
    assert "| a \\<b\\>\\$m\\$ | " in card
    assert "--timeline --run" in card


def test_pictures_are_those_of_mistakes_and_of_the_task(of_one_class, tmp_path):
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
    run, _, page, _ = of_one_class
    assert "Confusion matrix" in page.pictures
    names = ("confusion", "per_class", "precision_recall")
    assert all((run.report / f"test_{name}.png").is_file() for name in names)
    human, machine = at_once("###...", "..####", ".#...#"), at_once("####..", "..###.", "......")
    several = [recording(human, machine, name=name, fps=0.1) for name in "abc"]
    run, result, page, _ = report(tmp_path / "several", several, exclusive=False)
    assert "Confusion matrix" not in page.pictures
    mean = result["frames"]["mean_average_precision"]
    page.expect("of the frames have all classes right", f"{mean:.3f}mean average")
    assert "without " not in page.text.split("Which classes")[0]
    assert 'viewBox="0 0 60.0 30"' in page.source


def test_few_groups_leaks_another_split_and_where_nothing_was_marked(tmp_path):
    right = exclusive("abab", "abab", name="x <i>.mp4")
    leaks = ["group 'a' is in train and val"]
    run, _, page, asked = report(tmp_path / "run", [right], split="val", leaks=leaks)
    assert asked == []
    page.expect(
        *("None: every frame is right.", "x <i>.mp4"),
        "There is no interval: that takes 3 groups or more.",
        "These figures are not to be believed: group 'a' is in train and val",
        "These videos chose the epoch and the calibration",
    )
    assert "x <i>" not in page.source
    assert not list(run.report.glob("*mistake*"))
    assert "without" not in page.text.split("Which classes")[0]
    assert "**These figures are not to be believed:**" in (run.report / "val.md").read_text()
    empty = recording(*(at_once("....", "....", "....") for _ in range(2)))
    _, _, page, _ = report(tmp_path / "empty", [empty], exclusive=False)
    page.expect("–mean average precision", "no events", "The human marked 0 segments")


COUNTS = [3 * np.diag([*[1] * (number - 1), 0]) for number in (2, 31)]
"""The last class has no videos."""
CLASSES = [f"class {number} with ä $name$ 走る" for number in range(31)]
ROW = ClassScores(0.9, 0.8, 0.85, 3)
BIN = Tenth(3, 0.8, 0.6)
CURVE = {"_a$ 走る": (np.array([0.5, 1.0]), np.array([1.0, 0.5]))}
FLAT = {"_a$ 走る": (np.array([0.5, 0.5]), np.array([1.0, 0.5]))}
LENGTH = LengthScore(4, 0.7)


@pytest.mark.parametrize(
    ("plot", "found", "other", "more"),
    [
        *((plots.plot_confusion, each, each[:, ::-1], (CLASSES[: len(each)],)) for each in COUNTS),
        (plots.plot_per_class, {"$a$ 走る": ROW}, {"$a$ 走る": replace(ROW, recall=None)}, ()),
        (plots.plot_reliability, [BIN], [replace(BIN, accuracy=0.9)], ()),
        (plots.plot_lengths, [LENGTH], [replace(LENGTH, top1=0.2)], (0.5,)),
        (plots.plot_precision_recall, CURVE, FLAT, ({"_a$ 走る": "#aa0000"},)),
    ],
    ids=["few classes", "many", "per_class", "reliability", "lengths", "precision_recall"],
)
def test_what_is_found_is_drawn(tmp_path, plot, found, other, more):
    def drawn(values):
        plot(values, *more, tmp_path / "picture.png")
        return matplotlib.image.imread(tmp_path / "picture.png")

    first, same, changed = (drawn(values) for values in (found, found, other))
    np.testing.assert_array_equal(first, same)
    assert first.shape == changed.shape
    assert not np.array_equal(first, changed)
