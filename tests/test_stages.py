"""Each stage of the model and of augmentation, switched on by its key: trained, saved, exported.

Stages that do not touch each other share a run, since tracing and converting it is what takes time.
"""

import dataclasses
import functools
from typing import get_args, get_type_hints

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, TemporalConfig
from pipeline.config.file import differing
from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.inference.export import export
from pipeline.inference.runtimes import open_runtime
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.run import Run
from pipeline.training.fit import train
from pipeline.training.run_folder import open_run
from tests.runs import changed, drawn_run

BASE = {
    "augment.reverse_labels": (("left", "right"),),
    "model.streams": ("difference",),
    "backbone.filters": (4, 4),
    "temporal.kind": "lstm",
    "temporal.units": 4,
    "train.epochs": 1,
    "train.batch_size": 12,
    "split.train_on_val": True,
}
STRENGTHS = (
    *("crop", "scale", "translate", "brightness", "contrast", "saturation", "hue", "noise"),
    *("erase", "speed", "drop_frames"),
)
AUGMENTATIONS = {
    **{f"augment.{name}": 0.5 for name in ("flip", "greyscale", "reverse")},
    **{f"augment.{name}.strength": 0.3 for name in STRENGTHS},
    "augment.rotation.strength": 20.0,
}
DROPOUTS = {
    **{f"temporal.{name}": 0.5 for name in ("dropout", "input_dropout", "recurrent_dropout")},
    "backbone.spatial_dropout": 0.5,
    "model.dropout": 0.5,
}
STREAMS = ("rgb", "difference", "flow")
RUNS = {
    "lstm": {"temporal.layers": 2, **DROPOUTS},
    "bilstm": {"model.streams": ("rgb",), "temporal.pooling": "last", "augment.cutmix.strength": 1},
    "gru": {"model.streams": ("flow",), "temporal.pooling": "attention", **AUGMENTATIONS},
    "conv1d_lstm": {"model.streams": ("rgb_difference",), "temporal.pooling": "max"},
    "tcn": {"temporal.causal": True, "temporal.layers": 3, "temporal.input_dropout": 0.2},
    "mean": {"model.streams": STREAMS, "augment.mixup.strength": 0.4, **AUGMENTATIONS},
    "stats": {"model.streams": ("rgb", "flow"), "model.fusion": "apart", "clip.shrink": 2},
}
"""By the kind of the temporal part, what else is switched on; each stage is in one of them."""


ELSEWHERE = ("tcn", "stats")
"""What other tests train: here it has drawn weights."""


def logits(model, inputs):
    return model(inputs, training=False).numpy()


@pytest.mark.parametrize("kind", get_args(get_type_hints(TemporalConfig)["kind"]))
def test_it_gives_the_same_logits_saved_and_exported(kind, tiny_config, tiny_store, tmp_path):
    base = changed(dataclasses.replace(tiny_config, augment=NO_AUGMENT), BASE)
    config = changed(base, {"temporal.kind": kind, **RUNS[kind]})
    # What is on in the base already is the difference, the LSTM and the mean of its outputs.
    assert len(differing(config, base)) == len(RUNS[kind]) + (kind != "lstm")
    make = functools.partial(drawn_run, exported=False) if kind in ELSEWHERE else train
    make(config, tmp_path / "run")  # training is one step
    run = Run(tmp_path / "run")
    export(open_run(run))
    ((inputs, _),) = evaluation_batches(tiny_store, run.config(), "test").take(1)
    model = load_recognizer(run.model_file)
    wanted = logits(model, inputs)
    assert np.ptp(wanted) > 0
    again = tmp_path / "again.keras"
    model.save(again)
    np.testing.assert_array_equal(logits(keras.saving.load_model(again), inputs), wanted)
    exported = open_runtime(run.litert_file)
    for index in range(4):
        clip = {name: tensor[index].numpy() for name, tensor in inputs.items()}
        np.testing.assert_allclose(exported.clip_logits(clip), wanted[index], atol=1e-5)


def test_all_of_several_streams_learn(tiny_config, tiny_store):
    config = changed(tiny_config, {"model.streams": STREAMS, "frames.size": 16})
    ((inputs, labels),) = evaluation_batches(tiny_store, config, "test").take(1)
    model = build_recognizer(config, 2)
    with tf.GradientTape() as tape:
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(inputs, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
