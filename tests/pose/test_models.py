"""The models as files: got by a real pip from wheels made here, cut, and run."""

import dataclasses
import hashlib
import warnings
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from pipeline.cli import fetch as command
from pipeline.errors import DataError
from pipeline.native_log import silent_native_log
from pipeline.pose import PoseEstimator, fetch
from pipeline.pose.fetch import prune
from pipeline.pose.models import load_network, models_folder

WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
INFO = "mediapipe-0.10.21.dist-info"
FILES = ("pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite")


@pytest.fixture(scope="module")
def tiny_model():
    """A LiteRT model of two numbers, x: `Identity` is x - 7, and `Identity_1` is 3 * (x + 1)."""
    network = tf.function(lambda x: (x - 7, 3 * (x + 1)), autograph=False)
    concrete = network.get_concrete_function(tf.TensorSpec((1, 2), tf.float32))
    with silent_native_log(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the converter itself does
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


@pytest.fixture
def path(tmp_path, tiny_model):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_model)
    return path


def test_a_pruned_model_holds_only_what_it_needs_and_gives_the_same(path, tiny_model):
    network = load_network(path, ["Identity", "Identity_1"])
    assert [each.tolist() for each in network(np.float32([4, 7]))] == [[-3, 0], [15, 24]]
    for output, expected in (("Identity", [-3, 0]), ("Identity_1", [15, 24])):
        path.write_bytes(prune(tiny_model, [output]))
        (found,) = load_network(path, [output])(np.float32([4, 7]))
        assert found.tolist() == expected
    whole, model = (
        schema.ModelT.InitFromPackedBuf(each, 0)
        for each in (tiny_model, prune(tiny_model, ["Identity_1"]))
    )
    (graph,) = model.subgraphs
    assert (len(graph.tensors), len(graph.operators), len(graph.outputs)) == (5, 2, 1)
    assert graph.operators[-1].outputs == graph.outputs
    assert len(model.buffers) == 1 + 5 + len(model.metadata), "an empty one, and one of each"
    about, kept = (
        {each.name: bytes(one.buffers[each.buffer].data) for each in one.metadata}
        for one in (whole, model)
    )
    assert about == kept


@pytest.mark.parametrize("data", [b"", b"no model", None])
def test_a_file_that_is_no_model_of_poses_is_told(path, tmp_path, data):
    with pytest.raises(DataError, match="not a model of poses"):
        load_network(path, ["Identity_4"])
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError, match="clipline fetch pose|fetch.py pose"):
        load_network(path, ["Identity"])
    with pytest.raises(DataError, match="fetch"):
        PoseEstimator.load(tmp_path)


# Fetching.


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch, tiny_model):
    """In place of both models; the network of landmarks is to lose its second output."""
    checksum = hashlib.sha256(tiny_model).hexdigest()
    for name in ("DETECTOR", "LANDMARKS"):
        model = dataclasses.replace(getattr(fetch, name), sha256=checksum, outputs=("Identity",))
        monkeypatch.setattr(fetch, name, model)
    return tiny_model


@pytest.fixture
def wheels(monkeypatch, tmp_path, tiny_model):
    """A folder in which pip finds a wheel, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / WHEEL, "w") as wheel:
        about = "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        wheel.writestr(f"{INFO}/METADATA", about)
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        wheel.writestr(f"{INFO}/RECORD", "")
        wheel.writestr(f"{INFO}/LICENSE", "the licence")
        for file in FILES:
            wheel.writestr(f"mediapipe/modules/{file}", tiny_model)
    return tmp_path / "wheels"


def test_pip_gets_them_and_only_once(tiny, wheels, cache, capsys):
    command.main(["pose"])
    folder = models_folder()
    names = ["LICENSE", "NOTICE", "SHA256SUMS", "pose_detection.tflite", "pose_landmark.tflite"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "LICENSE").read_text() == "the licence"
    assert (folder / "pose_detection.tflite").read_bytes() == tiny
    with pytest.raises(DataError):
        load_network(folder / "pose_landmark.tflite", ["Identity_1"])
    network = load_network(folder / "pose_landmark.tflite", ["Identity"])
    assert network(np.float32([1, 2]))[0].tolist() == [-6, -5]
    (wheels / WHEEL).unlink()
    capsys.readouterr()
    command.main(["pose"])
    assert "are there already" in capsys.readouterr().out


def test_what_cannot_be_had_is_told_and_leaves_nothing(wheels, tmp_path, cache):
    with pytest.raises(DataError, match=r"==0.10.21: pose_detection.tflite is damaged, or of anot"):
        fetch.fetch_pose()
    (wheels / WHEEL).unlink()
    with pytest.raises(DataError, match="No matching distribution.* fetch(.py)? pose --from FOL"):
        fetch.fetch_pose()
    with pytest.raises(DataError, match="none: pose_detection.tflite is not there"):
        fetch.fetch_pose(tmp_path / "none")
    assert not cache.exists()
    for said, reason in (
        ("/bin/python: No module named pip\n", "/bin/python: No module named pip"),
        ("WARNING: after connection broken\nERROR: no version\n", "it reaches no package index"),
        ("ERROR: first\nERROR: disk full\nnotice\n", "disk full"),
        ("", "it says no reason"),
    ):
        assert fetch._reason(said) == reason


def test_a_folder_may_lack_a_file_and_a_damaged_one_is_fetched_again(tiny, tmp_path, cache):
    (tmp_path / "pose_detection.tflite").write_bytes(tiny)
    with pytest.raises(DataError, match=f"{tmp_path}: pose_landmark_full.tflite is not there"):
        fetch.fetch_pose(tmp_path)
    assert not cache.exists()
    (tmp_path / "pose_landmark_full.tflite").write_bytes(tiny)
    folder = fetch.fetch_pose(tmp_path)
    (folder / "pose_landmark.tflite").write_bytes(b"")
    fetch.fetch_pose(tmp_path)
    assert (folder / "pose_landmark.tflite").read_bytes()
