"""Frame by frame, the logits are those of the clip so far, or of the frame."""

import itertools

import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig, RunConfig, TemporalConfig
from pipeline.models.parts import Parts
from pipeline.models.recognizer import build_recognizer
from pipeline.models.stepwise import Stepwise

LENGTH = 5
TCN = {"kind": "tcn", "causal": True, "layers": 2}

POOLINGS = ("last", "mean", "max", "attention")
CASES = [
    *(
        ("video", {"kind": kind, "layers": layers, "pooling": pooling})
        for kind, layers, pooling in itertools.product(("lstm", "gru"), (1, 2), POOLINGS)
    ),
    ("video", {"kind": "mean", "pooling": "last"}),
    ("video", {**TCN, "pooling": "last"}),
    ("video", {**TCN, "pooling": "attention"}),
    ("frames", {"kind": "lstm"}),
    ("frames", {"kind": "gru", "layers": 2}),
    ("frames", TCN),
    ("frames-multilabel", {**TCN, "stages": 2}),
]


def described(value):
    return value if isinstance(value, str) else " ".join(map(str, value.values()))


@pytest.mark.parametrize("streams", ["rgb", "rgb+difference"])
@pytest.mark.parametrize(("task", "temporal"), CASES, ids=described)
def test_logits_are_those_of_the_clip_so_far(task, temporal, streams):
    config = RunConfig(
        frames=FramesConfig(size=16),
        clip=ClipConfig(num_frames=LENGTH, sampling="dense"),
        model=ModelConfig(task=task, streams=tuple(streams.split("+"))),
        temporal=TemporalConfig(units=7, **temporal),
    )
    model = build_recognizer(config, 3, for_export=True)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name not in ("moving_variance", "gamma", "steps"):
            weight.assign(rng.normal(scale=0.3, size=weight.shape))
    parts = {f"{s}_features": model.get_layer(f"{s}_temporal") for s in config.model.streams}
    features = {
        name: rng.normal(scale=3, size=(2, LENGTH, part.input["features"].shape[-1])).astype("f")
        for name, part in parts.items()
    }
    step = Stepwise(model, config)
    state = np.zeros((2, step.state_size), np.float32)
    seen = []
    for time in range(LENGTH):
        logits, state = step({name: each[:, time] for name, each in features.items()}, state)
        # An answer at a frame is the same whatever comes after it.
        mask = np.tile((np.arange(LENGTH) <= time) | config.model.per_frame, (2, 1))
        expected = np.mean(
            [part({"features": features[name], "mask": mask}) for name, part in parts.items()], 0
        )
        if config.model.per_frame:
            expected = expected[:, time]
        np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=1e-5)
        seen.append(np.array(logits))
    assert np.abs(np.diff(seen, axis=0)).max() > 1e-3


def test_what_needs_later_frames_has_no_step():
    kinds = (
        {"kind": "lstm"},
        {"kind": "bilstm"},
        {"kind": "conv1d_lstm"},
        {"kind": "tcn"},
        {"kind": "stats"},
        TCN,
    )
    found = []
    for kind in kinds:
        config = RunConfig(
            frames=FramesConfig(size=16),
            clip=ClipConfig(num_frames=2),
            temporal=TemporalConfig(units=2, **kind),
        )
        parts = Parts(build_recognizer(config, 3, for_export=True), config)
        found.append("step" in parts.functions(1))
    assert found == [True, False, False, False, False, True]
