"""What comes from a stranger computes, and does nothing else."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.inference.bundle import read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.models.backbones.keras_file import _load
from pipeline.models.parts import CLIP, FEATURES, TEMPORAL
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
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
    """Creates a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def test_a_checkpoint_that_holds_a_pickle_does_nothing(tmp_path):
    mark = tmp_path / "mark"
    array = np.empty(1, object)
    array[0] = Opener(mark)
    np.savez(tmp_path / "checkpoint.npz", progress=array, **{"0": array})
    mark.unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"checkpoint.npz"):
        restore(tmp_path / "checkpoint.npz", None)
    assert not mark.exists()
