import keras
import numpy as np
import pytest

from pipeline.models.layers import BatchNormalization
from pipeline.training.averaging import WeightAverage


@pytest.fixture
def model():
    model = keras.Sequential(
        [keras.layers.Input((2,)), BatchNormalization(), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def fit(model, callbacks, steps=20):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(steps * 4, 2)).astype(np.float32)
    inputs, targets = inputs + 3, inputs.sum(axis=1, keepdims=True)
    model.fit(inputs, targets, batch_size=4, verbose=0, shuffle=False, callbacks=callbacks)


class Steps(keras.callbacks.Callback):
    """The kernel, and the mean that batch normalisation takes off, after each step."""

    def on_train_begin(self, logs=None):  # noqa: ARG002
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        dense, norm = self.model.layers[-1], self.model.layers[-2]
        self.seen.append((dense.kernel.numpy(), mean_of(norm)))


def mean_of(norm):
    return norm.moving_mean.numpy() / (1 - norm.momentum ** float(norm.steps))


def test_the_average_is_that_of_the_weights_and_statistics_after_each_step(model):
    average, steps = WeightAverage(model, momentum=0.8), Steps()
    wanted = [value.copy() for value in (model.layers[-1].kernel.numpy(), np.zeros(2))]
    fit(model, [average, steps])
    for number, values in enumerate(steps.seen, start=1):
        momentum = min(0.8, (1 + number) / (10 + number))
        wanted = [
            momentum * mean + (1 - momentum) * value
            for mean, value in zip(wanted, values, strict=True)
        ]
    last = model.layers[-1].kernel.numpy()
    with average.applied():
        np.testing.assert_allclose(model.layers[-1].kernel.numpy(), wanted[0], rtol=1e-5)
        np.testing.assert_allclose(mean_of(model.layers[-2]), wanted[1], rtol=1e-5)
        assert np.abs(model.layers[-1].kernel.numpy() - last).max() > 1e-4
    np.testing.assert_array_equal(model.layers[-1].kernel.numpy(), last)


def test_statistics_that_do_not_change_are_their_own_average(model):
    """After few steps as well: the moving ones still hold little of the data then."""
    average = WeightAverage(model, momentum=0.99)
    inputs = np.tile([[3.0, -1.0], [5.0, 1.0]], (40, 1)).astype(np.float32)
    data = inputs, inputs[:, :1]
    model.fit(*data, batch_size=4, verbose=0, shuffle=False, callbacks=[average])
    norm = model.layers[-2]
    with average.applied():
        np.testing.assert_allclose(mean_of(norm), [4.0, 0.0], atol=0.01)
        variance = norm.moving_variance.numpy() / norm.share_of_data().numpy()
        np.testing.assert_allclose(variance, [1.0, 1.0], atol=0.01)


def test_validation_uses_the_average(model):
    average = WeightAverage(model, momentum=0.9)
    fit(model, [average])
    inputs, targets = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    plain = model.evaluate(inputs, targets, verbose=0)
    with average.applied():
        averaged = model.evaluate(inputs, targets, verbose=0)
    during = model.evaluate(inputs, targets, verbose=0, callbacks=[average])
    assert during == pytest.approx(averaged)
    assert plain != pytest.approx(averaged, rel=1e-3)
    assert model.evaluate(inputs, targets, verbose=0) == plain
