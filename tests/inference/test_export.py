"""Exports, and what runs a model: the same answers as Keras, whoever else asks at once."""

import dataclasses
import json
import math
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.export import format_exported
from pipeline.config.file import save_config
from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.inference import litert
from pipeline.inference.agreement import (
    LEAST_SAME,
    ROUNDING,
    TOLERANCE,
    Exported,
    check,
    some_clips,
)
from pipeline.inference.bundle import checksum, read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import pairs_of
from pipeline.inference.export import export
from pipeline.inference.litert import LiteRTModel
from pipeline.inference.runtime import Runtime
from pipeline.inference.runtimes import open_runtime
from pipeline.inference.tensorflow import open_saved_model
from pipeline.inference.timeline import make_timeline
from pipeline.models.parts import Parts
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.video import write_video
from tests.inference import commands
from tests.processes import killed_ever_later
from tests.runs import changed


@pytest.fixture
def run(exports, tmp_path):
    """One that was exported in all ways; to be changed."""
    return Run(shutil.copytree(exports["litert"].run.folder, tmp_path / "run"))


def test_the_export_is_one_file_that_differs_by_rounding_alone(
    run, store_without_validation, exports, tmp_path, monkeypatch
):
    """Its bytes are the same wherever the data set is, also where that has no validation videos."""
    traced = []

    def clip(self, inputs, clip=Parts.clip):
        traced.append(inputs)
        return clip(self, inputs)

    monkeypatch.setattr(Parts, "clip", clip)
    save_config(changed(run.config(), {"data": "gone"}), run.config_file)
    environment = {**run.environment(), "data_fingerprint": store_without_validation.fingerprint}
    run.environment_file.write_text(json.dumps(environment))
    moved = shutil.copytree(store_without_validation.path, tmp_path / "moved")
    before = set(run.folder.iterdir())
    run.litert_file.unlink()
    assert 0 <= export(run, data=moved, num_clips=3).difference < 1e-4
    assert set(run.folder.iterdir()) == before
    assert run.litert_file.read_bytes() == exports["litert"].model.read_bytes()
    assert len(traced) == 1


def opened(model):
    return (open_saved_model if model.name == "saved_model" else open_runtime)(model)


def test_what_cannot_be_exported_leaves_what_was_there(run, monkeypatch):
    before, content = set(run.folder.iterdir()), run.litert_file.read_bytes()

    def refused(error, message, kind="litert"):
        with pytest.raises(error, match=message):
            export(run, kind)
        assert set(run.folder.iterdir()) == before
        assert run.litert_file.read_bytes() == content

    with monkeypatch.context() as patch:
        patch.setitem(TOLERANCE, "litert", -1.0)
        refused(PipelineError, r"differs from the trained one by .*it was not kept")
    onnx = checksum(run.exports / "onnx")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    refused(ConfigError, r"ONNX needs tf2onnx: .*pip install -e '\.\[onnx\]'", "onnx")
    assert checksum(run.exports / "onnx") == onnx
    save_config(changed(run.config(), {"temporal.units": 9}), run.config_file)
    refused(DataError, "the model does not fit the config.toml")


EXPORTED = Exported(
    run=Run(Path()),
    model=Path("model.tflite"),
    num_bytes=1,
    num_clips=32,
    difference=1e-6,
    noise=1e-6,
    same_answers=31 / 32,
    clip_seconds=1.0,
    keras_seconds=1.0,
)


def test_how_far_an_export_may_be_off_in_clips_from_all_over_the_split(tiny_store, tiny_config):
    """A near tie may get another answer; what rounds has bounds of its own."""
    clips, everything = (
        [clip["frames"] for clip in some_clips(tiny_store, tiny_config, number, "train")]
        for number in (2, 32)
    )
    np.testing.assert_array_equal(clips, everything[::4])
    check(EXPORTED, "litert")
    for difference in (2e-3, math.nan):
        with pytest.raises(PipelineError, match="it was not kept"):
            check(dataclasses.replace(EXPORTED, difference=difference), "litert")
    for kind, most in ROUNDING.items():
        near = dataclasses.replace(EXPORTED, difference=1.0, noise=most, same_answers=LEAST_SAME)
        check(near, kind)
        for change in ({"noise": 1.01 * most}, {"noise": math.nan}, {"same_answers": 0.89}):
            with pytest.raises(PipelineError, match=f"{kind} is too far .* Export it as --format"):
                check(dataclasses.replace(near, **change), kind)


@pytest.mark.parametrize(
    ("vast", "reason"),
    [
        (1e4, r"litert-int8 is too far .* of 16 clips .* get its .* off by [\d.]+ of"),
        (1e6, r"litert-int8.* not kept"),  # some interpreters run it, some do not
    ],
)
def test_a_model_that_8_bits_cannot_hold_is_not_exported_to_them(run, vast, reason):
    """One channel is vast and used by nobody: its range leaves no bits to the others."""
    model = load_recognizer(run.model_file)
    layers = model.get_layer("difference_features").layer.get_layer("cnn").layers
    normalise = next(each for each in layers if "normalization" in each.name)
    second = [each for each in layers if "conv" in each.name][1]
    gamma, kernel = normalise.gamma.numpy(), second.kernel.numpy()
    gamma[0], kernel[:, :, 0] = vast, 0
    normalise.gamma.assign(gamma)
    second.kernel.assign(kernel)
    model.save(run.model_file)
    shutil.rmtree(run.exports)
    with pytest.raises(PipelineError, match=reason):
        export(run, "litert-int8", num_clips=16)
    assert not run.exports.exists()


def test_an_export_that_was_killed_is_in_nobodys_way(run, exports):
    """Nor is one that ended. The command says what it wrote."""
    model = run.folder / exports["savedmodel"].model.relative_to(exports["litert"].run.folder)
    left = model.with_name(f".partial-{model.name}")
    for folder in (left, model, run.folder / ".new-savedmodel"):
        folder.mkdir(exist_ok=True)
        (folder / "half").write_bytes(b"half")
    done = commands.run("export", run.folder, "--format", "savedmodel")
    assert (done.code, done.errors) == (0, "")
    assert re.match(rf"{re.escape(str(model))}: \d+\.\d MB, .* a clip on", done.output)
    assert not left.exists()
    assert not (model / "half").exists()
    assert not (run.folder / ".new-savedmodel").exists()


SMALLER = {"litert-float16": 0.7, "litert-int8": 0.8}


@pytest.mark.parametrize("kind", ["litert-float16", "litert-int8", "savedmodel", "onnx"])
def test_every_format_classifies_on_its_own(exports, blob_videos, tmp_path, kind):
    """In a folder of its own, wherever that is moved, with the answers of the run."""
    exported, original = exports[kind], exports["litert"]
    rounds = kind in SMALLER
    assert exported.difference < (1 if rounds else 1e-4)
    assert exported.same_answers >= (LEAST_SAME if rounds else 1)
    assert exported.noise < ROUNDING.get(kind, 1e-4)
    if rounds:
        assert exported.num_bytes < SMALLER[kind] * original.num_bytes
    alone = Run(shutil.copytree(exported.run.folder, tmp_path / "alone"))
    classifier = Classifier(alone, runtime="savedmodel" if kind == "savedmodel" else "auto")
    of_the_run = Classifier(original.run)
    for video in ("left/g00 0.avi", "right/g01 0.avi", "left/g03 1.avi"):
        found = classifier.predict(blob_videos / video)
        wanted = of_the_run.predict(blob_videos / video)
        assert found.probability == pytest.approx(wanted.probability, abs=0.1 if rounds else 1e-4)
        assert found.top[0][0] == wanted.top[0][0]
    assert "MB" in format_exported(exported)
    other = dataclasses.replace(classifier.bundle, export="0" * 12)
    assert classifier.bundle.export not in ("", other.export)
    write_bundle(other, alone)
    with pytest.raises(DataError, match=r"does not fit the bundle.json beside it. Export it again"):
        Classifier(alone, runtime="savedmodel" if kind == "savedmodel" else "auto")


TAKE_PLACE = """
import shutil, sys
from pathlib import Path
from pipeline.inference.bundle import take_place
from pipeline.run import Run
new, folder, other = map(Path, sys.argv[2:])
shutil.copytree(other, new, dirs_exist_ok=True)
take_place(Run(new), Run(folder))
"""


@pytest.mark.parametrize("inside", ["", "export/litert-float16"])
def test_a_kill_leaves_the_export_before_or_the_new_one_or_is_told(run, exports, inside):
    other, target = exports["litert-int8"].run.folder, Run(run.folder / inside)
    older = dataclasses.replace(read_bundle(target), export="")  # as before there were checksums
    write_bundle(older, target)

    def answering():
        return Classifier(target).fingerprint, checksum(target.litert_file)

    found = [answering()]
    for _ in killed_ever_later(TAKE_PLACE, run.folder / ".new-it", target.folder, other):
        try:
            found.append(answering())
        except DataError as error:
            assert re.search(r"Export it( again)?: clipline export \S+/run( |$)", str(error))  # noqa: PT017
    assert found[-1] == (Classifier(Run(other)).fingerprint, checksum(Run(other).litert_file))
    assert len(set(found)) == 2
    assert found.index(found[-1]) > 0


def test_keras_itself_gives_the_same_answers(run, blob_videos):
    video, classifier = blob_videos / "left" / "g00 0.avi", Classifier(run, runtime="keras")
    with ThreadPoolExecutor(4) as threads:
        by_threads = list(threads.map(classifier.predict, 8 * [video]))
    found = classifier.predict(video)
    assert by_threads == 8 * [found]
    wanted = Classifier(run).predict(video)
    assert found.label == wanted.label
    assert found.probability == pytest.approx(wanted.probability, abs=1e-5)


def test_all_ways_to_the_logits_are_those_of_keras(exports, blob_store):
    """The signature that TensorFlow Serving calls takes any number of clips."""
    import tensorflow as tf

    run = exports["litert"].run
    inputs, _ = next(iter(evaluation_batches(blob_store, run.config(), "test")))
    assert len(inputs["mask"]) == 8
    wanted = load_recognizer(run.model_file).predict_on_batch(inputs)
    served = tf.saved_model.load(str(exports["savedmodel"].model)).signatures["serving_default"]
    np.testing.assert_allclose(served(**inputs)["logits"], wanted, atol=1e-5)
    clip = {name: tensor.numpy()[0] for name, tensor in inputs.items()}
    for kind in ("litert", "savedmodel", "onnx"):
        runtime = opened(exports[kind].model)
        logits = runtime.logits(runtime.features(pairs_of(clip)), clip["mask"])
        for found in (runtime.clip_logits(clip), logits):
            np.testing.assert_allclose(found, wanted[0], atol=1e-4)


@pytest.mark.parametrize("kind", ["savedmodel", "onnx"])
def test_a_damaged_export(exports, kind, tmp_path):
    model = shutil.copytree(exports[kind].model, tmp_path / exports[kind].model.name)
    for file in model.rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged")
    with pytest.raises(DataError, match=rf"damaged. Export it again: .* --format {kind}"):
        opened(model)


# What runs a model.


MEBIBYTE = 2**20
THREADS = 8


class MeanColour(Runtime):
    """The backbone is the mean of each frame and of the one before it."""

    path, num_classes = Path("none"), 2

    def __init__(self):
        self.sizes = []

    def inputs(self, part):
        return {part: ()}

    def run(self, part, inputs):
        assert part == "features"
        self.sizes.append(sum(each.nbytes for each in inputs.values()))
        found = [each.mean(axis=(2, 3, 4)) for each in inputs.values()]
        return {"rgb_features": np.concatenate(found, axis=1, dtype=np.float32)}


@pytest.mark.parametrize(("size", "calls"), [(16, 1), (224, 9), (320, 9)])
def test_frames_go_through_the_backbone_few_at_once(size, calls):
    pairs = np.random.default_rng(0).integers(0, 256, (9, 2, size, size, 3), np.uint8)
    model = MeanColour()
    features = model.features({"frames": pairs, "flow": pairs[::-1]})["rgb_features"]
    both = np.concatenate([pairs, pairs[::-1]], axis=1).mean(axis=(2, 3, 4), dtype=np.float32)
    np.testing.assert_allclose(features, both, rtol=1e-5)
    assert max(model.sizes) <= max(MEBIBYTE, 2 * pairs[0].nbytes)
    assert len(model.sizes) == calls


def test_what_lies_in_padding_or_is_written_to_an_open_file_later_does_not_count(
    hasty_run, blob_store, tmp_path, monkeypatch
):
    """Not for threads that come later either, which take an interpreter more."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    model, config = load_recognizer(hasty_run.model_file), hasty_run.config()
    exported = LiteRTModel(Path(shutil.copy(hasty_run.litert_file, tmp_path)), num_threads=2)
    masks = []
    for inputs, _ in evaluation_batches(blob_store, config, "test"):
        given = (inputs["frames"].numpy(), inputs["mask"].numpy(), model(inputs).numpy())
        for frames, mask, expected in zip(*given, strict=True):
            spoilt = np.where(mask[:, None, None, None], frames, 255).astype(np.uint8)
            for each in (frames, spoilt):
                logits = exported.clip_logits({"frames": each, "mask": mask})
                assert logits.dtype == np.float32
                np.testing.assert_allclose(logits, expected, atol=1e-4)
            masks.append(bool(mask.all()))
    assert set(masks) == {True, False}
    exported.path.write_bytes(b"another")
    with exported._interpreters.borrowed():
        logits = exported.clip_logits({"frames": frames, "mask": mask})
        np.testing.assert_allclose(logits, expected, atol=1e-4)
    with pytest.raises(DataError, match="model.tflite: not a LiteRT model, or damaged"):
        LiteRTModel(exported.path)


def in_threads(work, items):
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, items))


@pytest.fixture(scope="module")
def arrays():
    """Videos of 3 to 14 frames, of which some are too short for a clip."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(256, size=(3 + number % 12, 32, 32, 3), dtype=np.uint8) for number in range(48)
    ]


def test_threads_have_the_answers_of_one_by_one(hasty_run, arrays, tmp_path):
    wanted = [Classifier(hasty_run).predict(array) for array in arrays]
    assert len({answer.probability for answer in wanted}) > 45, "an answer tells its video"
    assert in_threads(Classifier(hasty_run).predict, arrays) == wanted
    paths = [tmp_path / f"{number}.avi" for number in range(THREADS)]
    for number, path in enumerate(paths):
        write_video(path, np.concatenate(arrays[number::THREADS]), fps=10, codec="FFV1")

    def logits(path):
        windows = make_timeline(classifier, path, window_seconds=0.8).windows
        return np.stack([window.logits for window in windows]).tolist()

    classifier = Classifier(hasty_run)
    wanted = [logits(path) for path in paths]
    classifier = Classifier(hasty_run)
    assert in_threads(logits, paths) == wanted


@pytest.mark.parametrize("cores", [1, 2])
def test_there_are_no_more_interpreters_than_cores(hasty_run, arrays, monkeypatch, cores):
    started = []

    class Counted(litert.Interpreter):
        def __init__(self, *arguments, **options):
            started.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(litert, "Interpreter", Counted)
    monkeypatch.setattr("pipeline.spares.os.cpu_count", lambda: cores)
    classifier = Classifier(hasty_run)
    for array in arrays[:3]:
        classifier.predict(array)
    assert len(started) == 1, "one thread takes one"
    in_threads(classifier.predict, arrays)
    assert len(started) == cores
