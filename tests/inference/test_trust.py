"""What comes from a stranger computes, and does nothing else."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.errors import DataError
from pipeline.inference.bundle import Bundle, read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.models.backbones.keras_file import _load
from pipeline.models.parts import CLIP, FEATURES, TEMPORAL
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.training.checkpoint import restore
from tests.inference.commands import run


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
    with pytest.raises(DataError, match=r"can run any program. If you trust who made it, ask"):
        Classifier.load(strange_run.folder)
    for name in ("classify", "stream"):
        assert "--runtime savedmodel" in run(name, video, "--run", strange_run.folder).mistake
    assert not (tmp_path / "mark").exists()
    Classifier.load(strange_run.folder, runtime="savedmodel").predict(video)
    assert (tmp_path / "mark").read_text() == "was here"


def test_a_saved_model_under_the_name_of_another_format(strange_run, tmp_path):
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


@pytest.mark.parametrize("layer", [lambda_layer, foreign, saved_model_layer])
def test_a_keras_file_that_holds_more_than_a_network_does_nothing(layer, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    file = keras_file(tmp_path / "model.keras", sequential(layer(tmp_path / "mark")))
    (tmp_path / "mark").unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"model.keras: not a model of a run, or damaged"):
        load_recognizer(file)
    with pytest.raises(DataError, match=r"model.keras: not a Keras model that can be loaded"):
        _load(file)
    assert not (tmp_path / "mark").exists()


def test_a_keras_file_that_is_no_network(tmp_path):
    for config in (
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
    for version in (6, 99, True, "7"):
        refused(run, json.dumps({**content, "format": version}), "of another version")
    for key in ("class_names", "weights", "foreign", "calibration"):
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
