"""Heads on statistics of stored features: fitted at once, not by epochs."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax
from threadpoolctl import threadpool_limits

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import augmented_clips, batches_to_judge
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training.callbacks import EpochLog
from pipeline.training.checkpoint import Progress
from pipeline.training.trainer import Trainer

Floats = npt.NDArray[np.floating[Any]]

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Those that folds choose from."""
_USUAL = 100.0
_FOLDS = 5
_ROUGHLY = 1e-3
_ABSENT = -10.0
"""The logit of a class of which there is nothing to fit to."""
_COLUMNS_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """What a linear head is fitted to.

    Attributes:
        inputs: float (N, D).
        targets: float (N, C).
        weights: float (N,), what each row counts.
        groups: Group of each row.
        exclusive: Whether classes exclude each other: softmax, else a sigmoid for each.
    """

    inputs: Floats
    targets: Floats
    weights: Floats
    groups: npt.NDArray[np.str_]
    exclusive: bool

    def part(self, rows: npt.NDArray[np.integer[Any]]) -> Problem:
        """Some of the rows."""
        return Problem(
            self.inputs[rows],
            self.targets[rows],
            self.weights[rows],
            self.groups[rows],
            self.exclusive,
        )

    def loss(self, logits: Floats) -> float:
        """The summed cross-entropy of logits, float (N, C)."""
        if self.exclusive:
            losses = -(self.targets * log_softmax(logits, axis=1)).sum(axis=1)
        else:
            ones, zeros = log_expit(logits), log_expit(-logits)
            losses = -(self.targets * ones + (1 - self.targets) * zeros).sum(axis=1)
        return float(self.weights @ losses)


def fit(problem: Problem, penalty: float, *, tolerance: float = 1e-6) -> tuple[Floats, Floats]:
    """Fits a linear head by logistic regression; of classes that may hold at once, one for each.

    Args:
        problem: What to.
        penalty: On half the sum of the squared weights, beside the summed cross-entropy.
        tolerance: Largest slope of the loss at which it ends.

    Returns:
        Weights float64 (D, C) and biases float64 (C,).
    """
    shares = problem.targets * problem.weights[:, None]
    if problem.exclusive:
        return _regression(problem.inputs, shares, penalty, tolerance)
    others = problem.weights[:, None] - shares
    # Between two classes, weights come out half as large for each, and so does their penalty.
    heads = [
        _regression(problem.inputs, np.stack(each, axis=1), 2 * penalty, tolerance)
        for each in zip(others.T, shares.T, strict=True)
    ]
    differences = [(kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]) for kernel, bias in heads]
    kernels, biases = zip(*differences, strict=True)
    return np.stack(kernels, axis=1), np.array(biases)


def _regression(
    inputs: Floats, shares: Floats, penalty: float, tolerance: float
) -> tuple[Floats, Floats]:
    """Multinomial regression on rows, (N, D), that count so much for each class, (N, C).

    A target that is shared by several classes is a row for each of them.
    """
    from sklearn.linear_model import LogisticRegression  # takes more than a second

    rows, labels = np.nonzero(shares)
    kernel, bias = np.zeros((inputs.shape[1], shares.shape[1])), np.full(shares.shape[1], _ABSENT)
    there = np.unique(labels)
    if len(there) == 1:
        bias[there] = 0.0
        return kernel, bias
    inverse = (2 if len(there) == 2 else 1) / penalty
    regression = LogisticRegression(C=inverse, tol=tolerance, max_iter=1000)
    found = regression.fit(inputs[rows], labels, sample_weight=shares[rows, labels])
    weights, constants = found.coef_.T, found.intercept_
    if len(there) == 2:  # scikit-learn gives what the second has more than the first.
        weights, constants = (each * [-0.5, 0.5] for each in (weights, constants))
    kernel[:, there], bias[there] = weights, constants
    return kernel, bias


def nearest_mean(problem: Problem) -> tuple[Floats, Floats]:
    """The head that answers with the class whose mean is nearest: there is nothing to fit.

    Returns:
        As of `fit`; logits are less half the squared distances, in units of what rows are apart
        from the means of their classes.

    Source: the nearest class mean, Mensink et al. (2013); prototypes, Snell et al. (2017).
    """
    shares = problem.targets * problem.weights[:, None]
    means = shares.T @ problem.inputs / np.maximum(shares.sum(axis=0), 1e-9)[:, None]
    apart = problem.inputs - problem.targets @ means
    spread = np.square(apart).sum(axis=1).mean() or np.square(problem.inputs).sum(axis=1).mean()
    scale = 10 / max(float(spread), 1e-9)
    return scale * means.T, -scale / 2 * np.square(means).sum(axis=1)


def choose_penalty(problem: Problem) -> float:
    """The penalty of the least cross-entropy of rows whose groups were not fitted to."""
    folds = min(_FOLDS, len(np.unique(problem.groups)))
    if folds < 2:
        return _USUAL
    from sklearn.model_selection import GroupKFold  # takes more than a second

    losses = np.zeros(len(PENALTIES))
    for seen, unseen in GroupKFold(folds).split(problem.inputs, groups=problem.groups):
        known, test = problem.part(seen), problem.part(unseen)
        for number, penalty in enumerate(PENALTIES):
            kernel, bias = fit(known, penalty, tolerance=_ROUGHLY)
            losses[number] += test.loss(test.inputs @ kernel + bias)
    return PENALTIES[int(losses.argmin())]


def shortened(inputs: Floats) -> tuple[Floats, Floats]:
    """The same rows in as few numbers as they span, where these are many.

    A head with an L2 penalty has no part in what they do not span: it is fitted there as well.

    Args:
        inputs: float (N, D), D above N.

    Returns:
        Rows, float64 (N, R), R at most N; and what gives a head by the given rows: float64 (N, R),
        of which `inputs.T @ (that @ weights)`, (D, C), are the weights.
    """
    products = np.zeros((len(inputs), len(inputs)))
    for first in range(0, inputs.shape[1], _COLUMNS_AT_ONCE):
        some = inputs[:, first : first + _COLUMNS_AT_ONCE].astype(np.float64)
        products += some @ some.T
    squares, vectors = np.linalg.eigh(products)
    kept = squares > 1e-9 * squares.max()
    sizes = np.sqrt(squares[kept])
    return vectors[:, kept] * sizes, vectors[:, kept] / sizes


_MOST_CLIPS = 4
"""Of each training video, each cut and changed at random."""
_ENOUGH = 500
"""Clips in all; the time goes with their square, and more of the same videos tell little."""
_AT_ONCE = 64


def fit_heads(recognizer: keras.Model, videos: FeatureVideos, config: RunConfig) -> None:
    """Fits the standardisation and the head of each stream to the training clips.

    Each by itself: the streams are trained apart.
    """
    for stream in config.model.streams:
        part = recognizer.get_layer(f"{stream}_temporal")
        layer, head = part.get_layer("standardise"), part.get_layer("head")
        statistics = keras.Model(part.input, layer.input)
        problem = _problem(statistics, f"{stream}_features", videos, config)
        inputs = problem.inputs
        mean, variance = inputs.mean(axis=0), inputs.var(axis=0)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
        layer.steps.assign(1e6)  # so many that nothing of the start is left
        inputs -= mean
        inputs /= np.sqrt(variance + layer.epsilon)
        is_long = inputs.shape[1] > len(inputs)
        short, back = shortened(inputs) if is_long else (inputs, inputs)
        problem = dataclasses.replace(problem, inputs=short)
        kernel, bias = _fitted(problem, config.temporal.penalty, stream)
        head.set_weights([inputs.T @ (back @ kernel) if is_long else kernel, bias])


@threadpool_limits.wrap(limits=1)  # More wait for each other longer than they compute.
def _fitted(
    problem: Problem, penalty: float | Literal["auto", "nearest"], stream: str
) -> tuple[Floats, Floats]:
    if penalty == "nearest":
        return nearest_mean(problem)
    if penalty == "auto":
        penalty = choose_penalty(problem)
        print(f"{stream}: penalty {penalty:g}, by folds over training groups", flush=True)
    return fit(problem, penalty)


def _problem(
    statistics: keras.Model, name: str, videos: FeatureVideos, config: RunConfig
) -> Problem:
    """Statistics of training clips, as training in epochs would see them, not standardised."""
    records = videos.of_split("train")
    each = max(1, min(_MOST_CLIPS, _ENOUGH // len(records)))
    inputs, labels = [], []
    for epoch in range(each):
        for taken, label in augmented_clips(videos, config, epoch=epoch).batch(_AT_ONCE):
            inputs.append(statistics({"features": taken[name], "mask": taken["mask"]}).numpy())
            labels.append(label.numpy())
    task, train, num_classes = task_of(config.model), config.train, len(videos.class_names)
    smoothing = train.label_smoothing
    targets = task.targets(np.concatenate(labels), num_classes, smoothing).numpy().astype(float)
    weights = np.full(len(targets), 1 / each)
    if train.class_weights or train.balanced:
        counts = targets.sum(axis=0)
        weights *= targets @ (counts.sum() / (num_classes * counts))
    groups = np.array([record.row.group for record in records] * each)
    exclusive = not config.model.multilabel
    return Problem(np.concatenate(inputs), targets, weights, groups, exclusive)


def note_fit(
    trainer: Trainer, progress: Progress, videos: FeatureVideos, config: RunConfig, run: Run
) -> None:
    """Keeps a network that was fitted at once, as that of the only epoch."""
    log = EpochLog(run.history_file, 1, progress.best, task_of(config.model).metric_title)
    calls = keras.callbacks.CallbackList([progress.best, log], model=progress.model)
    calls.on_epoch_begin(0)
    logs: dict[str, float] = {}
    splits: tuple[tuple[Split, str], ...] = (("train", ""), ("val", "val_"))
    for split, prefix in splits:
        if batches := batches_to_judge(videos, config, split=split):
            found = trainer.judge(iter(batches))
            logs |= {f"{prefix}{name}": value for name, value in found.items()}
    calls.on_epoch_end(0, logs)
    progress.best.write()
