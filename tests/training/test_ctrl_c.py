import contextlib
import signal
import threading

import keras
import numpy as np
import pytest

from pipeline.training.ctrl_c import remembered_ctrl_c


class Swallow(keras.callbacks.Callback):
    """Ctrl-C comes where the exception goes nowhere."""

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002
        if batch == 1:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


class Count(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.steps += 1


def fit(*callbacks):
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    data = np.zeros((8, 1), np.float32)
    model.fit(data, data, batch_size=1, verbose=0, callbacks=list(callbacks))


def test_ctrl_c_that_was_swallowed_ends_the_training_with_the_step():
    before, count = signal.getsignal(signal.SIGINT), Count()
    with pytest.raises(KeyboardInterrupt), remembered_ctrl_c() as ctrl_c:
        fit(count, Swallow(), ctrl_c)
    assert count.steps == 2
    assert signal.getsignal(signal.SIGINT) is before


def press_and_fail():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ValueError("not a tensor") from None


def test_an_error_that_a_library_made_of_ctrl_c_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt), remembered_ctrl_c():
        press_and_fail()
    with pytest.raises(ValueError, match="no tensor either"), remembered_ctrl_c():
        raise ValueError("no tensor either")


def test_without_ctrl_c_and_in_another_thread_nothing_happens():
    def train():
        with remembered_ctrl_c() as ctrl_c:
            fit(ctrl_c)
            done.append(not ctrl_c.pressed)

    done = []
    train()
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert done == [True, True]
