"""A head on descriptors, fitted in seconds to what is labelled so far."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.manifest.annotation import IGNORED_LABEL, Annotation
from pipeline.tasks.bouts import runs_of, usual_bounds, without_short
from pipeline.video.descriptors import FPS

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.uint8]
Layers = tuple[tuple[Floats, Floats], tuple[Floats, Floats]]

_NEAR, _WIDE = 2, 7
"""Descriptors to either side that are averaged."""

MOST_CELLS: Final = 8000
"""A head is fitted to so many in about two seconds."""

_HIDDEN: Final = 64
_PENALTY: Final = 1.0
_BATCH: Final = 128
_LEARNING_RATE: Final = 2e-3
_EPOCHS: Final = 20
_LEAST: Final = 0.5
_LEAST_SCALE: Final = 0.02
"""Of what hardly varies in the labelled recordings, but may in others."""


class Described(NamedTuple):
    """A recording as the head sees it.

    Attributes:
        name: Its name.
        descriptors: float16 (N, 288), see `describe`.
        annotation: What is known of it; None: nothing.
    """

    name: str
    descriptors: Floats
    annotation: Annotation | None = None

    @property
    def events(self) -> tuple[tuple[float, float, str], ...]:
        """Start, end and class of what was marked, in seconds."""
        return self.annotation.events if self.annotation else ()

    def labels(self, class_names: Sequence[str]) -> Labels:
        """Of each cell, uint8 (N, C), see `Annotation.by_frame`; of other classes nothing."""
        count = len(self.descriptors)
        if self.annotation is None:
            return np.full((count, len(class_names)), IGNORED_LABEL, np.uint8)
        return self.annotation.of_classes(class_names).by_frame(FPS, class_names)(0, count)

    def is_watched(self) -> npt.NDArray[np.bool_]:
        """Of which cells all classes are known, bool (N,)."""
        return self.labels([""])[:, 0] != IGNORED_LABEL


class Bout(NamedTuple):
    """A stretch at which a class is found: cells from the first up to the end, and how sure."""

    label: str
    first: int
    end: int
    probability: float


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """Says how probable classes are at each cell, each by itself, since several may hold.

    Attributes:
        class_names: C names.
        layers: Weights and bias of the hidden layer, float32 (D, H) and (H,), and of the last one,
            (H, C) and (C,).
        shortest: Cells of a bout and of a gap, at least, int (2, C).
    """

    class_names: tuple[str, ...]
    layers: Layers
    shortest: npt.NDArray[np.integer]

    def probabilities(self, descriptors: Floats) -> Floats:
        """From descriptors, (N, 288), to float32 (N, C), averaged over half a second."""
        (weights, bias), (last_weights, last_bias) = self.layers
        hidden = np.maximum(in_context(descriptors) @ weights + bias, 0)
        logits = hidden @ last_weights + last_bias
        return _averaged(1 / (1 + np.exp(-np.clip(logits, -30, 30))), -_NEAR, _NEAR + 1)

    def bouts(self, probabilities: Floats) -> list[Bout]:
        """Where each class is found."""
        return [
            Bout(name, first, end, float(probabilities[first:end, number].mean()))
            for number, name in enumerate(self.class_names)
            for first, end in without_short(
                runs_of(probabilities[:, number] > _LEAST), *self.shortest[:, number]
            ).tolist()
        ]


def fit_head(
    recordings: Sequence[Described],
    class_names: Sequence[str],
    *,
    most_cells: int = MOST_CELLS,
    seed: int = 0,
) -> Head:
    """Fits a head: a network of one hidden layer, whose last one says how probable each class is.

    Classes that are known at the same cells share the hidden layer: where stretches were watched,
    all of them do. One that was decided by itself has one of its own.

    Args:
        recordings: Of which, for each class, those cells count where it is known; there are some.
        class_names: C names; one that never occurs is never found.
        most_cells: How many cells it is fitted to, at most; where each class was decided by itself,
            up to twice as many in all.
        seed: Of the choice of cells, where there are too many.
    """
    labels = [each.labels(class_names) for each in recordings]
    together = np.concatenate(labels)
    columns, number = np.unique(together != IGNORED_LABEL, axis=1, return_inverse=True)
    share = most_cells // (len(class_names) + 1)
    width = _HIDDEN * columns.shape[1]
    last, last_bias = np.zeros((width, len(class_names))), np.zeros(len(class_names))
    first = []
    for group in range(columns.shape[1]):
        alike = number == group
        chosen = _chosen_cells(together[:, alike], share, seed)
        cells = np.concatenate(list(_contexts(recordings, labels, chosen)))
        known = together[chosen.places][:, alike]
        hidden, (weights, last_bias[alike]) = _fitted(cells, known, chosen.weights, seed)
        last[_HIDDEN * group : _HIDDEN * (group + 1), alike] = weights
        first.append(hidden)
    weights, bias = (np.concatenate(each, axis=-1) for each in zip(*first, strict=True))
    layers = (weights, bias), (last, last_bias)
    bouts, gaps = usual_bounds(labels, len(class_names))
    # Of few events the gaps are wide by chance, which must not join others.
    shortest = np.stack([bouts, np.minimum(bouts, gaps)])
    return Head(tuple(class_names), layers, shortest)


def in_context(descriptors: Floats) -> Floats:
    """Each cell with those around it, float32 (N, 5 * 288).

    Itself, the means of half a second and of a second and a half, the deviation in the latter, and
    how much its second half is above the first.
    """
    own = np.asarray(descriptors, np.float32)
    wide = _averaged(own, -_WIDE, _WIDE + 1)
    variance = _averaged(own * own, -_WIDE, _WIDE + 1) - wide * wide
    return np.concatenate(
        [
            own,
            _averaged(own, -_NEAR, _NEAR + 1),
            wide,
            np.sqrt(np.maximum(variance, 0)),
            _averaged(own, 0, _WIDE + 1) - _averaged(own, -_WIDE, 1),
        ],
        axis=1,
    )


def _averaged(values: Floats, first: int, end: int) -> Floats:
    """The mean of each cell and its neighbours, by where they lie; fewer at the ends."""
    places = np.arange(len(values))
    low, high = np.maximum(places + first, 0), np.minimum(places + end, len(values))
    sums = np.cumsum(values, axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    found: Floats = (sums[high] - sums[low]) / (high - low)[:, None]
    return found.astype(np.float32)


class _Cells(NamedTuple):
    """Which of all cells are fitted to, in order, and for how many others each stands."""

    places: npt.NDArray[np.int64]
    weights: Floats


def _chosen_cells(labels: Labels, share: int, seed: int) -> _Cells:
    """The known cells; of each class at most so many, if there are more than that of each."""
    random = np.random.default_rng(seed)
    known = np.flatnonzero(labels[:, 0] != IGNORED_LABEL)
    holds = labels[known] == 1
    counts = holds.sum(axis=0)
    # The rarest class that holds; where none does, the number of classes.
    rarest = np.where(holds, counts, len(labels) + 1).argmin(axis=1)
    kinds = np.where(holds.any(axis=1), rarest, labels.shape[1])
    share = max(1, share) if len(known) > share * (labels.shape[1] + 1) else len(known)
    places, weights = [], []
    for kind in np.unique(kinds):
        of_kind = known[kinds == kind]
        kept = random.permutation(of_kind)[:share]
        places.append(kept)
        weights.append(np.full(len(kept), len(of_kind) / len(kept)))
    together, order = np.concatenate(places), np.argsort(np.concatenate(places))
    return _Cells(together[order], np.concatenate(weights)[order])


def _contexts(
    recordings: Sequence[Described], labels: Sequence[Labels], chosen: _Cells
) -> Iterator[Floats]:
    """Yields the chosen cells of each recording in their contexts."""
    start = 0
    for recording, own in zip(recordings, labels, strict=True):
        end = start + len(own)
        first, last = np.searchsorted(chosen.places, (start, end))
        if first < last:
            yield in_context(recording.descriptors)[chosen.places[first:last] - start]
        start = end


def _fitted(cells: Floats, labels: Labels, weights: Floats, seed: int) -> Layers:
    """The layers of a network on cells as they are, see `Head`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    mean, scale = cells.mean(axis=0), cells.std(axis=0) + _LEAST_SCALE
    network = MLPClassifier(
        (_HIDDEN,),
        alpha=_PENALTY,
        batch_size=min(_BATCH, len(cells)),
        learning_rate_init=_LEARNING_RATE,
        max_iter=_EPOCHS,
        random_state=seed,
    )
    # A class more, which holds where no other one does: of one alone, others are made of it.
    targets = np.column_stack([labels, ~labels.any(axis=1)]).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # It is near enough by then.
        network.fit((cells - mean) / scale, targets, sample_weight=weights)
    (first, last), (bias, last_bias) = network.coefs_, network.intercepts_
    first = first / scale[:, None]
    return (first, bias - mean @ first), (last[:, :-1], last_bias[:-1])
