"""The heat of points is what the logit comes from."""

import dataclasses

import keras
import numpy as np
import pytest

from pipeline.config import NO_AUGMENT, ClipConfig, FramesConfig, ModelConfig, TemporalConfig
from pipeline.inference.clips import as_batch
from pipeline.inference.people import PointStream
from pipeline.inference.stream_parts import still_clip
from pipeline.models.recognizer import build_recognizer
from pipeline.pose.skeleton import POINTS
from pipeline.streams import STREAMS
from pipeline.streams.pose import PLACE

ANKLE = POINTS.index("right_ankle")


@pytest.fixture
def config(blob_config):
    return dataclasses.replace(
        blob_config,
        frames=FramesConfig(fps=10, size=16, pose=2),
        clip=ClipConfig(num_frames=6, views=1),
        model=ModelConfig(streams=("pose",), dropout=0),
        augment=NO_AUGMENT,
        temporal=TemporalConfig(units=16, dropout=0),
    )


@pytest.fixture
def clip():
    """Two people, of whom the second one comes later, to the right; the clip is not full."""
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.2, (5, 2, 33, 7)).astype(np.float32)
    points[..., 6] = 0.9
    points[:, 1, :, 0] += 1
    points[:2, 1] = 0
    return {"pose": points}


def changed(part, clip, label):
    """By how much the logit is above that of the still clip."""
    logits = [
        part.logits(part.pixels(each)[None])[0, label].numpy() for each in (clip, still_clip(clip))
    ]
    return logits[0] - logits[1]


def test_its_logits_are_those_of_the_model(config, clip):
    keras.utils.set_random_seed(0)
    model = build_recognizer(config, 3)
    part = PointStream(model, "pose", config)
    expected = model.predict_on_batch(as_batch(clip, 6))
    np.testing.assert_allclose(part.logits(part.pixels(clip)[None]), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "stats", "mean"])
def test_heat_sums_up_to_what_motion_and_poses_change(config, clip, kind):
    keras.utils.set_random_seed(0)
    temporal = dataclasses.replace(config.temporal, kind=kind)
    config = dataclasses.replace(config, temporal=temporal)
    part = PointStream(build_recognizer(config, 3), "pose", config)
    heat = part.heat(clip, 1)
    assert heat.shape == (5, 2, 33)
    assert (heat[:2, 1] == 0).all(), "who is not there"
    assert np.abs(heat).max() > 1e-3
    assert heat.sum() == pytest.approx(changed(part, clip, 1), rel=0.02, abs=0.01)


def test_a_network_that_reads_one_point_gives_it_all_of_the_heat(config, clip):
    """The second person's right ankle: of all others, no number has a weight."""
    keras.utils.set_random_seed(1)
    model = build_recognizer(config, 3)
    see = STREAMS["pose"].see
    moved = clip["pose"].copy()
    moved[3:, 1, ANKLE, :6] += 0.1
    read = (see(moved[None], 3.0) != see(clip["pose"][None], 3.0)).numpy().any(axis=(0, 1))
    # The temporal part takes no places, but where the second one is, seen from the first.
    read = np.append(read.reshape(2, -1)[:, :-PLACE], [False, False])
    for weight in model.trainable_weights:
        if weight.shape[0] == len(read):
            weight.assign(weight.numpy() * (read[:, None] if len(weight.shape) == 2 else 1))
    part = PointStream(model, "pose", config)
    heat = part.heat(clip, 0).copy()
    own = heat[:, 1, ANKLE].copy()
    heat[:, 1, ANKLE] = 0
    assert np.abs(own).max() > 1e-3
    assert (heat == 0).all()
    assert own.sum() == pytest.approx(changed(part, clip, 0), rel=0.02, abs=1e-3)
