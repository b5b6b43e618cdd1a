"""The heat of places is what the logit comes from."""

import numpy as np
import pytest

from pipeline.inference.bundle import bundle_of
from pipeline.inference.heat import HeatModel
from pipeline.inference.seen_video import clip_of, middle_clip
from pipeline.inference.stream_parts import still_clip
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import no_flow


@pytest.fixture(scope="module")
def heat_model(blob_run):
    return HeatModel(load_recognizer(blob_run.model_file), blob_run.config())


@pytest.fixture(scope="module")
def clips(blob_run, blob_videos):
    bundle = bundle_of(blob_run)
    found = []
    for name in ("left/g00 0.avi", "right/g01 0.avi", "left/g02 0.avi", "right/g03 0.avi"):
        stored, _ = encode_video(blob_videos / name, bundle.frames)
        found.append(clip_of(stored, middle_clip(stored, bundle), bundle))
    return found


def test_logits_are_those_of_the_model(heat_model, blob_run, clips):
    clip = clips[0]
    inputs = {"frames": clip["frames"][None], "mask": np.ones((1, len(clip["frames"])), bool)}
    expected = load_recognizer(blob_run.model_file).predict_on_batch(inputs)[0]
    np.testing.assert_allclose(heat_model.logits(clip), expected, atol=1e-4)


def test_heat_sums_up_to_what_the_motion_changes(heat_model, clips):
    for clip in clips:
        logits = heat_model.logits(clip)
        label = int(logits.argmax())
        change = logits[label] - heat_model.logits(still_clip(clip))[label]
        assert change > 0.5
        assert heat_model.heat(clip, label).sum() == pytest.approx(change, rel=0.1, abs=0.05)


def test_without_all_places_nothing_moves(heat_model, clips):
    everywhere = np.ones(heat_model.heat(clips[0], 0).shape, bool)
    expected = heat_model.logits(still_clip(clips[0]))
    np.testing.assert_allclose(heat_model.logits(clips[0], everywhere), expected, atol=1e-5)
    np.testing.assert_allclose(
        heat_model.logits(clips[0], ~everywhere), heat_model.logits(clips[0]), atol=1e-5
    )


def test_the_hottest_places_are_what_the_answer_takes(heat_model, clips):
    """Hidden, they cost more than others do, and than those of Grad-CAM."""
    rng = np.random.default_rng(0)
    lost = []
    for clip in clips:
        logits = heat_model.logits(clip)
        label = int(logits.argmax())
        heat = heat_model.heat(clip, label)
        row = []
        for scores in (heat, heat_model.grad_cam(clip, label), rng.random(heat.shape)):
            hidden = scores >= np.quantile(scores, 0.9)
            row.append(logits[label] - heat_model.logits(clip, hidden)[label])
        lost.append(row)
    ours, grad_cam, random = np.mean(lost, axis=0)
    assert ours > 2 * random
    assert ours > grad_cam


def test_in_a_still_clip_nothing_moves():
    frames = np.random.default_rng(0).integers(256, size=(4, 8, 8, 3), dtype=np.uint8)
    still = still_clip({"frames": frames, "flow": frames})
    assert still["frames"].shape == frames.shape
    assert (still["frames"] == still["frames"][0]).all()
    assert np.abs(still["frames"][0] - frames.mean(axis=0)).max() <= 0.5
    assert (still["flow"] == no_flow(frames)).all()
