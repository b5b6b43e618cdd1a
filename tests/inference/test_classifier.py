"""Classifying files gives the answers of evaluation, from the shell, without TensorFlow."""

import dataclasses
import json
import shutil
from functools import partial

import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.config.file import save_config
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.answering import answer
from pipeline.inference.bundle import bundle_of, read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.timeline import make_timeline
from pipeline.run import Run
from pipeline.video import iter_frames
from tests.inference.commands import classify
from tests.inference.videos import predictions_of
from tests.runs import changed, drawn_run


def copy_of(run, folder):
    return Run(shutil.copytree(run.folder, folder))


def with_bundle(run, folder, **changes):
    """A copy of a run whose bundle is another."""
    copy = copy_of(run, folder)
    write_bundle(dataclasses.replace(read_bundle(copy), **changes), copy)
    return copy


def with_calibration(run, folder, **values):
    calibration = dataclasses.replace(read_bundle(run).calibration, **values)
    return with_bundle(run, folder, calibration=calibration)


@pytest.fixture(scope="module")
def flow_run(flow_store, small_config, made):
    streams = {"model.streams": ["rgb", "flow"], "clip.num_frames": 8}
    config = changed(small_config, {"data": str(flow_store.path), **streams})
    return Run(made("run of flow", lambda folder: answer(drawn_run(config, folder), "test")))


def test_every_video_gets_the_answer_of_evaluation(answered_run, flow_run, blob_videos, tmp_path):
    """Optical flow is computed as it was stored, also that of a table, which stores none."""
    for run in (answered_run, flow_run):
        lines, classifier = predictions_of(run), Classifier(run)
        assert len(lines) == 16
        assert len({line["probability"] for line in lines}) > 8
        for line in lines:
            found = classifier.predict(blob_videos / line["video"])
            assert found.label == line["predicted"]
            assert found.probability == pytest.approx(float(line["probability"]), abs=1e-3)
    copy = copy_of(flow_run, tmp_path / "run")
    save_config(changed(flow_run.config(), {"frames.flow": False}), copy.config_file)
    write_bundle(bundle_of(copy), copy)
    assert Classifier(copy).predict(found.path) == found


def test_two_files_are_enough(hasty_run, video, tmp_path):
    run = Run(tmp_path)
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(hasty_run.folder / name, tmp_path / name)
    assert Classifier(run).predict(video) == Classifier(hasty_run).predict(video)
    run.litert_file.unlink()
    with pytest.raises(DataError, match="model.tflite is missing. Export it: clipline export"):
        Classifier(run)


def test_a_bundle_of_another_model(hasty_run, tmp_path):
    for number, changes in enumerate(
        (
            {"class_names": ("left",)},
            {"clip": ClipConfig(num_frames=5)},
            {"model": ModelConfig(streams=("rgb", "flow"))},
            {"frames": FramesConfig(fps=10, size=48, jpeg_quality=95)},
        )
    ):
        run = with_bundle(hasty_run, tmp_path / str(number), **changes)
        with pytest.raises(DataError, match="does not fit the bundle.json beside it"):
            Classifier(run)


def test_answers_are_calibrated(hasty_run, video, tmp_path):
    plain = Classifier(hasty_run).predict(video)
    run = with_calibration(hasty_run, tmp_path / "at", logit_threshold=plain.max_logit)
    assert Classifier(run).predict(video) == plain
    just_above = np.nextafter(plain.max_logit, np.inf)
    run = with_calibration(hasty_run, tmp_path / "above", logit_threshold=just_above)
    unknown = Classifier(run).predict(video)
    assert (unknown.label, unknown.known) == ("unknown", False)
    assert (unknown.probability, unknown.top) == (plain.probability, plain.top)
    run = with_calibration(hasty_run, tmp_path / "run", temperature=2.0)
    calibrated = Classifier(run).predict(video)
    odds, half = (each.probability / (1 - each.probability) for each in (plain, calibrated))
    assert half == pytest.approx(np.sqrt(odds))


def test_an_array_is_classified_and_described_as_the_file_that_holds_it(hasty_run, video):
    classifier = Classifier.load(hasty_run.folder)
    frames = np.stack(list(iter_frames(video)))
    found, wanted = classifier.predict(frames, fps=10), classifier.predict(str(video))
    assert found.top == wanted.top
    assert wanted.path == str(video)
    for each in (found, wanted):
        assert (each.num_frames, each.fps) == (12, 10)
        assert each.duration_seconds == pytest.approx(1.2)
    assert wanted.top[0] == (wanted.label, wanted.probability)
    assert {label for label, _ in wanted.top} == {"left", "right"}
    first, second = (probability for _, probability in wanted.top)
    assert first > second
    assert first + second == pytest.approx(1)
    assert classifier.predict(frames).top == wanted.top, "10 is what it was trained on"
    twice = classifier.predict(np.repeat(frames, 2, axis=0), fps=np.float32(20))
    assert twice.top == wanted.top
    assert json.loads(json.dumps(twice.as_json()))["fps"] == 20
    assert classifier.predict(frames[:6], fps=10).top != wanted.top


def test_a_saved_model_is_looked_for_in_its_export(hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
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


def test_what_cannot_be_classified(hasty_run, video):
    """Nor is it unknown where a model gives no numbers."""
    frames, classifier = np.zeros((3, 32, 32, 3), np.uint8), Classifier(hasty_run)
    no_frames = r"expected frames as uint8 \(N, H, W, 3\), RGB, got"
    for given, options, message in (
        ("a.avi", {"fps": 10}, "fps is for arrays: a file has its own"),
        (frames, {"top": 0}, "top must be at least 1. Received: 0"),
        (frames, {"fps": 0}, "expected frames per second from 0.1 to 1000, got 0"),
        *((each, {}, no_frames) for each in (frames * 1.0, frames[0], frames[..., :1], frames[:0])),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            classifier.predict(given, **options)
    with pytest.raises(ConfigError, match="runtime must be one of auto, savedmodel, keras"):
        Classifier(hasty_run, runtime="onnx")
    with pytest.raises(ConfigError, match="num_threads must be at least 0. Received: -3"):
        Classifier(hasty_run, num_threads=-3)
    for value, use in ((np.nan, classifier.predict), (np.inf, partial(make_timeline, classifier))):
        logits = np.array([0, value], np.float32)
        classifier.members[0].runtime.logits = lambda *_, found=logits: found
        with pytest.raises(DataError, match="the model gives logits that are no numbers"):
            use(video)


def test_a_fingerprint_is_that_of_all_that_an_answer_depends_on(exports, hasty_run, tmp_path):
    run = exports["litert"].run
    mark = Classifier(run).fingerprint
    assert Classifier(with_bundle(run, tmp_path / "moved")).fingerprint == mark
    assert Classifier(exports["onnx"].run).fingerprint == mark, "exported once more"
    assert Classifier(run, runtime="keras").fingerprint == mark
    calibrated = with_calibration(run, tmp_path / "calibrated", temperature=2.0)
    others = (hasty_run, calibrated, exports["litert-float16"].run)
    assert len({mark, *(Classifier(each).fingerprint for each in others)}) == 4


# The command.


def test_the_command_says_a_line_a_video_in_json_or_text(answered_run, video, tmp_path):
    """As many classes as it is asked for."""
    copy = shutil.copy(video, tmp_path / "copy.avi")
    done = classify(video, copy, "--json", "--run", answered_run.folder)
    assert (done.code, done.errors) == (0, "")
    first, second = map(json.loads, done.output.splitlines())
    assert first | {"path": str(copy)} == second
    assert list(first) == [
        *("path", "label", "known", "holding", "probability", "max_logit", "top"),
        *("num_frames", "fps", "duration_seconds", "damaged"),
    ]
    assert first["path"] == str(video)
    assert [list(entry) for entry in first["top"]] == [["label", "probability"]] * 2
    (expected,) = (x for x in predictions_of(answered_run) if x["video"] == "left/g00 0.avi")
    assert first["label"] == expected["predicted"]
    assert first["probability"] == pytest.approx(float(expected["probability"]), abs=1e-3)
    answer = Classifier(answered_run).predict(video)
    (_, _), (other, other_probability) = answer.top
    assert classify(video, "--run", answered_run.folder).output == (
        f"{video}: {answer.label} {answer.probability:.2f}   ({other} {other_probability:.2f})\n"
    )
    run = with_calibration(answered_run, tmp_path / "run", logit_threshold=99.0)
    shown = ", ".join(f"{name} {value:.2f}" for name, value in answer.top)
    assert classify(video, "--run", run.folder).output == f"{video}: unknown   ({shown})\n"
    for top, number in ((1, 1), (9, 2)):
        done = classify(video, "--json", "--top", top, "--run", answered_run.folder)
        assert len(json.loads(done.output)["top"]) == number


def test_a_bad_file_among_good_ones(hasty_run, video, tmp_path):
    bad, missing = tmp_path / "bad.mp4", tmp_path / "missing.mp4"
    bad.write_text("no video")
    copy = shutil.copy(video, tmp_path / "copy.avi")
    words = (video, bad, missing, copy, "--run", hasty_run.folder)
    done = classify(*words, "--json")
    assert (done.code, done.errors) == (1, "")
    first, *errors, last = map(json.loads, done.output.splitlines())
    assert first | {"path": str(copy)} == last
    assert first["label"]
    assert [entry["path"] for entry in errors] == [str(bad), str(missing)]
    assert all(list(entry) == ["path", "error"] and entry["error"] for entry in errors)
    done = classify(*words)
    assert done.code == 1
    first, last = done.output.splitlines()
    assert first.replace(str(video), str(copy)) == last
    for line, path in zip(done.errors.splitlines(), (bad, missing), strict=True):
        assert line.startswith(f"{path}: ")


def test_the_names_of_files_command_no_terminal(hasty_run, video, tmp_path):
    strange = shutil.copy(video, tmp_path / "a\x1b[2J\n\u009b.avi")
    done = classify(strange, tmp_path / "gone\n.avi", "--run", hasty_run.folder)
    (line,) = done.output.splitlines()
    assert line.startswith(f"{tmp_path}/a\\u001b[2J\\u000a\\u009b.avi: ")
    assert done.errors.startswith(f"{tmp_path}/gone\\u000a.avi: ")
    done = classify(strange, "--json", "--run", hasty_run.folder)
    assert json.loads(done.output)["path"] == str(strange)
