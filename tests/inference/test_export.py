"""Exports, and what runs them as Keras does; what comes from a stranger computes, and no more."""

import dataclasses
import json
import math
import re
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from pipeline.cli.export import format_exported
from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.config.file import save_config
from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.inference.agreement import LEAST_SAME, ROUNDING, TOLERANCE, check, some_clips
from pipeline.inference.bundle import Bundle, checksum, read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import pairs_of
from pipeline.inference.export import export
from pipeline.inference.runtime import Runtime
from pipeline.inference.runtimes import open_runtime
from pipeline.inference.tensorflow import open_saved_model
from pipeline.inference.timeline import make_timeline
from pipeline.models.backbones.keras_file import _load
from pipeline.models.parts import CLIP, FEATURES, TEMPORAL, Parts
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.training.checkpoint import restore
from pipeline.training.run_folder import open_run
from pipeline.video import write_video
from tests.inference import commands
from tests.networks import write_tflite
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
    assert 0 <= export(open_run(run, moved), num_clips=3).difference < 1e-4
    assert set(run.folder.iterdir()) == before
    assert run.litert_file.read_bytes() == exports["litert"].model.read_bytes()
    assert len(traced) == 1


def test_what_cannot_be_exported_leaves_what_was_there(run, monkeypatch):
    before, content = set(run.folder.iterdir()), run.litert_file.read_bytes()

    def refused(error, message, kind="litert"):
        with pytest.raises(error, match=message):
            export(open_run(run), kind)
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


def test_how_far_an_export_may_be_off_in_clips_from_all_over_the_split(
    exports, tiny_store, tiny_config
):
    """A near tie may get another answer; what rounds has bounds of its own."""
    clips, everything = (
        [clip["frames"] for clip in some_clips(tiny_store, tiny_config, number, "train")]
        for number in (2, 32)
    )
    np.testing.assert_array_equal(clips, everything[::4])
    tie = dataclasses.replace(exports["litert"], difference=1e-6, same_answers=31 / 32)
    check(tie, "litert")
    for difference in (2e-3, math.nan):
        with pytest.raises(PipelineError, match="it was not kept"):
            check(dataclasses.replace(tie, difference=difference), "litert")
    for kind, most in ROUNDING.items():
        near = dataclasses.replace(tie, difference=1.0, noise=most, same_answers=LEAST_SAME)
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
        export(open_run(run), "litert-int8", num_clips=16)
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


def opened(model):
    return (open_saved_model if model.name == "saved_model" else open_runtime)(model)


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
    model = alone.folder / exported.model.name
    for file in [model, *model.rglob("*")]:
        if file.is_file():
            file.write_bytes(b"damaged")
    which = "" if rounds else f".* --format {kind}"
    with pytest.raises(DataError, match=f"damaged. Export it again: {which}"):
        opened(model)


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


def test_all_ways_to_the_logits_are_those_of_keras(exports, blob_store, video):
    """The signature that TensorFlow Serving calls takes any number of clips."""
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
    classifier, wanted = Classifier(run, runtime="keras"), Classifier(run).predict(video)
    found = classifier.predict(video)
    assert found.label == wanted.label
    assert found.probability == pytest.approx(wanted.probability, abs=1e-5)
    assert in_threads(classifier.predict, 8 * [video]) == 8 * [found]


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
    path = Path(shutil.copy(hasty_run.litert_file, tmp_path))
    exported = open_runtime(path, num_threads=2)
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
    path.write_bytes(b"another")
    with exported._parts["temporal"]._file.interpreter():
        logits = exported.clip_logits({"frames": frames, "mask": mask})
        np.testing.assert_allclose(logits, expected, atol=1e-4)
    with pytest.raises(DataError, match="model.tflite: not a LiteRT model, or damaged"):
        open_runtime(path)
    with pytest.raises(DataError, match="model.tflite: exported by another version of this prog"):
        open_runtime(write_tflite(path))


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

    class Counted(Interpreter):
        def __init__(self, *arguments, **options):
            started.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter", Counted)
    monkeypatch.setattr("pipeline.networks.os.cpu_count", lambda: cores)
    classifier = Classifier(hasty_run)
    for array in arrays[:3]:
        classifier.predict(array)
    assert len(started) == 1, "one thread takes one"
    in_threads(classifier.predict, arrays)
    assert len(started) == cores


# What comes from a stranger computes, and does nothing else.


class Writer(tf.Module):
    """A network of two classes that writes a file whenever it looks at frames."""

    def __init__(self, file, bundle):
        super().__init__()
        self._file, self._clip = file, bundle.clip
        size = bundle.frames.size
        self.pairs = tf.TensorSpec((None, 2, size, size, 3), tf.uint8)
        self.frames = tf.TensorSpec((None, self._clip.num_frames, size, size, 3), tf.uint8)
        self.mask = tf.TensorSpec((None, self._clip.num_frames), tf.bool)
        self.rows = tf.TensorSpec((None, self._clip.num_frames, 1), tf.float32)

    def save(self, folder):
        signatures = {
            CLIP: tf.function(self.whole).get_concrete_function(frames=self.frames, mask=self.mask),
            FEATURES: tf.function(self.features).get_concrete_function(frames=self.pairs),
            TEMPORAL: tf.function(self.temporal).get_concrete_function(
                rgb=self.rows, mask=self.mask
            ),
        }
        tf.saved_model.save(self, str(folder), signatures)

    def whole(self, frames, mask):
        return {"logits": tf.zeros((tf.shape(frames)[0], 2)) + 0 * tf.reduce_sum(_number(mask))}

    def features(self, frames):
        with tf.control_dependencies([tf.io.write_file(self._file, "was here")]):
            return {"rgb": tf.zeros((tf.shape(frames)[0], 1))}

    def temporal(self, rgb, mask):
        return {"logits": tf.zeros((1, 2)) + tf.reduce_sum(rgb) + 0 * tf.reduce_sum(_number(mask))}


def _number(mask):
    return tf.cast(mask, tf.float32)


@pytest.fixture
def strange_run(hasty_run, tmp_path):
    """A folder of `bundle.json` and a SavedModel that writes the file `mark`."""
    strange = Run(tmp_path / "strange")
    strange.folder.mkdir()
    write_bundle(dataclasses.replace(read_bundle(hasty_run), export=""), strange)
    Writer(str(tmp_path / "mark"), read_bundle(strange)).save(strange.saved_model)
    return strange


def test_a_saved_model_of_a_stranger_is_opened_only_when_it_is_asked_for(
    strange_run, video, tmp_path
):
    """Nor is it under the name of another format."""
    with pytest.raises(DataError, match=r"can run any program. If you trust who made it, ask"):
        Classifier.load(strange_run.folder)
    for name in ("classify", "stream"):
        assert (
            "--runtime savedmodel" in commands.run(name, video, "--run", strange_run.folder).mistake
        )
    assert not (tmp_path / "mark").exists()
    Classifier.load(strange_run.folder, runtime="savedmodel").predict(video)
    assert (tmp_path / "mark").read_text() == "was here"
    (tmp_path / "mark").unlink()
    strange_run.saved_model.rename(strange_run.onnx)
    with pytest.raises(DataError, match="not an exported ONNX model"):
        Classifier(strange_run)
    strange_run.onnx.rename(strange_run.litert_file)
    with pytest.raises(DataError, match="not a LiteRT model"):
        Classifier(strange_run)
    assert not (tmp_path / "mark").exists()


def keras_file(path, config):
    """A `.keras` file of that configuration."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
        file.writestr("model.weights.h5", b"")
    return path


def sequential(layer):
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"shape": [1]}}
    config = {"name": "model", "layers": [first, layer]}
    return {"module": "keras", "class_name": "Sequential", "config": config}


def lambda_layer(mark):
    """A Lambda layer whose code, in the file itself, writes the file `mark`."""
    layer = keras.layers.Lambda(lambda x: open("mark", "w") and x)  # noqa: PTH123, SIM115
    return keras.saving.serialize_keras_object(layer)


def foreign(mark):
    """A class of a module that writes a file when it is imported."""
    module = mark.with_name("foreign_module.py")
    module.write_text(f"open({str(mark)!r}, 'w')\nclass Layer: pass\n")
    return {"module": module.stem, "class_name": "Layer", "config": {}, "registered_name": "Layer"}


def saved_model_layer(mark):
    """A layer that runs a SavedModel, which writes a file."""

    def write(x):
        with tf.control_dependencies([tf.io.write_file(str(mark), "")]):
            return tf.identity(x)

    module = tf.Module()
    module.write = tf.function(write, input_signature=[tf.TensorSpec((None, 1))])
    tf.saved_model.save(module, str(mark.with_name("inner")), {"serve": module.write})
    config = {"filepath": str(mark.with_name("inner")), "call_endpoint": "serve"}
    return {"module": "keras.layers", "class_name": "TFSMLayer", "config": config}


def test_a_keras_file_that_holds_more_than_a_network_or_none_does_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    layers = [layer(tmp_path / "mark") for layer in (lambda_layer, foreign, saved_model_layer)]
    (tmp_path / "mark").unlink(missing_ok=True)
    for config in (
        *map(sequential, layers),
        [],
        {},
        {"module": None, "class_name": "Unknown", "config": {}, "registered_name": "a>b"},
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}},
        {"module": "keras", "class_name": "Functional", "config": []},
    ):
        file = keras_file(tmp_path / "model.keras", config)
        with pytest.raises(DataError, match=r"model.keras: not a model of a run, or damaged"):
            load_recognizer(file)
        with pytest.raises(DataError, match=r"model.keras: "):
            _load(file)
    assert not (tmp_path / "mark").exists()


class Opener:
    """Creates the file `mark` where it is unpickled."""

    def __reduce__(self):
        return open, ("mark", "w")


def test_a_checkpoint_that_holds_a_pickle_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = np.array([Opener()], object)
    np.savez("checkpoint.npz", progress=array, **{"0": array})
    with pytest.raises(DataError, match=r"checkpoint.npz"):
        restore(tmp_path / "checkpoint.npz", None)
    assert not (tmp_path / "mark").exists()


# What is in a bundle is checked, whoever wrote it, without TensorFlow.

BUNDLE = Bundle(
    class_names=("left", "right"),
    frames=FramesConfig(fps=10.0, size=32, jpeg_quality=95),
    clip=ClipConfig(num_frames=8),
    model=ModelConfig(task="video", streams=("rgb",)),
    calibration=Calibration(temperature=1.5, logit_threshold=0.5, num_videos=3),
    weights="0123456789ab",
)
DEEP = '{"format": 5, "clip": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}"


@pytest.fixture
def written(tmp_path):
    """A run that is a bundle alone."""
    write_bundle(BUNDLE, Run(tmp_path))
    return Run(tmp_path)


def refused(run, content, message):
    run.bundle_file.write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=f"bundle.json: {message}") as caught:
        read_bundle(run)
    assert "Export it again: clipline export" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_bundle_is_read_as_it_was_written_and_nothing_else_is(written):
    run = written
    assert read_bundle(run) == BUNDLE
    content = json.loads(run.bundle_file.read_text())
    for damaged in ("", "[]", "{}", "3", "\xff", DEEP, "9" * 5000):
        refused(run, damaged, "damaged")
    for version in (7, 99, True, "8"):
        refused(run, json.dumps({**content, "format": version}), "of another version")
    for key in ("class_names", "weights", "external", "calibration"):
        without = {name: value for name, value in content.items() if name != key}
        refused(run, json.dumps(without), f"{key} is missing")
    run.bundle_file.unlink()
    run.config_file.touch()
    with pytest.raises(DataError, match="bundle.json is missing. Export it: clipline export"):
        read_bundle(run)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class_names", "left", "class_names: expected a list in brackets"),
        ("class_names", [1, 2], "class_names: expected a text. Received: 1"),
        ("class_names", ["left", ""], "expected class names that print, .* got ''"),
        ("class_names", ["a", "b", "a"], "expected each class name once, got twice: a"),
        ("class_names", ["a", "\x1b[31mred"], r"that print, .* got '\\x1b\[31mred'"),
        ("class_names", ["a", "b\nc"], r"without line breaks, .* got 'b\\nc'"),
        ("class_names", ["a", "b" * 5000], "of at most 200 characters, got one of 5000"),
        ("class_names", ["a", "unknown"], "expected no class 'unknown'"),
        ("clip.sampling", "xyz", "clip.sampling: expected one of uniform, dense. Received: 'xyz'"),
        ("clip.short", [], "clip.short: expected one of mask, loop, hold. Received: "),
        ("clip.views", 10**8, "clip.views must be from 1 to 100. Received: 100000000"),
        ("clip.views", 2.0, "clip.views: expected a whole number. Received: 2.0"),
        ("clip.num_frames", True, "clip.num_frames: expected a whole number. Received: True"),
        ("clip.num_frames", 100_000, "clip.num_frames must be from 1 to "),
        ("clip.stride", 10**30, "clip.stride must be from 1 to "),
        ("clip.pace", 1, "clip: unknown pace. Expected one of num_frames, "),
        ("clip", [], "clip: expected keys and values. Received: "),
        ("frames.fps", 0, "frames.fps must be from 0.001 to 1000. Received: 0.0"),
        ("frames.fps", float("nan"), "frames.fps: expected a number. Received: nan"),
        ("frames.size", 0, "frames.size must be from 1 to 4096"),
        ("frames.size", 10**4000, "size must be from 0 to 4096. Received: 1000"),
        ("frames.flow", "no", "frames.flow: expected true or false. Received: 'no'"),
        ("model.streams", ["grey"], "model.streams must be one or more of rgb, "),
        ("calibration.temperature", "1", "calibration.temperature: expected a number"),
        ("calibration.temperature", 0, "calibration.temperature must be from "),
        ("calibration.temperature", 1e-300, "calibration.temperature must be from "),
        ("calibration.logit_threshold", [], "calibration.logit_threshold: expected a number"),
        ("calibration.clip_seconds", 1e9, "calibration.clip_seconds must be from "),
        ("thing", 1, "the file: unknown thing"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_value_must_be_what_it_stands_for(written, key, value, message):
    content = json.loads(written.bundle_file.read_text())
    *group, last = key.split(".")
    (content[group[0]] if group else content)[last] = value
    refused(written, json.dumps(content), f".*{message}")
