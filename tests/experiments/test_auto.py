"""A recipe chosen for a data set, from the first fold to a folder that classifies."""

import csv
import json
import warnings
from pathlib import Path

import pytest

from pipeline.cli.auto import is_auto, train_auto
from pipeline.cli.crossval import main as crossval
from pipeline.errors import ConfigError
from pipeline.experiments import auto, choice
from pipeline.experiments.inner import logged_to
from pipeline.experiments.recipes import Recipe
from pipeline.inference.classifier import Classifier
from pipeline.inference.fuse import evaluate_fused
from pipeline.inference.timeline import make_timeline
from pipeline.run import Run
from pipeline.training.guards import TrainingWarning
from pipeline.web.train.runs import figures

SMALL = {
    "clip.num_frames": 4,
    "clip.views": 1,
    "backbone.filters": [4],
    "temporal.units": 4,
    "train.batch_size": 4,
    "train.epochs": 1,
    "train.precision": "float32",
}
VIDEO = {**SMALL, "augment.flip": 0.0, "temporal.kind": "mean"}
QUICK = (
    Recipe("quick", "small", VIDEO),
    Recipe("slower", "small", {**VIDEO, "model.streams": ["rgb", "difference"]}),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(auto, "VIDEOS", QUICK)
    monkeypatch.setattr(auto, "_FOLDS", 2)
    monkeypatch.setattr(choice, "_MORE_SEEDS", 0)


@pytest.fixture
def chosen(tmp_path):
    """Chooses a recipe for a data set; gives the run, and the words of the command."""

    def choose(store, *more):
        run = Run(tmp_path / "run")
        words = ["--config", "auto", "--data", str(store.path), "--run", str(run.folder)]
        assert train_auto([*words, "--budget", "10m", *more]) == 0
        return run, words

    return choose


def table(run):
    with (run.folder / "tried.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_classifies_and_is_measured_on_what_it_never_saw(
    chosen, tiny_store, blob_videos, drawn, capsys
):
    run, words = chosen(tiny_store)
    top = Classifier(run).predict(blob_videos / "left" / "g00 0.avi").top
    assert top[0][0] in ("left", "right")
    result = evaluate_fused(run, "test")
    assert (result.num_videos, result.num_groups) == (4, 2)
    rows = table(run)
    assert [row["recipe"] for row in rows] == ["quick", "slower"]
    assert any(row["status"] == "chosen" for row in rows)
    assert all(0 <= float(row["score"]) <= 1 and int(row["folds"]) >= 1 for row in rows)
    # The last training has all videos but those of the test.
    content = json.loads(run.fusion_file.read_text())
    for folder in content["runs"]:
        config = Run(Path(folder)).config()
        assert config.split.train_on_val
        assert config.split.val_folds == 0
        assert config.train.checkpoint == "best", "there are no validation videos to choose by"
    rows = tiny_store.manifest.rows
    held_out = {row.group for row in rows if row.split != "test"}
    assert content["calibration"]["num_videos"] == sum(row.group in held_out for row in rows)
    # What was tried is not tried again.
    before = list(drawn)
    capsys.readouterr()
    chosen(tiny_store, "--budget", "20m")
    assert drawn == before
    assert "chosen: " in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"another seed. .*--overwrite"):
        train_auto([*words, "--seed", "3"])


def test_each_fold_chooses_by_its_own_training_videos(
    tiny_store, tmp_path, drawn, capsys, monkeypatch
):
    monkeypatch.setattr(auto, "VIDEOS", QUICK[:1])
    monkeypatch.setattr(auto, "FEW", 4)
    out = tmp_path / "crossval"
    words = ["--config=auto", "--data", str(tiny_store.path), "--out", str(out)]
    crossval([*words, "--budget", "20m", "--split.folds", "2"])
    result = json.loads((out / "crossval.json").read_text())
    assert (result["num_videos"], result["num_groups"], len(result["chosen"])) == (16, 8, 2)
    found = figures(Run(out))
    assert (found.value, found.about) == (result["video"]["top1"], "16 videos, 8 groups")
    text = capsys.readouterr().out
    assert "fold 2: " in text
    for fold in (1, 2):
        tried = out / f"fold-{fold:02d}" / "tried" / "quick" / "fold-01"
        split = Run(tried).config().split
        assert (split.folds, split.fold, split.val_folds) == (2, fold, 2)


def test_recordings_get_an_answer_at_every_frame(recording_store, chosen, drawn, monkeypatch):
    small = {**SMALL, "clip.num_frames": 8, "temporal.layers": 2, "temporal.stages": 1}
    monkeypatch.setattr(auto, "RECORDINGS", (Recipe("quick", "recordings", small),))
    run, _ = chosen(recording_store)
    (quick,) = table(run)
    assert (quick["recipe"], quick["folds"], quick["status"]) == ("quick", "2", "chosen")
    result = evaluate_fused(run, "test")
    assert (result.task, result.num_videos) == ("frames", 2)
    page = run.report_page.read_text(encoding="utf-8")
    assert page.count('<figure class="ribbon"') == 2
    assert "Each run has a report of its own" in page
    video = next(Path(recording_store.path).parent.glob("videos/*.avi"))
    assert make_timeline(Classifier(run), video).segments


def test_videos_of_several_labels(several_store, chosen, drawn, monkeypatch):
    monkeypatch.setattr(auto, "VIDEOS", QUICK[:1])
    run, _ = chosen(several_store)
    assert evaluate_fused(run, "test").task == "video-multilabel"


def test_where_it_is_asked_for_with_a_time_that_is_enough(tiny_store, tmp_path, drawn):
    """Else it is refused before anything is tried."""
    words = ["--config", "auto", "--data", str(tiny_store.path), "--run", str(tmp_path / "run")]
    no_time = "a time such as 90s, 20m or"
    budgets = {"1s": "or more for these videos, got"} | dict.fromkeys(
        ["", "3", "0m", "3d"], no_time
    )
    for budget, message in budgets.items():
        with pytest.raises(ConfigError, match=f"--budget: expected .*{message}"):
            train_auto([*words, f"--budget={budget}"])
    assert not list(tmp_path.rglob("fold-*"))
    with pytest.raises(ConfigError, match="--split.folds: expected a number, or groups, got many"):
        crossval([*words[:4], "--split.folds", "many"])
    assert is_auto(["--data", "d", "--config", "auto"])
    assert is_auto(["--config=auto"])
    assert not is_auto(["--config", "small", "auto"])
    assert not is_auto(["--config"])
    for words in (["--config", "small", "--budget", "3m"], ["--budget=3m"]):
        with pytest.raises(ConfigError, match="--budget is for --config auto"):
            is_auto(words)


@pytest.mark.filterwarnings("default")
def test_what_a_trial_prints_and_warns_of_goes_to_its_log(tmp_path, capsys):
    for text in ("first", "second"):
        with logged_to(tmp_path / "new" / "training.log"):
            print(f"{text} epoch")
            warnings.warn("likely wrong", TrainingWarning, stacklevel=1)
    lines = (tmp_path / "new" / "training.log").read_text().splitlines()
    assert lines == ["first epoch", "likely wrong", "second epoch", "likely wrong"]
    with pytest.warns(TrainingWarning):
        warnings.warn("said again", TrainingWarning, stacklevel=1)
    assert capsys.readouterr() == ("", "")
