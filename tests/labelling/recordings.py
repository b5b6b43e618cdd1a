"""Recordings that are described as if they had been read, of which three are labelled."""

import numpy as np

from pipeline.labelling.head import Described
from pipeline.manifest.annotation import Annotation
from pipeline.video.descriptors import SIZE

CLASSES = ["walk", "wave"]
NUMBERS = {"walk": slice(0, 20), "wave": slice(40, 60)}
"""The numbers of a descriptor by which a class is told."""


def described(name, events=(), *, seconds=30.0, known=None, is_labelled=True):
    """A recording in which each class shows in some numbers of the descriptors, above noise."""
    random = np.random.default_rng([0, *name.encode()])
    values = random.normal(0.2, 0.05, (round(seconds * 10), SIZE))
    for start, end, label in events:
        values[round(start * 10) : round(end * 10), NUMBERS[label]] += 0.5
    annotation = Annotation(events=tuple(events), known=known) if is_labelled else None
    return Described(name, values.astype(np.float16), annotation)


def relabelled(recordings, **annotation):
    """The same recordings, of which something else is known."""
    return [each._replace(annotation=Annotation(**annotation)) for each in recordings]


RECORDINGS = [
    described("a", [(2.0, 5.0, "walk"), (8.0, 10.0, "wave"), (15.0, 18.0, "walk")]),
    described("b", [(1.0, 4.0, "wave"), (3.0, 7.0, "walk"), (20.0, 22.0, "wave")]),
    described("c", [(5.0, 9.0, "walk"), (12.0, 15.0, "wave")]),
]
"""Half a minute each, in which everything is known."""
