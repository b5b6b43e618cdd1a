"""Before training: a network that cannot learn one batch by heart will learn nothing."""

from __future__ import annotations

import dataclasses

import keras

from pipeline.config import NO_AUGMENT, RunConfig
from pipeline.dataset.clip_batches import training_batches
from pipeline.errors import PipelineError
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.tasks.task import task_of
from pipeline.text import command
from pipeline.training.features import fitted_part
from pipeline.training.optimizer import compile_model

MOST_STEPS = 300
ENOUGH = 0.1  # loss


def overfit_one_batch(config: RunConfig, data: PreparedDataset) -> int:
    """Trains a network of its own on one batch of clips, without anything against overfitting.

    Returns:
        The steps that it took until each clip was right and the loss below 0.1.

    Raises:
        PipelineError: 300 steps were not enough.
    """
    keras.utils.set_random_seed(config.seed)
    num_classes, plain = len(data.class_names), _without_regularisation(config)
    # Where features are stored, then as the training will need them.
    model, data = fitted_part(build_recognizer(plain, num_classes), config, data)
    config = plain
    compile_model(model, config, steps=MOST_STEPS)
    inputs, labels = next(iter(training_batches(data, config)))
    targets = task_of(config.model).targets(labels, num_classes)
    for step in range(1, MOST_STEPS + 1):
        found = model.train_on_batch(inputs, targets, return_dict=True)
        if found["accuracy"] == 1 and found["loss"] < ENOUGH:
            return step
        model.reset_metrics()
    raise PipelineError(
        f"preflight: after {MOST_STEPS} steps on one batch of {len(labels)} clips the loss is "
        f"{found['loss']:.3g} and the accuracy {found['accuracy']:.2f}; a network that can learn "
        f"has them by heart by then. Look at the clips ({command('preview')}), the labels, "
        f"train.learning_rate ({config.train.learning_rate:g}) and the size of the network"
    )


def _without_regularisation(config: RunConfig) -> RunConfig:
    train = dataclasses.replace(
        config.train,
        epochs=1,
        warmup=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        transition_penalty=0.0,
        accumulate=1,
    )
    return dataclasses.replace(
        config.with_backbones(spatial_dropout=0.0),
        augment=NO_AUGMENT,
        model=dataclasses.replace(config.model, dropout=0.0, l1=0.0, l2=0.0),
        temporal=dataclasses.replace(
            config.temporal, dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0
        ),
        train=train,
    )
