"""Getting the models, by a real pip from wheels made here."""

import dataclasses
import hashlib
import zipfile

import numpy as np
import pytest

from pipeline.cli import fetch as command
from pipeline.errors import DataError
from pipeline.pose import fetch
from pipeline.pose.models import models_folder
from pipeline.pose.network import LiteRTNetwork

INFO = "mediapipe-0.10.21.dist-info"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch, tiny_model):
    """In place of both models; the network of landmarks is to lose its product."""
    checksum = hashlib.sha256(tiny_model).hexdigest()
    for name in ("DETECTOR", "LANDMARKS"):
        model = dataclasses.replace(getattr(fetch, name), sha256=checksum, outputs=("sum",))
        monkeypatch.setattr(fetch, name, model)
    return tiny_model


def make_wheel(folder, files):
    folder.mkdir()
    name = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(
            f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        )
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        wheel.writestr(f"{INFO}/RECORD", "")
        wheel.writestr(f"{INFO}/LICENSE", "the licence")
        for file, data in files.items():
            wheel.writestr(f"mediapipe/modules/{file}", data)


@pytest.fixture
def wheels(monkeypatch, tmp_path):
    """A folder in which pip finds wheels, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def files_of(model):
    return {
        "pose_detection/pose_detection.tflite": model,
        "pose_landmark/pose_landmark_full.tflite": model,
    }


def test_pip_gets_them_and_only_once(tiny, wheels, capsys):
    make_wheel(wheels, files_of(tiny))
    command.main(["pose"])
    folder = models_folder()
    names = ["LICENSE", "NOTICE", "SHA256SUMS", "pose_detection.tflite", "pose_landmark.tflite"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "LICENSE").read_text() == "the licence"
    assert (folder / "pose_detection.tflite").read_bytes() == tiny
    with pytest.raises(DataError):
        LiteRTNetwork(folder / "pose_landmark.tflite", ["product"])
    network = LiteRTNetwork(folder / "pose_landmark.tflite", ["sum"])
    assert network(np.float32([1, 2]))[0].tolist() == [2, 3]
    (wheels / "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl").unlink()
    capsys.readouterr()
    command.main(["pose"])
    assert "are there already" in capsys.readouterr().out


def test_a_damaged_file_is_fetched_again(tiny, tmp_path):
    for name in files_of(tiny):
        (tmp_path / name.partition("/")[2]).write_bytes(tiny)
    folder = fetch.fetch_pose(tmp_path)
    (folder / "pose_landmark.tflite").write_bytes(b"")
    fetch.fetch_pose(tmp_path)
    assert (folder / "pose_landmark.tflite").read_bytes()


def test_other_files_are_refused(tiny_model, wheels, cache):
    make_wheel(wheels, files_of(tiny_model))
    with pytest.raises(DataError, match=r"==0.10.21: pose_detection.tflite is damaged, or of anot"):
        fetch.fetch_pose()
    assert not cache.exists()


def test_a_file_may_lack(tiny, tmp_path, cache):
    (tmp_path / "pose_detection.tflite").write_bytes(tiny)
    with pytest.raises(DataError, match=f"{tmp_path}: pose_landmark_full.tflite is not there"):
        fetch.fetch_pose(tmp_path)
    with pytest.raises(DataError, match="none: pose_detection.tflite is not there"):
        fetch.fetch_pose(tmp_path / "none")
    assert not cache.exists()


def test_without_an_index_it_says_what_to_do(wheels, cache):
    wheels.mkdir()
    with pytest.raises(DataError, match="No matching distribution.* fetch(.py)? pose --from FOL"):
        fetch.fetch_pose()
    assert not cache.exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("/bin/python: No module named pip\n", "/bin/python: No module named pip"),
        ("WARNING: after connection broken\nERROR: no version\n", "it reaches no package index"),
        ("ERROR: first\nERROR: disk full\nnotice\n", "disk full"),
        ("", "it says no reason"),
    ],
)
def test_the_reason(said, reason):
    assert fetch._reason(said) == reason
