import contextlib
import signal
import socket
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.training.cluster import Cluster
from pipeline.training.ctrl_c import ctrl_c_between_steps
from pipeline.training.trainer import Trainer


class Press(keras.callbacks.Callback):
    """Ctrl-C in the middle of something, where its exception would go nowhere."""

    def __init__(self, hook):
        super().__init__()
        setattr(self, f"on_{hook}", self.press)

    def press(self, number=1, logs=None):  # noqa: ARG002
        if number != 0:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


class Count(keras.callbacks.Callback):
    """Of steps and epochs."""

    steps = epochs = 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.steps += 1

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.epochs += 1


def fit(ctrl_c, *callbacks, test_steps=4, cluster=None):
    """Three epochs of eight steps, and some of validation."""
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.optimizer.build(model.trainable_variables)
    clip = np.zeros((1, 1), np.float32)
    clips = tf.data.Dataset.from_tensors((clip, clip)).repeat()
    Trainer(model, [], cluster or Cluster()).fit(
        lambda **_: clips,
        lambda **_: (clips, test_steps),
        epochs=range(3),
        steps=8,
        callbacks=callbacks,
        ctrl_c=ctrl_c,
    )


@pytest.mark.parametrize(
    ("hook", "steps", "epochs"),
    [
        ("train_batch_begin", 2, 0),
        ("test_begin", 8, 0),
        ("epoch_end", 16, 2),
        ("train_end", 24, 3),
    ],
)
def test_ctrl_c_ends_the_training_with_the_step(hook, steps, epochs):
    """Of validation as well, however many steps it has."""
    before, count = signal.getsignal(signal.SIGINT), Count()
    turns = 10**9 if hook == "test_begin" else 4
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps() as ctrl_c:
        fit(ctrl_c, count, Press(hook), test_steps=turns)
    assert (count.steps, count.epochs) == (steps, epochs)
    assert signal.getsignal(signal.SIGINT) is before


def test_all_workers_are_through_with_the_step_that_ctrl_c_ends():
    line, of_another = socket.socketpair()
    with contextlib.closing(line), ctrl_c_between_steps() as ctrl_c:
        threading.Timer(0.5, of_another.close).start()
        with pytest.raises(KeyboardInterrupt):
            fit(ctrl_c, Press("train_batch_begin"), cluster=Cluster(lines=(line,)))
        assert line.fileno() == of_another.fileno() == -1
        ctrl_c.pressed = False


def press_twice():
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    return "at once"


def press_and_fail():
    signal.raise_signal(signal.SIGINT)
    raise ValueError("not a tensor")


def test_the_second_raises_at_once_and_an_error_that_a_library_made_of_it_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps():
        assert press_twice() == "at once"
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps():
        press_and_fail()
    with pytest.raises(ValueError, match="no tensor either"), ctrl_c_between_steps():
        raise ValueError("no tensor either")


def test_where_ctrl_c_is_ignored_it_stays_ignored():
    before, count = signal.signal(signal.SIGINT, signal.SIG_IGN), Count()
    try:
        with ctrl_c_between_steps() as ctrl_c:
            fit(ctrl_c, count, Press("train_batch_begin"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert count.epochs == 3


def test_without_ctrl_c_and_in_another_thread_nothing_happens():
    def train():
        with ctrl_c_between_steps() as ctrl_c:
            fit(ctrl_c)
            done.append(not ctrl_c.pressed)

    done = []
    train()
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert done == [True, True]
