"""Where a model looks, and which frames it needs."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib.image
import numpy as np
import pytest

from pipeline.config import BackboneConfig, ModelConfig, TrainConfig
from pipeline.errors import ConfigError
from pipeline.inference import explain as explaining
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import Explanation, Strip, explain
from pipeline.inference.explanation_files import draw_strip, write_heat_video
from pipeline.inference.heat_drawing import warm, warm_people
from pipeline.inference.occlusion import HidingStream
from pipeline.inference.people import People
from pipeline.inference.seen_video import SeenVideo
from pipeline.models.recognizer import load_recognizer
from pipeline.pose.skeleton import PARTS
from pipeline.training.fit import train
from pipeline.video import iter_frames, probe

SCRIPT = Path(__file__).parents[2] / "scripts" / "explain.py"


@pytest.fixture(scope="module")
def video(blob_videos):
    return blob_videos / "left" / "g00 0.avi"


@pytest.fixture(scope="module")
def explanation(blob_run, video):
    return explain(blob_run, video)


@pytest.fixture(scope="module")
def strip(explanation):
    (strip,) = explanation.strips
    return strip


def test_it_explains_the_answer_of_the_middle_clip(explanation, strip, blob_run, video):
    assert explanation.label == Classifier(blob_run).predict(video).label == "left"
    assert strip.probability == explanation.probability
    assert strip.frames.shape == (8, 32, 32, 3)
    assert strip.heat.shape == (8, 32, 32)
    assert strip.heat.min() >= 0
    assert strip.heat.max() == pytest.approx(1)
    assert strip.people is None
    assert np.all(np.diff(strip.seconds) > 0)
    assert strip.seconds[-1] < 1.2


def test_it_is_hot_where_something_moves(strip, video):
    frames = np.stack(list(iter_frames(video))).astype(int)
    moves = np.abs(np.diff(frames, axis=0)).sum(axis=(0, 2, 3))  # by row
    rows = moves > 0
    assert 6 <= rows.sum() <= 12
    by_row = strip.heat.mean(axis=(0, 2))
    assert by_row[rows].mean() > 2 * by_row[~rows].mean()


def test_the_importance_of_a_frame_is_the_logit_lost_without_it(strip, blob_run):
    """Counted once more, by Keras."""
    model = load_recognizer(blob_run.model_file)
    label = blob_run.class_names().index("left")

    def logit(frames):
        padding = np.zeros((8 - len(frames), 32, 32, 3), np.uint8)
        inputs = {
            "frames": np.concatenate([frames, padding])[None],
            "mask": (np.arange(8) < len(frames))[None],
        }
        return model.predict_on_batch(inputs)[0, label]

    whole = logit(strip.frames)
    for place in (0, 3, 7):
        lost = whole - logit(np.delete(strip.frames, place, axis=0))
        assert strip.importance[place] == pytest.approx(lost, abs=1e-3)


def test_another_class(blob_run, hasty_run, video, explanation, strip):
    other = explain(blob_run, video, "right")
    assert (other.label, explanation.label) == ("right", "left")
    assert other.probability == pytest.approx(1 - explanation.probability, abs=1e-5)
    np.testing.assert_allclose(other.strips[0].frames, strip.frames)
    assert not np.allclose(other.strips[0].heat, strip.heat, atol=0.05)
    with pytest.raises(ConfigError, match="--label: expected one of left, right, got up"):
        explain(hasty_run, video, "up")


def keras_file(path, *steps):
    inputs = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, 3, strides=4)(inputs)
    for step in steps:
        features = step(features)
    keras.Model(inputs, features).save(path)
    return str(path)


def trained(blob_config, folder, backbone, kind):
    config = dataclasses.replace(
        blob_config,
        backbone=BackboneConfig(name=backbone, weights="none"),
        model=ModelConfig(streams=tuple(kind.split("+"))),
        train=TrainConfig(epochs=1, precision="float32"),
    )
    return train(config, folder)


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [("efficientnet_lite0", "rgb"), ("network.keras", "rgb"), ("network.keras", "rgb+difference")],
)
def test_other_backbones_and_two_streams(blob_config, video, tmp_path, backbone, kind):
    if backbone.endswith(".keras"):
        backbone = keras_file(tmp_path / backbone)
    run = trained(blob_config, tmp_path / "run", backbone, kind)
    (found,) = explain(run, video, "left").strips
    assert found.heat.shape == (8, 32, 32)
    assert found.heat.min() >= 0
    assert found.heat.max() == pytest.approx(1)
    assert np.ptp(found.importance) > 0


def test_a_backbone_without_a_map_of_features_is_explained_by_hiding(blob_config, video, tmp_path):
    """This one sees the left third of a frame, two columns of six."""
    steps = keras.layers.Cropping2D(((0, 0), (0, 5))), keras.layers.GlobalAveragePooling2D()
    path = keras_file(tmp_path / "network.keras", *steps)
    run = trained(blob_config, tmp_path / "run", path, "rgb")
    seen = SeenVideo(run, video)
    heat = HidingStream(seen.model, "rgb", seen.config).heat(seen.clip(seen.middle), 0)
    assert heat.shape == (8, 6, 6)
    assert np.abs(heat[..., :2]).max() > 1e-4
    np.testing.assert_allclose(heat[..., 3:], 0, atol=1e-6)
    assert explain(run, video).strips[0].heat.max() == pytest.approx(1)


def test_a_frame_under_its_heat():
    frame = np.full((2, 2, 3), (250, 100, 10), np.uint8)
    heat = np.array([[0.0, 1.0], [0.0, 0.5]], np.float32)
    drawn = warm(frame, heat)
    assert drawn[0, 0].tolist() == drawn[1, 0].tolist() == [120, 120, 120]
    red, _, blue = drawn[0, 1].astype(int)
    assert red - blue > 20


def test_people_on_a_frame():
    """The right foot of the first one is hot; there is no second one."""
    points = np.zeros((2, 33, 7), np.float32)
    points[0, :, 6] = 1
    foot = list(PARTS["right foot"])
    points[0, foot, :2] = (0.5, 0.25)
    points[1, :, 0] = -0.5
    heat = np.zeros((2, 13))
    heat[0, list(PARTS).index("right foot")] = heat[1] = 1
    drawn = warm_people(np.zeros((100, 200, 3), np.uint8), points, heat).astype(int)
    red, green, blue = drawn[75 + 4, 150]
    assert red > green > blue + 100
    assert np.ptp(drawn[50, 100]) < 20  # where all others are: grey
    assert drawn[:, :80].max() == 0
    coloured = np.full((100, 200, 3), (250, 100, 10), np.uint8)
    assert (warm_people(coloured, points, heat)[:, :80] == coloured[:, :80]).all()
    heat[0] = -1
    red, _, blue = warm_people(np.zeros((100, 200, 3), np.uint8), points, heat)[75, 150].astype(int)
    assert red - blue < 20


def test_pictures_are_written(explanation, video, tmp_path):
    draw_strip(explanation, tmp_path / "why.png")
    assert matplotlib.image.imread(tmp_path / "why.png").shape[1] > 800
    write_heat_video(explanation, tmp_path / "why.avi")
    assert probe(tmp_path / "why.avi", count_frames=True).num_frames == 12


def test_maps_of_several_sizes_count_alike(monkeypatch):
    """One says as much for the left half as the other, of smaller cells, for the right half."""
    coarse, fine = np.zeros((1, 2, 2), np.float32), np.zeros((1, 8, 8), np.float32)
    coarse[..., :1] = 1 / 2
    fine[..., 4:] = 1 / 32
    parts = {"a": coarse, "b": fine}
    monkeypatch.setattr(
        explaining, "_part", lambda _, name: SimpleNamespace(heat=lambda *_: parts[name])
    )
    frames = SimpleNamespace(frames=SimpleNamespace(side=16))
    video = SimpleNamespace(clip=lambda _: {}, middle=None, bundle=frames)
    heat = explaining._heat(video, ["a", "b"], 0)
    assert heat[0, 0, 0] == pytest.approx(heat[0, 0, -1])
    assert heat[0, 0, -1] > 0.5


def synthetic(path, number, people=None):
    strip = Strip(
        run=Path("runs/a"),
        probability=0.5,
        frames=np.zeros((number, 16, 16, 3), np.uint8),
        seconds=np.arange(number) / 10,
        heat=None if people else np.ones((number, 16, 16), np.float32),
        people=people,
        importance=np.linspace(-1, 1, number),
    )
    return Explanation(path=str(path), label="$a", probability=0.5, strips=(strip,))


def test_a_clip_of_many_frames_takes_several_rows(video, tmp_path):
    shapes = []
    for number in (1, 16, 32):
        draw_strip(synthetic(video, number), tmp_path / "why.png")
        shapes.append(matplotlib.image.imread(tmp_path / "why.png").shape)
    assert shapes[0][1] < shapes[1][1] == shapes[2][1]
    assert shapes[2][0] > 1.5 * shapes[1][0]


def test_people_are_drawn_where_they_are_between_the_frames_of_the_clip(video, tmp_path):
    points = np.zeros((12, 1, 33, 7), np.float32)
    points[..., 0] = np.linspace(-0.4, 0.4, 12)[:, None, None]
    points[..., 6] = 1
    people = People(
        frames=np.zeros((1, 32, 32, 3), np.uint8),
        points=points[:1],
        heat=np.ones((1, 1, 13), np.float32),
        all_points=points,
        fps=10,
    )
    write_heat_video(synthetic(video, 1, people), tmp_path / "why.avi")
    for number, frame in enumerate(iter_frames(tmp_path / "why.avi")):
        yellow = frame[..., 0].astype(int) - frame[..., 2]
        x = 16 + 32 * points[number, 0, 0, 0]
        assert yellow.max(axis=0).argmax() == pytest.approx(x, abs=3)


def test_the_script(blob_run, video, tmp_path):
    def run(*arguments):
        command = [sys.executable, SCRIPT, *map(str, arguments), "--run", blob_run.folder]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120
        )

    result = run(video, "--annotate", "why.mp4")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{video}: left ")
    assert (tmp_path / "g00 0_why.png").is_file()
    assert (tmp_path / "why.mp4").is_file()
    for arguments, message in [
        ((video, "--out", "x.jpg"), "expected a name that ends in .png"),
        ((video, "--out", "/proc/x.png"), "--out: "),  # No file can be made there.
        ((tmp_path / "none.mp4",), "cannot be opened"),
        ((video, "--label", "up"), "expected one of left, right"),
    ]:
        result = run(*arguments)
        assert result.returncode == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
