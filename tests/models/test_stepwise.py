"""Frame by frame, the logits are those of the clip so far."""

import itertools

import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig, RunConfig, TemporalConfig
from pipeline.models.recognizer import build_recognizer
from pipeline.models.stepwise import Stepwise, is_stepwise

LENGTH = 5

CASES = [
    *itertools.product(("lstm", "gru"), (1, 2), ("last", "mean", "max", "attention")),
    ("mean", 1, "last"),
]


@pytest.mark.parametrize("streams", ["rgb", "rgb+difference"])
@pytest.mark.parametrize(("kind", "layers", "pooling"), CASES)
def test_logits_are_those_of_the_clip_so_far(kind, layers, pooling, streams):
    temporal = TemporalConfig(kind=kind, layers=layers, pooling=pooling, units=7)
    config = RunConfig(
        frames=FramesConfig(size=16),
        clip=ClipConfig(num_frames=LENGTH),
        model=ModelConfig(streams=tuple(streams.split("+"))),
        temporal=temporal,
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
        mask = np.tile(np.arange(LENGTH) <= time, (2, 1))
        expected = np.mean(
            [part({"features": features[name], "mask": mask}) for name, part in parts.items()], 0
        )
        np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)
        seen.append(np.array(logits))
    assert np.abs(np.diff(seen, axis=0)).max() > 1e-3


def test_what_needs_later_frames_is_not_stepwise():
    kinds = ("lstm", "gru", "mean", "bilstm", "conv1d_lstm")
    found = [is_stepwise(RunConfig(temporal=TemporalConfig(kind=kind))) for kind in kinds]
    assert found == [True, True, True, False, False]
