import numpy as np
import pytest

from pipeline.config import TrainConfig
from pipeline.manifest.rows import Row
from pipeline.training.alarms import Alarms, TopClassShare, TrainingWarning, warn_of_few_groups

CHANCE = 0.25
FINE = {"loss": 1.0, "accuracy": 0.8, "val_accuracy": 0.7, "val_top_class_share": 0.3}


@pytest.fixture
def alarms():
    return Alarms(TrainConfig(learning_rate=0.5), CHANCE)


def feed(alarms, epochs, first=5, **changes):
    for epoch in range(first, first + epochs):
        alarms.on_epoch_end(epoch, {**FINE, **changes})


SIGNS = {
    "are given one and the same class": {"val_accuracy": 0.25, "val_top_class_share": 0.99},
    "at chance .0.20. while training is at 0.80": {"val_accuracy": 0.2},
    "neither training .0.30. nor validation .0.20.": {"accuracy": 0.3, "val_accuracy": 0.2},
    "learned by heart": {"accuracy": 1.0, "val_accuracy": 0.75},
}


@pytest.mark.parametrize(("message", "changes"), SIGNS.items())
def test_each_sign_is_warned_of_once_after_three_epochs_in_a_row(alarms, message, changes):
    feed(alarms, 2, **changes)
    feed(alarms, 1)
    feed(alarms, 2, **changes)
    with pytest.warns(TrainingWarning, match=f"^epoch 6: .*{message}") as caught:
        feed(alarms, 12, **changes)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)


def test_nothing_is_said_of_the_first_epochs_and_of_a_good_training(alarms):
    for changes in SIGNS.values():
        feed(alarms, 4, first=0, **changes)
    feed(alarms, 20)


def test_without_validation_only_the_loss_is_looked_at(alarms):
    for epoch in range(9):
        alarms.on_epoch_end(epoch, {"loss": 1.0, "accuracy": 1.0})
    with pytest.warns(TrainingWarning, match=r"epoch 10: .* --train.learning_rate 0.05"):
        alarms.on_epoch_end(9, {"loss": np.nan, "accuracy": 0.1})


def test_what_was_seen_is_remembered(alarms):
    feed(alarms, 2, val_accuracy=0.2)
    later = Alarms(TrainConfig(), CHANCE)
    later.set_state(alarms.state())
    with pytest.warns(TrainingWarning, match="at chance"):
        feed(later, 1, val_accuracy=0.2)
    last = Alarms(TrainConfig(), CHANCE)
    last.set_state(later.state())
    feed(last, 5, val_accuracy=0.2)


def test_classes_of_few_groups():
    rows = [
        Row(path=f"{label}{group}{split}", label=label, group=group, split=split)
        for label, groups, split in (
            ("walk", "abc", "train"),
            ("run", "ab", "train"),
            ("run", "cdef", "test"),
            ("sit", "a", "train"),
        )
        for group in groups
    ]
    with pytest.warns(TrainingWarning, match="videos of 'run', 'sit' come from fewer than 3 gr"):
        warn_of_few_groups(rows)
    warn_of_few_groups([row for row in rows if row.label == "walk"])


def test_the_share_of_the_class_that_is_answered_most_often():
    """Of known frames, and of the last stage."""
    metric = TopClassShare(3)
    answers = np.eye(3)[[0, 1, 1]]
    metric.update_state(np.zeros((3, 3)), answers)
    metric.update_state(np.zeros((3, 3)), np.eye(3)[[1, 1, 2]])
    assert float(metric.result()) == pytest.approx(4 / 6)
    metric.reset_state()
    metric.update_state(np.zeros((1, 3)), answers[:1])
    assert float(metric.result()) == 1
    answers = np.eye(3)[[[0, 1, 1, 1], [2, 1, 0, 0]]]
    targets = np.zeros((2, 4, 3))
    targets[1, 1:] = -1  # 0, 1, 1, 1 and 2 are left
    for logits in (answers, np.stack([np.roll(answers, 1, axis=-1), answers], axis=1)):
        metric.reset_state()
        metric.update_state(targets, logits)
        assert float(metric.result()) == pytest.approx(3 / 5)
