"""Classifying files gives the answers of evaluation, from the shell, without TensorFlow."""

import csv
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.config.file import save_config
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.bundle import bundle_of, read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.export import export
from pipeline.inference.timeline import make_timeline
from pipeline.run import Run
from pipeline.training.fit import train
from pipeline.video import DamagedVideoWarning, iter_frames, write_video

SCRIPT = Path(__file__).parents[2] / "scripts" / "classify.py"


def evaluated(run):
    """What evaluation says of the test videos."""
    evaluate(run)
    with (run.report / "test_predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def predictions(hasty_run, tmp_path_factory):
    return evaluated(copy_of(hasty_run, tmp_path_factory.mktemp("evaluated") / "run"))


@pytest.fixture(scope="module")
def video(blob_videos):
    return blob_videos / "left" / "g00 0.avi"


def copy_of(run, folder):
    return Run(shutil.copytree(run.folder, folder))


def test_every_video_gets_the_answer_of_evaluation(hasty_run, blob_videos, predictions):
    classifier = Classifier(hasty_run)
    assert len(predictions) == 16
    for line in predictions:
        answer = classifier.predict(blob_videos / line["video"])
        assert answer.label == line["predicted"]
        assert answer.probability == pytest.approx(float(line["probability"]), abs=1e-3)


@pytest.fixture(scope="module", params=["flow", "rgb+flow"])
def flow_run(request, flow_store, hasty_run, tmp_path_factory):
    config = dataclasses.replace(
        hasty_run.config(),
        data=str(flow_store.path),
        model=ModelConfig(streams=tuple(request.param.split("+")), dropout=0),
    )
    run = train(config, tmp_path_factory.mktemp("flow") / "run")
    export(run)
    return run


def test_optical_flow_is_computed_as_it_was_stored(flow_run, blob_videos):
    lines = evaluated(flow_run)
    classifier = Classifier(flow_run)
    for line in lines:
        answer = classifier.predict(blob_videos / line["video"])
        assert answer.label == line["predicted"]
        assert answer.probability == pytest.approx(float(line["probability"]), abs=1e-3)
    assert len({line["probability"] for line in lines}) > 8


def test_optical_flow_is_computed_where_the_data_set_was_a_table(flow_run, video, tmp_path):
    run = copy_of(flow_run, tmp_path / "run")
    config = flow_run.config()
    frames = dataclasses.replace(config.frames, flow=False)
    save_config(dataclasses.replace(config, frames=frames), run.config_file)
    write_bundle(bundle_of(run), run)
    assert Classifier(run).predict(video) == Classifier(flow_run).predict(video)


def test_a_prediction_ranks_the_classes_and_describes_the_file(hasty_run, video):
    answer = Classifier(hasty_run).predict(video)
    assert answer.path == str(video)
    assert (answer.num_frames, answer.fps) == (12, 10)
    assert answer.duration_seconds == pytest.approx(1.2)
    assert answer.top[0] == (answer.label, answer.probability)
    assert {label for label, _ in answer.top} == {"left", "right"}
    first, second = (probability for _, probability in answer.top)
    assert first > second
    assert first + second == pytest.approx(1)


def test_two_files_are_enough(hasty_run, video, tmp_path):
    run = Run(tmp_path)
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(hasty_run.folder / name, tmp_path / name)
    assert Classifier(run).predict(video) == Classifier(hasty_run).predict(video)


def test_a_run_that_was_not_exported(hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    run.litert_file.unlink()
    with pytest.raises(DataError, match="model.tflite is missing. Export it: clipline export"):
        Classifier(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("left",)},
        {"clip": ClipConfig(num_frames=5)},
        {"model": ModelConfig(streams=("rgb", "flow"))},
        {"frames": FramesConfig(fps=10, size=48, jpeg_quality=95)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_bundle_of_another_model(hasty_run, tmp_path, changes):
    run = copy_of(hasty_run, tmp_path / "run")
    write_bundle(dataclasses.replace(read_bundle(run), **changes), run)
    with pytest.raises(DataError, match="model.tflite: does not fit the bundle.json beside it"):
        Classifier(run)


def with_calibration(run, folder, **values):
    """A copy of a run whose calibration is another."""
    copy = copy_of(run, folder)
    bundle = read_bundle(copy)
    calibration = dataclasses.replace(bundle.calibration, **values)
    write_bundle(dataclasses.replace(bundle, calibration=calibration), copy)
    return copy


def test_a_damaged_file_says_so(hasty_run, video, tmp_path):
    cut = tmp_path / "cut.avi"
    noise = np.random.default_rng(0).integers(256, size=(60, 32, 32, 3), dtype=np.uint8)
    write_video(cut, noise, fps=10)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    classifier = Classifier(hasty_run)
    with pytest.warns(DamagedVideoWarning):
        assert classifier.predict(cut).as_json()["damaged"]
    assert not classifier.predict(video).damaged


def test_what_has_too_little_evidence_is_unknown(hasty_run, video, tmp_path):
    plain = Classifier(hasty_run).predict(video)
    run = with_calibration(hasty_run, tmp_path / "at", logit_threshold=plain.max_logit)
    assert Classifier(run).predict(video) == plain
    just_above = np.nextafter(plain.max_logit, np.inf)
    run = with_calibration(hasty_run, tmp_path / "above", logit_threshold=just_above)
    answer = Classifier(run).predict(video)
    assert (answer.label, answer.known) == ("unknown", False)
    assert (answer.probability, answer.top) == (plain.probability, plain.top)


def test_probabilities_are_calibrated(hasty_run, video, tmp_path):
    run = with_calibration(hasty_run, tmp_path / "run", temperature=2.0)
    plain, calibrated = (Classifier(each).predict(video).probability for each in (hasty_run, run))
    odds, half = plain / (1 - plain), calibrated / (1 - calibrated)
    assert half == pytest.approx(np.sqrt(odds))


def test_an_array_is_classified_as_the_file_that_holds_it(hasty_run, video):
    """The frames of a file without losses, at the rate of the file or at another."""
    classifier = Classifier.load(hasty_run.folder)
    frames = np.stack(list(iter_frames(video)))
    found, wanted = classifier.predict(frames, fps=10), classifier.predict(str(video))
    assert found.top == wanted.top
    assert (found.num_frames, found.fps) == (12, 10)
    assert found.duration_seconds == pytest.approx(1.2)
    assert classifier.predict(frames).top == wanted.top, "10 is what it was trained on"
    twice = np.repeat(frames, 2, axis=0)
    assert classifier.predict(twice, fps=20).top == wanted.top
    assert classifier.predict(frames[:6], fps=10).top != wanted.top


def test_an_array_that_holds_no_frames(hasty_run):
    classifier = Classifier.load(hasty_run.folder)
    good = np.zeros((3, 32, 32, 3), np.uint8)
    for array in (good.astype(float), good[0], good[..., :1], good[:0]):
        with pytest.raises(DataError, match=r"expected frames as uint8 \(N, H, W, 3\), RGB, got"):
            classifier.predict(array)
    for fps in (-1, 0):
        with pytest.raises(
            DataError, match=f"expected frames per second from 0.1 to 1000, got {fps}"
        ):
            classifier.predict(good, fps=fps)


def test_what_is_said_of_an_array_is_json(hasty_run):
    prediction = Classifier(hasty_run).predict(
        np.zeros((3, 32, 32, 3), np.uint8), fps=np.float32(10)
    )
    assert json.loads(json.dumps(prediction.as_json()))["fps"] == 10


def test_a_saved_model_is_looked_for_in_its_export(hasty_run, tmp_path):
    run = Run(shutil.copytree(hasty_run.folder, tmp_path / "run"))
    export = Run(run.exports / "savedmodel")
    first = "clipline export .*run --format savedmodel, then "
    with pytest.raises(DataError, match=f"no SavedModel here. Next: {first}--run .*savedmodel$"):
        Classifier(run, runtime="savedmodel")
    export.saved_model.mkdir(parents=True)
    with pytest.raises(DataError, match=r"no SavedModel here. Next: --run .*savedmodel$"):
        Classifier(run, runtime="savedmodel")
    shutil.copy(run.bundle_file, export.bundle_file)
    with pytest.raises(DataError, match="an export, .* Name the run that it came from"):
        Classifier(export, runtime="keras")


def test_arguments_out_of_range(hasty_run, video):
    with pytest.raises(ConfigError, match="fps is for arrays: a file has its own"):
        Classifier(hasty_run).predict(video, fps=10)
    with pytest.raises(ConfigError, match="runtime must be one of auto, savedmodel, keras"):
        Classifier(hasty_run, runtime="onnx")
    with pytest.raises(ConfigError, match="num_threads must be at least 0. Received: -3"):
        Classifier(hasty_run, num_threads=-3)


@pytest.mark.parametrize("top", [0, -1])
def test_at_least_one_class_is_reported(hasty_run, video, top):
    with pytest.raises(ConfigError, match=f"top must be at least 1. Received: {top}"):
        Classifier(hasty_run).predict(video, top=top)


def test_a_fingerprint_is_that_of_all_that_an_answer_depends_on(hasty_run, blob_run, tmp_path):
    moved = copy_of(hasty_run, tmp_path / "moved")
    calibrated = with_calibration(hasty_run, tmp_path / "calibrated", temperature=2.0)
    export(moved)
    rounded = export(copy_of(hasty_run, tmp_path / "rounded"), "litert-float16").run
    mark = Classifier(hasty_run).fingerprint
    assert Classifier(moved).fingerprint == mark, "exported once more"
    assert Classifier(moved, runtime="keras").fingerprint == mark
    others = [Classifier(each).fingerprint for each in (blob_run, calibrated, rounded)]
    assert len({mark, *others}) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_gives_no_numbers_is_no_unknown(hasty_run, video, tmp_path, value):
    classifier = Classifier(hasty_run)
    classifier.members[0].runtime.logits = lambda *_: np.array([0, value], np.float32)
    message = "model.tflite: the model gives logits that are no numbers"
    with pytest.raises(DataError, match=message):
        classifier.predict(video)
    with pytest.raises(DataError, match=message):
        make_timeline(classifier, video)


# The script.


def test_json_has_one_object_a_line(classify, hasty_run, video, predictions, tmp_path):
    copy = shutil.copy(video, tmp_path / "copy.avi")
    result = classify(video, copy, "--json", "--run", hasty_run.folder)
    assert (result.returncode, result.stderr) == (0, "")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first | {"path": str(copy)} == second
    assert list(first) == [
        *("path", "label", "known", "holding", "probability", "max_logit", "top"),
        *("num_frames", "fps", "duration_seconds", "damaged"),
    ]
    assert first["path"] == str(video)
    assert [list(entry) for entry in first["top"]] == [["label", "probability"]] * 2
    (expected,) = (line for line in predictions if line["video"] == "left/g00 0.avi")
    assert first["label"] == expected["predicted"]
    assert first["probability"] == pytest.approx(float(expected["probability"]), abs=1e-3)


def test_text_has_one_line_a_video(classify, hasty_run, video):
    result = classify(video, "--run", hasty_run.folder)
    answer = Classifier(hasty_run).predict(video)
    (_, _), (other, other_probability) = answer.top
    assert result.stdout == (
        f"{video}: {answer.label} {answer.probability:.2f}   ({other} {other_probability:.2f})\n"
    )


def test_an_unknown_video_is_shown_with_all_its_classes(classify, hasty_run, video, tmp_path):
    run = with_calibration(hasty_run, tmp_path / "run", logit_threshold=99.0)
    result = classify(video, "--run", run.folder)
    shown = ", ".join(f"{name} {value:.2f}" for name, value in Classifier(run).predict(video).top)
    assert result.stdout == f"{video}: unknown   ({shown})\n"


@pytest.mark.parametrize(("top", "shown"), [("1", 1), ("2", 2), ("9", 2)])
def test_top_limits_the_classes(classify, hasty_run, video, top, shown):
    result = classify(video, "--json", "--top", top, "--run", hasty_run.folder)
    assert len(json.loads(result.stdout)["top"]) == shown


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_a_bad_file_among_good_ones(classify, hasty_run, video, tmp_path, as_json):
    bad, missing = tmp_path / "bad.mp4", tmp_path / "missing.mp4"
    bad.write_text("no video")
    copy = shutil.copy(video, tmp_path / "copy.avi")
    options = ["--json"] if as_json else []
    result = classify(video, bad, missing, copy, *options, "--run", hasty_run.folder)

    assert result.returncode == 1
    failed = [bad, missing]
    if as_json:
        assert not result.stderr
        first, *errors, last = map(json.loads, result.stdout.splitlines())
        assert first | {"path": str(copy)} == last
        assert first["label"]
        assert [entry["path"] for entry in errors] == list(map(str, failed))
        assert all(list(entry) == ["path", "error"] and entry["error"] for entry in errors)
    else:
        first, last = result.stdout.splitlines()
        assert first.replace(str(video), str(copy)) == last
        for line, path in zip(result.stderr.splitlines(), failed, strict=True):
            assert line.startswith(f"{path}: ")


def test_the_names_of_files_command_no_terminal(classify, hasty_run, video, tmp_path):
    strange = tmp_path / "a\x1b[2J\n\u009b.avi"
    shutil.copy(video, strange)
    result = classify(strange, tmp_path / "gone\n.avi", "--run", hasty_run.folder)
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{tmp_path}/a\\u001b[2J\\u000a\\u009b.avi: ")
    assert result.stderr.startswith(f"{tmp_path}/gone\\u000a.avi: ")
    result = classify(strange, "--json", "--run", hasty_run.folder)
    assert json.loads(result.stdout)["path"] == str(strange)


def test_neither_tensorflow_nor_keras_is_imported(hasty_run, video):
    code = f"""
import runpy, sys
sys.argv = ["classify.py", {str(video)!r}, "--run", {str(hasty_run.folder)!r}]
try:
    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
except SystemExit as end:
    assert end.code == 0, end.code
print(*sorted({{"tensorflow", "keras"}} & sys.modules.keys()))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    answer, imported = result.stdout.splitlines()
    assert answer.startswith(str(video))
    assert not imported
