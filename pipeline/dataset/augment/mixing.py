"""Augmentation across a batch: labels become targets, and clips and targets are mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import AugmentConfig, Change, RunConfig
from pipeline.dataset.order import Share
from pipeline.dataset.videos import AHEAD
from pipeline.streams import IMAGES
from pipeline.tasks.frames import IGNORED_TARGET
from pipeline.tasks.task import task_of
from pipeline.workers.pool import num_cores

Inputs = dict[str, tf.Tensor]
Partners = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float32]
ALL = slice(None)


def training_targets(
    batches: tf.data.Dataset,
    config: RunConfig,
    num_classes: int,
    *,
    first_step: int = 0,
    rows: slice = ALL,
) -> tf.data.Dataset:
    """Turns labels into the targets of the task, and mixes clips with each other.

    What is mixed depends on the seed and the number of the batch alone. The mask of a mixed clip
    is the union of both. Stored features are not mixed. Evaluation takes its labels without
    mixing and smoothing.

    Args:
        batches: Those of `pipeline.dataset.clip_batches.training_batches`.
        config: The run; its seed, augment.mixup, augment.cutmix and train.label_smoothing count
            here.
        num_classes: C.
        first_step: The number of the first batch, as for `training_batches`.
        rows: Those of the clips of a batch that are given, where any are mixed.

    Returns:
        The same batches, with targets float32 (B, C), or (B, T, C) where each frame has some.

    Source: mixup, Zhang et al. (2018); CutMix, Yun et al. (2019), here with one window for all
        frames of a clip.
    """
    task, smoothing = task_of(config.model), config.train.label_smoothing
    targets = batches.map(
        lambda inputs, label: (inputs, task.targets(label, num_classes, smoothing))
    )
    if not is_mixing(config):
        return targets

    def draw(number: int, shape: npt.NDArray[np.int32]) -> tuple[Partners, Shares]:
        batch_size, _, height, width, _ = shape.tolist()
        drawn = draw_mixing(config.augment, batch_size, height, width, _generator(config, number))
        return drawn[0][rows], drawn[1][rows]

    def mixed(number: tf.Tensor, batch: tuple[Inputs, tf.Tensor]) -> Any:
        shape = tf.shape(next(batch[0][name] for name in IMAGES if name in batch[0]))
        drawn = tf.numpy_function(draw, (number, shape), (tf.int64, tf.float32))
        return mix(*batch, *drawn, rows=rows)

    batches = targets.enumerate(first_step).map(mixed, num_parallel_calls=num_cores())
    return batches.prefetch(AHEAD)


def is_mixing(config: RunConfig) -> bool:
    """Whether clips of a batch are mixed with each other."""
    return config.augment.mixup.on or config.augment.cutmix.on


def _generator(config: RunConfig, number: int) -> np.random.Generator:
    # The last number sets these draws apart from those of the clips.
    return np.random.default_rng((config.seed, number, 0, 1))


def needed_clips(
    config: RunConfig, batch_size: int, share: Share, number: int
) -> npt.NDArray[np.bool_]:
    """Which clips of a batch a share of it needs: its own, and those they are mixed with.

    Args:
        config: The run.
        batch_size: B.
        share: What of the batch is wanted.
        number: That of the batch.

    Returns:
        bool (B,).
    """
    rng, rows = _generator(config, number), share.rows(batch_size)
    partner, blend, area, _ = _draw(config.augment, batch_size, rng)
    is_mixed = np.minimum(blend, area) < 1
    needed = np.zeros(batch_size, bool)
    needed[rows] = True
    needed[partner[rows][is_mixed[rows]]] = True
    return needed


def draw_mixing(
    config: AugmentConfig, batch_size: int, height: int, width: int, rng: np.random.Generator
) -> tuple[Partners, Shares]:
    """Draws which clips of a batch are mixed, with which others, and how.

    Returns:
        For each clip the number of the other one, int64 (B,), and its own share of each pixel,
        float32 (B, H, W), from 0 to 1; 1 everywhere in a clip that stays as it is.
    """
    partner, blend, area, cutmix_rng = _draw(config, batch_size, rng)
    own = np.ones((batch_size, height, width), np.float32) * blend[:, None, None]
    whole = np.array([height, width])
    sides = np.rint(np.sqrt(1 - area)[:, None] * whole).astype(int)
    corners = (cutmix_rng.random((batch_size, 2)) * (whole - sides + 1)).astype(int)
    for clip, (top, left), (bottom, right) in zip(own, corners, corners + sides, strict=True):
        clip[top:bottom, left:right] = 0
    return partner, own


def _draw(
    config: AugmentConfig, batch_size: int, rng: np.random.Generator
) -> tuple[Partners, Shares, Shares, np.random.Generator]:
    """Partners, the shares that mixup and CutMix leave of each clip, and what draws its boxes."""
    # Generators of their own, so that switching one change off leaves the draws of the other.
    rng, mixup_rng, cutmix_rng = rng.spawn(3)
    step = 1 + int(rng.integers(max(batch_size - 1, 1)))
    partner = (np.arange(batch_size) + step) % batch_size
    blend = _shares(config.mixup, batch_size, mixup_rng)
    area = _shares(config.cutmix, batch_size, cutmix_rng)
    both, heads = (blend < 1) & (area < 1), rng.random(batch_size) < 0.5
    blend[both & heads] = 1
    area[both & ~heads] = 1
    return partner, blend, area, cutmix_rng


def _shares(change: Change, batch_size: int, rng: np.random.Generator) -> Shares:
    """Share that each clip keeps of itself, float32 (B,)."""
    if not change.on:
        return np.ones(batch_size, np.float32)
    happens = rng.random(batch_size) < change.probability
    shares = rng.beta(change.strength, change.strength, batch_size)
    return np.where(happens, shares, 1).astype(np.float32)


def mix(
    inputs: Inputs, targets: tf.Tensor, partner: tf.Tensor, own: tf.Tensor, *, rows: slice = ALL
) -> tuple[Inputs, tf.Tensor]:
    """Mixes clips of a batch with others of it.

    Args:
        inputs: `mask` bool (B, T), and some of `IMAGES`, uint8 (B, T, H, W, 3).
        targets: float32 (B, C) or, at each frame, (B, T, C), below 0 where nothing is known.
        partner: The number of the other clip, int64 (N,).
        own: The clip's own share of each pixel, float32 (N, H, W), from 0 to 1.
        rows: Those N clips that are mixed.

    Returns:
        These, mixed; targets by the mean of `own`.
    """
    partner, own = tf.ensure_shape(partner, (None,)), tf.ensure_shape(own, (None, None, None))
    share = tf.reduce_mean(own, (1, 2))[:, None]
    mine_shows = tf.reduce_max(own, (1, 2))[:, None] > 0
    theirs_shows = tf.reduce_min(own, (1, 2))[:, None] < 1
    mixed = {}
    for name, clips in inputs.items():
        others, clips = tf.gather(clips, partner), clips[rows]
        if name == "mask":
            mixed[name] = (clips & mine_shows) | (others & theirs_shows)
        else:
            mixed[name] = _blend(clips, others, own)
    theirs, targets = tf.gather(targets, partner), targets[rows]
    if targets.shape.rank == 3:
        share = share[:, None]
    blended = share * targets + (1 - share) * theirs
    unknown = ((targets < 0) & (share > 0)) | ((theirs < 0) & (share < 1))
    return mixed, tf.where(unknown, IGNORED_TARGET, blended)


def _blend(clips: tf.Tensor, others: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    # Flat frames, for broadcasting along the innermost axis is slow.
    shape = tf.shape(clips)
    flat = (shape[0], shape[1], -1)
    weight = tf.reshape(tf.repeat(own[..., None], shape[-1], axis=-1), (shape[0], 1, -1))
    mine, theirs = (tf.cast(tf.reshape(x, flat), tf.float32) for x in (clips, others))
    blended = theirs + weight * (mine - theirs)
    return tf.reshape(tf.saturate_cast(tf.round(blended), tf.uint8), shape)
