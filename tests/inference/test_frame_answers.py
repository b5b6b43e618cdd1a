"""What is exported gives the answers of Keras at every frame."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
)
from pipeline.inference.agreement import check, compare
from pipeline.inference.clips import pairs_of
from pipeline.inference.export import _write
from pipeline.inference.runtimes import open_runtime
from pipeline.inference.tensorflow import of_recognizer
from pipeline.models.recognizer import build_recognizer
from pipeline.run import Run

LENGTH, CLASSES = 8, 3
TCN = {"kind": "tcn", "layers": 3}
KINDS = {
    "lstm": {"kind": "lstm"},
    "bilstm": {"kind": "bilstm"},
    "tcn": TCN,
    "tcn, causal, two stages": {**TCN, "causal": True, "stages": 2},
}


def configured(task="frames", **temporal):
    return RunConfig(
        frames=FramesConfig(size=16),
        clip=ClipConfig(num_frames=LENGTH, sampling="dense"),
        model=ModelConfig(task=task, streams=("rgb",)),
        backbone=BackboneConfig(filters=(4,), grid=2),
        temporal=TemporalConfig(units=6, **temporal),
    )


def with_weights(config):
    model = build_recognizer(config, CLASSES)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name not in ("moving_variance", "gamma", "steps"):
            weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return model


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """A model, and the file of LiteRT that was made of it."""
    config = configured(**KINDS[request.param])
    model = with_weights(config)
    path = tmp_path_factory.mktemp("exported") / "model.tflite"
    _write("litert", model, config, None, path, {})
    return model, open_runtime(path)


def clip_of(num_real, seed=0):
    frames = np.random.default_rng(seed).integers(0, 256, (LENGTH, 16, 16, 3), dtype=np.uint8)
    return {"frames": frames, "mask": np.arange(LENGTH) < num_real}


@pytest.mark.parametrize("num_real", [LENGTH, 3])
def test_the_answers_are_those_of_keras(exported, num_real):
    model, runtime = exported
    clip = clip_of(num_real)
    mask = clip["mask"]
    wanted = model.predict_on_batch({name: each[None] for name, each in clip.items()})[0]
    whole = runtime.clip_logits(clip)
    assert whole.shape == (LENGTH, CLASSES)
    assert runtime.num_classes == CLASSES
    features = runtime.features(pairs_of(clip))
    for found in (whole, runtime.logits(features, mask)):
        np.testing.assert_allclose(found[mask], wanted[mask], atol=1e-4)


def agreement(task, keep, change):
    """What a comparison finds where the logits of some frames were changed."""
    config = configured(task, kind="gru")
    model = with_weights(config)
    runtime = of_recognizer(model, config, Path(__file__))
    logits, clip_logits = runtime.logits, runtime.clip_logits

    def changed(found, mask):
        return np.where(keep(mask)[:, None], found, change(found))

    runtime.logits = lambda features, mask: changed(logits(features, mask), mask)
    runtime.clip_logits = lambda clip: changed(clip_logits(clip), clip["mask"])
    clips = [clip_of(number, number) for number in (LENGTH, 2)]
    return compare(model, runtime, clips, config, Run(Path()), Path(), {})


def test_padding_is_not_compared():
    found = agreement("frames", lambda mask: mask, lambda logits: logits + 1000)
    assert found.num_clips == 2
    assert found.difference < 1e-5
    assert found.same_answers == 1
    check(found, "litert")


def test_answers_are_compared_by_frame():
    """One of 8 and one of 2 real frames get other answers."""
    found = agreement("frames", lambda mask: np.arange(len(mask)) != 1, lambda logits: -logits)
    assert found.same_answers == pytest.approx(8 / 10)
    assert found.difference > 0.1


def test_where_several_classes_may_hold_an_answer_is_all_of_them():
    shifted = agreement("frames-multilabel", lambda mask: ~mask, lambda logits: logits * 1.001)
    assert shifted.same_answers == 1
    assert shifted.noise == pytest.approx(1e-3, rel=1e-2)  # of how far logits are from 0
    turned = agreement("frames-multilabel", lambda mask: ~mask, lambda logits: logits - 100)
    assert turned.same_answers < 1
