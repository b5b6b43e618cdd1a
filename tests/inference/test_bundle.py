"""What is in a bundle is checked, whoever wrote it, without TensorFlow."""

import json

import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.errors import DataError
from pipeline.inference.bundle import Bundle, read_bundle, write_bundle
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration

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
def run(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    write_bundle(BUNDLE, run)
    return run


def refused(run, content, message):
    run.bundle_file.write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=f"bundle.json: {message}") as caught:
        read_bundle(run)
    assert "Export it again: clipline export" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_bundle_is_read_as_it_was_written_and_nothing_else_is(run):
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
        ("model.streams", "rgb", "model.streams: expected a list"),
        ("calibration.temperature", "1", "calibration.temperature: expected a number"),
        ("calibration.temperature", 0, "calibration.temperature must be from "),
        ("calibration.temperature", 1e-300, "calibration.temperature must be from "),
        ("calibration.logit_threshold", [], "calibration.logit_threshold: expected a number"),
        ("calibration.clip_seconds", 1e9, "calibration.clip_seconds must be from "),
        ("weights", None, "weights: expected a text. Received: None"),
        ("thing", 1, "the file: unknown thing"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_value_must_be_what_it_stands_for(run, key, value, message):
    content = json.loads(run.bundle_file.read_text())
    *path, last = key.split(".")
    part = content
    for name in path:
        part = part[name]
    part[last] = value
    refused(run, json.dumps(content), f".*{message}")
