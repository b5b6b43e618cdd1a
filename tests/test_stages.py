"""Each stage of the model and of augmentation, switched on by one key: trained, saved, exported."""

import dataclasses
from typing import get_args

import keras
import numpy as np
import pytest

from pipeline.config import (
    NO_AUGMENT,
    BackboneConfig,
    ClipConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.config.file import differing, with_values
from pipeline.config.model import Input
from pipeline.data.dataset import evaluation_batches
from pipeline.inference.export import export
from pipeline.inference.litert import LiteRTModel
from pipeline.models.recognizer import load_recognizer
from pipeline.training.fit import train

INPUTS = get_args(Input)
STAGES = {
    **{f"model.input {kind}": ("model.input", kind) for kind in INPUTS},
    **{
        f"temporal.{key} {value}": (f"temporal.{key}", value)
        for key, values in {
            "kind": ("lstm", "bilstm", "gru", "conv1d_lstm", "mean"),
            "layers": (2,),
            "pooling": ("last", "max", "attention"),
            "dropout": (0.5,),
            "input_dropout": (0.5,),
            "recurrent_dropout": (0.5,),
        }.items()
        for value in values
    },
    "backbone.spatial_dropout": ("backbone.spatial_dropout", 0.5),
    "model.dropout": ("model.dropout", 0.5),
    **{
        f"augment.{key}": (f"augment.{key}", value)
        for key, value in {
            "flip": 0.5,
            "crop.strength": 0.3,
            "scale.strength": 0.2,
            "translate.strength": 0.2,
            "rotation.strength": 20.0,
            "brightness.strength": 0.2,
            "contrast.strength": 0.5,
            "saturation.strength": 0.5,
            "hue.strength": 0.2,
            "greyscale": 0.5,
            "noise.strength": 0.1,
            "erase.strength": 0.3,
            "speed.strength": 0.5,
            "drop_frames.strength": 0.5,
            "reverse": 0.5,
            "mixup.strength": 0.4,
            "cutmix.strength": 0.4,
        }.items()
    },
}
"""By name, the key and the value that switch it on."""

BASE = RunConfig(
    clip=ClipConfig(num_frames=4, views=1),
    augment=dataclasses.replace(NO_AUGMENT, reverse_labels=(("left", "right"),)),
    model=ModelConfig(input="difference", dropout=0),
    backbone=BackboneConfig(filters=(4, 4)),
    temporal=TemporalConfig(units=4, dropout=0),
    train=TrainConfig(epochs=1, batch_size=48),
)
SWITCHED_ON_IN_BASE = {"model.input difference", "temporal.kind lstm"}


@pytest.mark.parametrize("stage", STAGES)
def test_it_trains_and_gives_the_same_logits_saved_and_exported(stage, flow_store, tmp_path):
    key, value = STAGES[stage]
    config = with_values(dataclasses.replace(BASE, data=str(flow_store.path)), {key: value}, stage)
    assert bool(differing(config, dataclasses.replace(BASE, data=config.data))) == (
        stage not in SWITCHED_ON_IN_BASE
    )

    run = train(config, tmp_path / "run")  # one step
    export(run)

    ((inputs, _),) = evaluation_batches(flow_store, run.config(), "test").take(1)
    wanted = load_recognizer(run.model_file).predict_on_batch(inputs)
    assert np.ptp(wanted) > 0
    again = tmp_path / "again.keras"
    load_recognizer(run.model_file).save(again)
    np.testing.assert_array_equal(keras.saving.load_model(again).predict_on_batch(inputs), wanted)
    exported = LiteRTModel(run.litert_file)
    for index in range(4):
        clip = {name: tensor[index].numpy() for name, tensor in inputs.items()}
        np.testing.assert_allclose(exported.clip_logits(clip), wanted[index], atol=1e-5)
