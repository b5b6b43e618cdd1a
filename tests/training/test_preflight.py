"""Before training: one batch must be learned by heart."""

import dataclasses

import pytest

from pipeline.config import ModelConfig, RunConfig, TrainConfig
from pipeline.errors import PipelineError
from pipeline.training import preflight
from pipeline.training.fit import train


def test_a_network_that_learns_passes_whatever_holds_it_back(blob_config, blob_store):
    config = dataclasses.replace(
        blob_config,
        frames=blob_store.frames,
        model=ModelConfig(dropout=0.9, l2=1.0),
        train=TrainConfig(batch_size=4, learning_rate=5e-3, label_smoothing=0.5, accumulate=8),
    )
    assert preflight.overfit_one_batch(config, blob_store) < preflight.MOST_STEPS


def test_answers_may_change_from_frame_to_frame():
    config = preflight._without_regularisation(RunConfig())
    assert config.train.transition_penalty == 0


def test_one_that_does_not_is_not_trained(blob_config, blob_store, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "MOST_STEPS", 10)
    config = dataclasses.replace(blob_config, train=TrainConfig(batch_size=4, learning_rate=1e-9))
    with pytest.raises(PipelineError, match=r"after 10 steps .* train.learning_rate \(1e-09\)"):
        train(config, tmp_path / "run", preflight=True)
    assert not (tmp_path / "run").exists()
