"""Where a model looks, which points it goes by, and which frames it needs."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib.image
import numpy as np
import pytest

from pipeline.config import BackboneConfig
from pipeline.errors import ConfigError
from pipeline.inference import explain as explaining
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import as_batch
from pipeline.inference.explain import Explanation, Strip, explain
from pipeline.inference.explanation_files import draw_strip, write_heat_video
from pipeline.inference.heat import HeatModel
from pipeline.inference.heat_drawing import warm, warm_people
from pipeline.inference.occlusion import HidingStream
from pipeline.inference.people import People, PointStream
from pipeline.inference.seen_video import SeenVideo
from pipeline.inference.stream_parts import still_clip
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.pose.skeleton import PARTS, POINTS
from pipeline.streams import STREAMS
from pipeline.streams.pose import PLACE
from pipeline.video import iter_frames, no_flow, probe
from tests.inference.commands import run
from tests.runs import changed, drawn_run

ANKLE = POINTS.index("right_ankle")


def expect_heat(strip):
    assert strip.heat.shape == (len(strip.frames), 32, 32)
    assert strip.heat.min() >= 0
    assert strip.heat.max() == pytest.approx(1)


def test_it_explains_the_middle_clip_and_is_hot_where_something_moves(blob_run, video):
    """How much a frame matters is the logit lost without it, counted once more, by Keras."""
    explanation = explain(blob_run, video)
    (strip,) = explanation.strips
    assert explanation.label == Classifier(blob_run).predict(video).label == "left"
    assert strip.probability == explanation.probability
    assert strip.frames.shape == (8, 32, 32, 3)
    expect_heat(strip)
    assert strip.people is None
    assert np.all(np.diff(strip.seconds) > 0)
    assert strip.seconds[-1] < 1.2
    frames = np.stack(list(iter_frames(video))).astype(int)
    moves = np.abs(np.diff(frames, axis=0)).sum(axis=(0, 2, 3))  # by row
    rows = moves > 0
    assert 6 <= rows.sum() <= 12
    by_row = strip.heat.mean(axis=(0, 2))
    assert by_row[rows].mean() > 2 * by_row[~rows].mean()
    model, label = load_recognizer(blob_run.model_file), blob_run.class_names().index("left")

    def logit(frames):
        return model.predict_on_batch(as_batch({"frames": frames}, 8))[0, label]

    for place in (0, 3, 7):
        lost = logit(strip.frames) - logit(np.delete(strip.frames, place, axis=0))
        assert strip.importance[place] == pytest.approx(lost, abs=1e-3)
    other = explain(blob_run, video, "right")
    assert other.label == "right"
    assert other.probability == pytest.approx(1 - explanation.probability, abs=1e-5)
    np.testing.assert_allclose(other.strips[0].frames, strip.frames)
    assert not np.allclose(other.strips[0].heat, strip.heat, atol=0.05)
    with pytest.raises(ConfigError, match="--label: expected one of left, right, got up"):
        explain(blob_run, video, "up")


def drawn(config, folder, streams, *steps):
    """A run with a network of the user, in folders that are made."""
    folder.mkdir()
    inputs = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, 3, strides=4)(inputs)
    for step in steps:
        features = step(features)
    keras.Model(inputs, features).save(folder / "network.keras")
    values = {
        "model.streams": streams,
        "backbone.name": str(folder / "network.keras"),
        "backbone.weights": "none",
        "backbone.filters": list(BackboneConfig().filters),
    }
    return drawn_run(changed(config, values), folder / "run", exported=False)


def test_backbones_of_the_user_are_explained_by_their_maps_or_by_hiding(
    small_config, video, tmp_path
):
    """The second one has no map. It sees the left third of a frame, two columns of six."""
    run = drawn(small_config, tmp_path / "map", ["rgb", "difference"])
    (found,) = explain(run, video).strips
    expect_heat(found)
    assert np.ptp(found.importance) > 0
    steps = keras.layers.Cropping2D(((0, 0), (0, 5))), keras.layers.GlobalAveragePooling2D()
    run = drawn(small_config, tmp_path / "vector", ["rgb"], *steps)
    seen = SeenVideo(run, video)
    heat = HidingStream(seen.model, "rgb", seen.config).heat(seen.clip(seen.middle), 0)
    assert heat.shape == (4, 6, 6)
    assert np.abs(heat[..., :2]).max() > 1e-4
    np.testing.assert_allclose(heat[..., 3:], 0, atol=1e-6)
    assert explain(run, video).strips[0].heat.max() == pytest.approx(1)


def test_maps_of_several_sizes_count_alike(monkeypatch):
    """One says as much for the left half as the other, of smaller cells, for the right half."""
    coarse, fine = np.zeros((1, 2, 2), np.float32), np.zeros((1, 8, 8), np.float32)
    coarse[..., :1] = 1 / 2
    fine[..., 4:] = 1 / 32
    monkeypatch.setattr(
        explaining, "_part", lambda _, cells: SimpleNamespace(heat=lambda *_: cells)
    )
    frames = SimpleNamespace(frames=SimpleNamespace(side=16))
    video = SimpleNamespace(clip=lambda _: {}, middle=None, bundle=frames)
    heat = explaining._heat(video, [coarse, fine], 0)
    assert heat[0, 0, 0] == pytest.approx(heat[0, 0, -1])
    assert heat[0, 0, -1] > 0.5


# The heat of places is what the logit comes from.


def test_heat_is_what_the_answer_takes(blob_run, blob_videos):
    """It sums up to what the motion changes; its hottest places cost more than those of others.

    In the clip that it is told from, nothing moves.
    """
    model, rng, lost = load_recognizer(blob_run.model_file), np.random.default_rng(0), []
    heat_model = HeatModel(model, blob_run.config())
    for name in ("left/g00 0.avi", "right/g01 0.avi", "left/g02 0.avi"):
        seen = SeenVideo(blob_run, blob_videos / name)
        clip = seen.clip(seen.middle)
        logits, still = heat_model.logits(clip), heat_model.logits(still_clip(clip))
        expected = model.predict_on_batch(as_batch(clip, 8))[0]
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        label = int(logits.argmax())
        change = logits[label] - still[label]
        assert change > 0.5
        heat = heat_model.heat(clip, label)
        assert heat.sum() == pytest.approx(change, rel=0.1, abs=0.05)
        for hidden, wanted in ((np.ones(heat.shape, bool), still), (heat > np.inf, logits)):
            np.testing.assert_allclose(heat_model.logits(clip, hidden), wanted, atol=1e-5)
        row = []
        for scores in (heat, heat_model.grad_cam(clip, label), rng.random(heat.shape)):
            hidden = scores >= np.quantile(scores, 0.9)
            row.append(logits[label] - heat_model.logits(clip, hidden)[label])
        lost.append(row)
    ours, grad_cam, random = np.mean(lost, axis=0)
    assert ours > 2 * random
    assert ours > grad_cam
    frames = rng.integers(256, size=(4, 8, 8, 3), dtype=np.uint8)
    clip = still_clip({"frames": frames, "flow": frames})
    assert clip["frames"].shape == frames.shape
    assert (clip["frames"] == clip["frames"][0]).all()
    assert np.abs(clip["frames"][0] - frames.mean(axis=0)).max() <= 0.5
    assert (clip["flow"] == no_flow(frames)).all()


# And so is that of points.


@pytest.fixture
def clip():
    """Two people, of whom the second one comes later, to the right; the clip is not full."""
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.2, (5, 2, 33, 7)).astype(np.float32)
    points[..., 6] = 0.9
    points[:, 1, :, 0] += 1
    points[:2, 1] = 0
    return {"pose": points}


def points_model(config, seed=0, kind="lstm"):
    """A recogniser of key points, and its stream."""
    keras.utils.set_random_seed(seed)
    values = {"frames.size": 16, "frames.pose": 2, "clip.num_frames": 6, "model.streams": ["pose"]}
    config = changed(config, {**values, "temporal.kind": kind, "temporal.units": 16})
    model = build_recognizer(config, 3)
    return model, PointStream(model, "pose", config)


def change_of(part, clip, label):
    """By how much the logit is above that of the still clip."""
    moving, still = (
        part.logits(part.pixels(each)[None])[0, label].numpy() for each in (clip, still_clip(clip))
    )
    return moving - still


def test_heat_sums_up_to_what_motion_and_poses_change(small_config, clip):
    """Of one point where a network reads it alone: of all others, no number has a weight."""
    for kind in ("lstm", "stats"):
        model, part = points_model(small_config, kind=kind)
        expected = model.predict_on_batch(as_batch(clip, 6))
        np.testing.assert_allclose(part.logits(part.pixels(clip)[None]), expected, atol=1e-5)
        heat = part.heat(clip, 1)
        assert heat.shape == (5, 2, 33)
        assert (heat[:2, 1] == 0).all(), "who is not there"
        assert np.abs(heat).max() > 1e-3
        assert heat.sum() == pytest.approx(change_of(part, clip, 1), rel=0.02, abs=0.01)
    model, part = points_model(small_config, seed=1)
    see = STREAMS["pose"].see
    moved = clip["pose"].copy()
    moved[3:, 1, ANKLE, :6] += 0.1
    read = (see(moved[None], 3.0) != see(clip["pose"][None], 3.0)).numpy().any(axis=(0, 1))
    # The temporal part takes no places, but where the second one is, seen from the first.
    read = np.append(read.reshape(2, -1)[:, :-PLACE], [False, False])
    for weight in model.trainable_weights:
        if weight.shape[0] == len(read):
            weight.assign(weight.numpy() * (read[:, None] if len(weight.shape) == 2 else 1))
    heat = part.heat(clip, 0).copy()
    own = heat[:, 1, ANKLE].copy()
    heat[:, 1, ANKLE] = 0
    assert np.abs(own).max() > 1e-3
    assert (heat == 0).all()
    assert own.sum() == pytest.approx(change_of(part, clip, 0), rel=0.02, abs=1e-3)


# Pictures.


def test_frames_under_their_heat_and_people_on_them():
    """The right foot of the first one is hot; there is no second one."""
    frame = np.full((2, 2, 3), (250, 100, 10), np.uint8)
    drawn = warm(frame, np.array([[0.0, 1.0], [0.0, 0.5]], np.float32))
    assert drawn[0, 0].tolist() == drawn[1, 0].tolist() == [120, 120, 120]
    red, _, blue = drawn[0, 1].astype(int)
    assert red - blue > 20
    points = np.zeros((2, 33, 7), np.float32)
    points[0, :, 6] = 1
    foot = list(PARTS["right foot"])
    points[0, foot, :2] = (0.5, 0.25)
    points[1, :, 0] = -0.5
    heat = np.zeros((2, 13))
    heat[0, list(PARTS).index("right foot")] = heat[1] = 1
    dark, coloured = (np.full((100, 200, 3), grey, np.uint8) for grey in (0, (250, 100, 10)))
    drawn = warm_people(dark, points, heat).astype(int)
    red, green, blue = drawn[75 + 4, 150]
    assert red > green > blue + 100
    assert np.ptp(drawn[50, 100]) < 20  # where all others are: grey
    assert drawn[:, :80].max() == 0
    assert (warm_people(coloured, points, heat)[:, :80] == coloured[:, :80]).all()
    heat[0] = -1
    red, _, blue = warm_people(dark, points, heat)[75, 150].astype(int)
    assert red - blue < 20


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


def test_many_frames_take_several_rows_and_people_are_drawn_where_they_are(video, tmp_path):
    """Also between the frames of the clip."""
    shapes = []
    for number in (1, 16, 32):
        draw_strip(synthetic(video, number), tmp_path / "why.png")
        shapes.append(matplotlib.image.imread(tmp_path / "why.png").shape)
    assert shapes[0][1] < shapes[1][1] == shapes[2][1]
    assert shapes[2][0] > 1.5 * shapes[1][0]
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


def test_the_command(blob_run, video, tmp_path):
    shutil.copy(video, tmp_path)
    words = ("--run", blob_run.folder)
    done = run("explain", video.name, "--annotate", "why.avi", *words, cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith(f"{video.name}: left ")
    picture = matplotlib.image.imread(tmp_path / "g00 0_why.png")
    assert picture.shape[1] > 800
    assert probe(tmp_path / "why.avi", count_frames=True).num_frames == 12
    for others, message in [
        ((video, "--out", "x.jpg"), "expected a name that ends in .png"),
        ((video, "--out", "/proc/x.png"), "--out: "),  # No file can be made there.
        (("none.mp4",), "cannot be opened"),
    ]:
        assert message in run("explain", *others, *words, cwd=tmp_path).mistake
