"""How far ahead tf.data works; this is said, not tuned while it runs.

Tuning finds nothing better here. And in a process of one core, an iterator that is given up may
wait for the next time that TensorFlow tunes: for as long as it has run, a minute at most
(TensorFlow 2.21).
"""

from __future__ import annotations

from typing import Final

import tensorflow as tf

AHEAD: Final = 2
"""Batches that are made before they are asked for."""


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same; neither it nor what is made of it is tuned."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
