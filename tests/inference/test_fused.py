"""Several runs that answer as one: alone, in a folder, of files, timelines and streams."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.fusing import cross_validated, evaluated
from pipeline.evaluation.predict import predict_split
from pipeline.evaluation.predictions import read_predictions, write_predictions
from pipeline.evaluation.results import as_json
from pipeline.evaluation.views import result_text
from pipeline.inference import clips
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import explain
from pipeline.inference.explanation_files import draw_strip
from pipeline.inference.fuse import evaluate_fused, fuse, fuse_as
from pipeline.inference.fused import read_fused
from pipeline.inference.many import predict_many
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.run import Run, latest_run
from pipeline.tasks.multi_class import MultiClass
from pipeline.training.run_folder import open_run
from pipeline.video import LiveVideo, iter_frames
from tests.conftest import prepared
from tests.evaluation.made_up_crossval import some_answers, write_crossval
from tests.inference import commands
from tests.inference.videos import predictions_of, write_joined
from tests.processes import killed_ever_later
from tests.runs import changed, drawn_run


def make(config, videos, other, folder):
    """A copy of a run, and one that takes smaller frames of the same videos, and other clips."""
    groups = {"group_regex": r"g\d+", "test_groups": ("g00", "g01", "g02", "g03")}
    store = prepared("folder", videos, folder / "store", val_fraction=0.2, size=16, **groups)
    values = {"data": str(store), "clip.num_frames": 5}
    small = drawn_run(changed(config, values), folder / "small")
    for split in ("val", "test"):
        predict_split(open_run(small), split)
    shutil.copytree(other.folder, folder / "hasty")


@pytest.fixture(scope="module")
def runs(small_config, blob_videos, answered_run, made):
    """Not to be changed; their answers are known."""
    folder = made("two runs", partial(make, small_config, blob_videos, answered_run))
    return [Run(folder / "hasty"), Run(folder / "small")]


@pytest.fixture(scope="module")
def fused(runs, tmp_path_factory):
    out = Run(tmp_path_factory.mktemp("fused") / "run")
    return out, fuse(runs, out, rule="product"), evaluate_fused(out, "test")


@pytest.fixture(scope="module")
def long_video(blob_videos, tmp_path_factory):
    names = ("left/g00 0.avi", "right/g01 0.avi", "left/g02 0.avi", "right/g04 0.avi")
    return write_joined(tmp_path_factory.mktemp("long") / "long.avi", blob_videos, names)


def copied(run, folder):
    return Run(Path(shutil.copytree(run.folder, folder)))


def both_of(classifier, path):
    found = dict(classifier.predict(path).top)
    return [found["left"], found["right"]]


def by_hand(runs, path, rule="average"):
    """Fused probabilities, of those of each run for all classes."""
    each = [both_of(Classifier(run), path) for run in runs]
    if rule == "average":
        return np.mean(each, axis=0)
    powers = np.exp(np.mean(np.log(each), axis=0))
    return powers / powers.sum()


def test_answers_are_fused_also_of_an_array_and_many_files(runs, video, blob_videos, monkeypatch):
    """A file is read once, for frames of all sizes."""
    opened = []

    def counting(path, *others, opens=clips.VideoReader):
        opened.append(path)
        return opens(path, *others)

    classifier = Classifier(runs)
    frames = np.stack(list(iter_frames(video)))
    with monkeypatch.context() as patch:
        patch.setattr(clips, "VideoReader", counting)
        alone = classifier.predict(video)
    assert opened == [video]
    assert alone.known
    for rule in ("average", "product"):
        found = both_of(Classifier(runs, rule=rule), video)
        np.testing.assert_allclose(found, by_hand(runs, video, rule), rtol=1e-5)
    assert classifier.predict(frames, fps=10).top == alone.top
    paths = [str(video), str(blob_videos / "right" / "g01 0.avi")]
    for path, found in predict_many(classifier, paths, workers=1):
        assert found == classifier.predict(path)


def test_a_folder_answers_as_its_runs_do_and_needs_nothing_else(runs, fused, video, tmp_path):
    moved = copied(fused[0], tmp_path / "elsewhere")
    classifier, content = Classifier(moved), json.loads(moved.fusion_file.read_text())
    logs = np.log(by_hand(runs, video, "product"))
    scaled = np.exp(logs / content["calibration"]["temperature"])
    np.testing.assert_allclose(both_of(classifier, video), scaled / scaled.sum(), rtol=1e-4)
    assert classifier.fingerprint != Classifier(runs, rule="product").fingerprint
    command = [sys.executable, "-X", "importtime", commands.SCRIPTS / "classify.py", video, "--run"]
    done = subprocess.run([*command, moved.folder], capture_output=True, text=True, check=True)
    assert str(video) in done.stdout
    for module in ("tensorflow", "keras"):
        assert module not in done.stderr


def test_evaluation_says_what_classifying_does(runs, fused, blob_videos):
    """The calibration comes from validation videos."""
    run, made, result = fused
    content = json.loads(run.fusion_file.read_text())
    assert content["calibration"]["num_videos"] == made.num_videos == 16
    assert content["calibration"]["temperature"] != 1
    assert content["calibration"]["logit_threshold"] is not None
    lines, classifier = predictions_of(run), Classifier(run)
    assert len(lines) == result.num_videos == 16
    for line in lines:
        answer = classifier.predict(blob_videos / line["video"])
        assert answer.top[0][0] == line["predicted"]
        assert dict(answer.top)["left"] == pytest.approx(float(line["left"]), abs=2e-3)
        assert answer.max_logit == pytest.approx(float(line["max_logit"]), abs=1e-2)
    wrong = [line["video"] for line in lines if line["predicted"] != line["label"]]
    assert wrong
    assert result.scores.video.top1 == 1 - len(wrong) / 16
    assert json.loads(run.metrics_file.read_text())["test"] == as_json(result)
    page = (run.report / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in wrong)
    alone = [result.runs[str(each.folder)].video.top1 for each in runs]
    assert result.scores.video.top1 == max(alone) + (result.gained - result.lost) / 16


def test_what_cross_validations_say_of_each_run_goes_with_them(runs, video, tmp_path):
    """Their answers were eight times too sure, and not at all."""
    names = runs[0].class_names()
    crossvals = [
        write_crossval(
            tmp_path / str(sure),
            names,
            [some_answers(fold, names, sure=sure, right=0.8) for fold in (1, 2, 3)],
            run.config(),
        )
        for run, sure in zip(runs, (11.0, 1.4), strict=True)
    ]
    with pytest.raises(ConfigError, match=r"1.4 is of other .*clip.num_frames.* order"):
        fuse(runs, Run(tmp_path / "run"), crossvals=crossvals[::-1])
    assert not (tmp_path / "run").exists()
    out = Run(tmp_path / "run")
    result = fuse(runs, out, rule="product", crossvals=crossvals)
    assert result.num_videos == 90
    content = json.loads(out.fusion_file.read_text())
    assert content["temperatures"] == pytest.approx(cross_validated(crossvals).temperatures)
    assert content["temperatures"][0] > 5 > 1.5 > content["temperatures"][1]
    temperatures = content["temperatures"]
    logits = [np.log(both_of(Classifier(run), video)) for run in runs]
    scaled = np.mean([by / t for by, t in zip(logits, temperatures, strict=True)], axis=0)
    expected = MultiClass().probabilities(scaled, content["calibration"]["temperature"])
    found = both_of(Classifier(out), video)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert evaluate_fused(out, "test").rule == "product"
    (line,) = (each for each in predictions_of(out) if each["video"].endswith("left/g00 0.avi"))
    assert float(line["left"]) == pytest.approx(found[0], abs=2e-3)


def test_of_a_folder_of_one_run_nothing_is_said_of_fusing_and_any_can_be_the_latest(
    runs, fused, tmp_path
):
    """As `--config auto` leaves it where nothing adds to the best recipe."""
    for name, each in (("alone", runs[0]), ("fused", fused[0])):
        copied(each, tmp_path / "latest" / name)
    for seconds, newest in ((2e9, "fused"), (1e9, "alone")):
        os.utime(tmp_path / "latest" / "fused" / "fusion.json", (seconds, seconds))
        assert latest_run(tmp_path / "latest").folder.name == newest
    one, (both, _, result) = Run(tmp_path / "one"), fused
    fuse_as(runs[:1], one, None, None)
    text, others = (result_text(each, "test") for each in (evaluate_fused(one, "test"), result))
    assert text.splitlines()[-1].split("top-1")[0].strip() == str(runs[0].folder)
    assert "beside the best run" not in text
    assert "beside the best run" in others
    page, other = ((run.report / "index.html").read_text(encoding="utf-8") for run in (one, both))
    for word in ("together", "fused"):
        assert word not in page
        assert word in other


def test_timelines_and_streams_are_fused_time_by_time(runs, long_video, video):
    options = {"window_seconds": 0.8, "overlap": 0.5}
    *alone, fused = (
        make_timeline(Classifier(each), long_video, **options) for each in (*runs, runs)
    )
    assert fused.curve.probabilities.shape[1] == 2
    times = np.arange(0.4, 4.4, 0.4)
    *each, found = (
        timeline.curve.probabilities[(times / timeline.curve.cell_seconds).astype(int)]
        for timeline in (*alone, fused)
    )
    # The windows of each alone lie elsewhere.
    assert np.abs(found - np.mean(each, axis=0)).mean() < 0.15
    assert {segment.label for segment in fused.segments} <= {"left", "right"}
    (segment,) = make_timeline(Classifier(runs), video, window_seconds=9).segments
    assert segment.label == Classifier(runs).predict(video).label

    def follow(runs):
        with LiveVideo(str(long_video)) as live:
            return list(classify_stream(Classifier(runs), live, every=4, window_seconds=0.8))

    results = follow(runs)
    assert len(results) > 5
    assert results[-1].prediction.top != follow(runs[0])[-1].prediction.top


def test_what_is_no_folder_of_fused_runs(runs, fused, tmp_path):
    run, _, _ = fused
    with pytest.raises(ConfigError, match="is fused already. Name its runs instead"):
        Classifier([run, runs[0]])
    with pytest.raises(DataError, match="fused runs, which classify and are evaluated together"):
        run.config()
    broken = copied(run, tmp_path / "broken")
    content = json.loads(broken.fusion_file.read_text())
    for change in ({"temperatures": [1]}, {"rule": "sum"}, {"format": 99}, {"calibration": 3}):
        broken.fusion_file.write_text(json.dumps({**content, **change}))
        with pytest.raises(DataError, match=r"fusion.json: .*Fuse its runs again"):
            Classifier(broken)
    broken.fusion_file.write_text("{")
    with pytest.raises(DataError, match="damaged. Fuse its runs again"):
        Classifier(broken)
    lost = copied(run, tmp_path / "lost")
    shutil.rmtree(read_fused(lost).copies(lost)[1].folder)
    for use in (Classifier, partial(evaluate_fused, split="test")):
        with pytest.raises(DataError, match=r"the copy of .* is not there. Fuse its runs again"):
            use(lost)


def test_what_was_trained_again_is_not_what_was_fused(runs, tmp_path):
    moved, out = copied(runs[0], tmp_path / "moved"), Run(tmp_path / "out")
    fuse([moved, runs[1]], out)
    assert evaluate_fused(out, "test").num_videos == 16
    with moved.litert_file.open("ab") as file:
        file.write(b"other weights")
    for use in (lambda: evaluate_fused(out, "test"), lambda: explain(out, "none.avi")):
        with pytest.raises(DataError, match=r"moved was trained or exported again .*--overwrite"):
            use()
    shutil.rmtree(moved.folder)
    with pytest.raises(DataError, match="moved: not there"):
        evaluate_fused(out, "test")


def test_nothing_is_written_of_what_cannot_be_fused(runs, fused, tmp_path):
    """As are runs of which one knows other classes or other videos."""
    out = Run(tmp_path / "new")
    other = copied(runs[1], tmp_path / "other")
    other.class_names_file.write_text('["left", "up"]')
    with pytest.raises(DataError, match=r"only .*hasty has 'right'"):
        fuse([runs[0], other], out)
    assert not out.folder.exists()
    found = read_predictions(other, "test")
    names = tuple(name.replace("g00", "g77") for name in found.names)
    write_predictions(other, "test", dataclasses.replace(found, names=names))
    shutil.copy(runs[1].class_names_file, other.class_names_file)
    with pytest.raises(DataError, match="of the split are not those of the other"):
        evaluated([runs[0].folder, other.folder], "test")
    with pytest.raises(DataError, match="expected runs that differ"):
        evaluated([runs[0].folder, runs[0].folder], "test")
    out, bare = copied(fused[0], tmp_path / "out"), copied(runs[0], tmp_path / "bare")
    bare.litert_file.unlink()
    with pytest.raises(DataError, match="bare: no exported model. Next: "):
        fuse([bare, runs[1]], out)
    assert Classifier(out).fingerprint == Classifier(fused[0]).fingerprint


FUSE = """
import sys
from pathlib import Path
from pipeline.inference.fused import Fused, write_fused
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
both = {"rule": "average", "temperatures": (1.0, 1.0), "calibration": Calibration()}
write_fused(Fused(runs=tuple(sys.argv[3:]), **both), Run(Path(sys.argv[2])))
"""


def test_a_kill_leaves_the_folder_before_or_the_new_one(runs, video, tmp_path):
    """Both fuse the same runs, in another order and by another rule."""
    out, frames = Run(tmp_path / "out"), np.stack(list(iter_frames(video)))
    names = [str(run.folder) for run in runs]

    def answer():
        return Classifier(out).predict(frames, fps=10).top

    fuse(runs, out, rule="product")
    found = [answer()]
    for _ in killed_ever_later(FUSE, out.folder, *reversed(names)):
        found.append(answer())
        assert (out.folder / "fusion.json").is_file()
    assert len(found) > 4
    assert found == sorted(found, key=found.index), "first the old one, then the new one"
    assert len(set(found)) == 2
    assert found[0] != found[-1]
    assert len([*out.folder.glob("*members*")]) == 1


def test_the_commands(runs, video, tmp_path):
    folders, out = [each.folder for each in runs], tmp_path / "both"
    done = commands.run("fuse", *folders, "--out", out)
    assert done.code == 0, done.errors
    assert "fused (average)" in done.output
    done = commands.run("evaluate", out)
    assert done.code == 0, done.errors
    assert re.search(r"^fused \(average\) +top-1 0\.", done.output, re.MULTILINE)
    done = commands.run("classify", "--run", *folders, video)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith(f"{video}: ")
    assert commands.run("classify", video, "--run", folders[0], "--run", folders[1]) == done
    product = ("--rule", "product")
    for words, message in (
        (("fuse", *folders, "--out", out), "is there already. Replace it by --overwrite"),
        (("evaluate", out, *product), "--rule is for several runs: leave it out"),
        (("classify", "--run", out, video, *product), "product: fuse it again with another one"),
        (("classify", "--run", folders[0], video, *product), "product: it is for several runs"),
    ):
        assert message in commands.run(*words).mistake
    done = commands.run("benchmark", "classify", video, "--run", out, "--repeats", 1)
    title, row = done.output.splitlines()[-2:]
    assert title.split() == ["cold", "memory", "warm", "a", "frame", "reading"]
    _, _, _, _, _, _, warm, _, frame, *_ = row.split()
    assert float(warm) == pytest.approx(12 * float(frame), abs=1.2), "of twelve frames; rounded"


def test_each_of_them_is_explained(fused, runs, video, tmp_path):
    out = fused[0]
    explanation = explain(out, video)
    assert explanation.label == Classifier(out).predict(video).label
    assert [strip.run for strip in explanation.strips] == [run.folder for run in runs]
    assert [len(strip.frames) for strip in explanation.strips] == [8, 5]
    each = np.array([strip.probability for strip in explanation.strips])
    alone = [explain(run, video, explanation.label).probability for run in runs]
    assert list(each) == pytest.approx(alone)
    found = read_fused(out)
    odds = np.mean(np.log(each) - np.log1p(-each)) / found.calibration.temperature
    assert explanation.probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)
    draw_strip(explanation, tmp_path / "why.png")
    lost = copied(out, tmp_path / "lost")
    content = json.loads(lost.fusion_file.read_bytes())
    lost.fusion_file.write_text(json.dumps({**content, "runs": ["gone", "gone"]}))
    with pytest.raises(DataError, match="gone: not there, and this takes each of the fused runs"):
        explain(lost, video)
