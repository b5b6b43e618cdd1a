"""Other splits of videos than they were prepared with: one fold after another is the test."""

from __future__ import annotations

import dataclasses

from pipeline.config import SplitConfig
from pipeline.dataset.unprepared import VideoFiles
from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row
from pipeline.manifest.split import split_by_fold
from pipeline.manifest.stratify import hold_out_fold
from pipeline.prepare.prepared import Store
from pipeline.text import listed


def resplit(manifest: Manifest, config: SplitConfig) -> Manifest:
    """Gives videos the splits that a run asks for.

    Args:
        manifest: The videos, with the splits that they were prepared with.
        config: What the run asks for.

    Returns:
        The same rows in the same order.

    Raises:
        ConfigError: There is no such fold.
        DataError: There are fewer groups than folds, or a class would have no video for training.
    """
    if config.folds:
        manifest = split_by_fold(
            manifest, folds=config.folds, fold=config.fold, val_fraction=0, seed=config.seed
        )
    if config.train_on_val:
        return Manifest(rows=tuple(map(_trained_on, manifest.rows)))
    return _hold_out_fold(manifest, config) if config.val_folds else manifest


def _trained_on(row: Row) -> Row:
    return dataclasses.replace(row, split="train") if row.split == "val" else row


def with_splits(data: Store | VideoFiles, config: SplitConfig) -> Store | VideoFiles:
    """Opened videos with the splits that a run asks for.

    Args:
        data: A prepared data set or a table of videos.
        config: What the run asks for.

    Raises:
        ConfigError: As `resplit`.
        DataError: As `resplit`, or videos that are the same, or nearly, would be in different
            splits, of a data set that was not prepared with --allow-leaks.
    """
    if config.as_prepared:
        return data
    data = data.with_rows(resplit(data.manifest, config).rows)
    if data.leaks and not data.allows_leaks:
        raise DataError(
            f"{data.path}: with these folds, {listed(data.leaks, most=3)}. Remove the copies, give "
            "them one group, or prepare the data set with --allow-leaks"
        )
    return data


def count_folds(manifest: Manifest, config: SplitConfig) -> int:
    """Number of folds that the test goes through."""
    return len(manifest.groups) if config.folds == "groups" else config.folds


def _hold_out_fold(manifest: Manifest, config: SplitConfig) -> Manifest:
    """Cuts what is not in the test into folds and takes one of them for validation."""
    rest = [row for row in manifest.rows if row.split != "test"]
    num_groups = len({row.group for row in rest})
    if config.val_folds > num_groups:
        raise DataError(
            f"split.val_folds: expected at most as many folds as groups that are not in the test, "
            f"of which there are {num_groups}, got {config.val_folds}"
        )
    held_out = hold_out_fold(rest, config.val_folds, config.val_fold, config.seed)
    return Manifest(
        rows=tuple(
            row
            if row.split == "test"
            else dataclasses.replace(row, split="val" if row.group in held_out else "train")
            for row in manifest.rows
        )
    )
