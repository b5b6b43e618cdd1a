"""Splits of videos, whole groups at a time: one for `prepare`, and others for runs and folds.

A split is a column of the manifest, and folds are a function of its rows, their groups and a seed.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pipeline.config import SplitConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.manifest.stratify import cut_folds, draw_groups, hold_out_fold
from pipeline.text import listed, suggestion

Folds = int | Literal["groups"]
"""In how many folds the groups are cut; `groups`: each is one (leave one group out)."""


class SplitWarning(UserWarning):
    """Of two ways to split the videos, the one that is left alone."""


def choose_split(
    manifest: Manifest, config: PrepareConfig, known: Mapping[str, Split] | None = None
) -> Manifest:
    """Splits the videos as the configuration says.

    Folds come first, then test groups, then the splits that the source gave, and then a draw.

    Args:
        manifest: The videos, all of them with the split that the source gives or none.
        config: Fractions, test groups, folds and seed.
        known: Splits of groups that keep them in a draw, so that what was trained on never comes
            into the test when videos are added; new groups are drawn among them.

    Raises:
        ConfigError: A setting does not fit the videos.
        DataError: The videos cannot be split so.
    """
    known = known or {}
    _warn_of_unused_splits(manifest, config)
    given = {bool(row.split) for row in manifest.rows}
    if config.folds:
        return split_by_fold(
            manifest,
            folds=config.folds,
            fold=config.fold or 1,
            val_fraction=config.val_fraction,
            seed=config.seed,
        )
    if given == {True} and not config.test_groups:
        _check_trained(manifest)
        has_validation = any(row.split == "val" for row in manifest.rows)
        share = 0 if has_validation else config.val_fraction
        return draw_validation(manifest, val_fraction=share, seed=config.seed)
    if given == {True, False}:
        raise DataError("expected a split for each video or for none; some have one, some have not")
    new = tuple(row for row in manifest.rows if row.group not in known)
    if len(new) == len(manifest.rows) or config.test_groups:
        return split_by_group(manifest, config)
    drawn = {row.group: row.split for row in _draw_new(Manifest(rows=new), config).rows}
    splits = {**known, **drawn}
    return _assign(manifest, lambda row: splits[row.group])


def _warn_of_unused_splits(manifest: Manifest, config: PrepareConfig) -> None:
    given = {row.split for row in manifest.rows} - {""}
    for option, value in (("--folds", config.folds), ("--test-groups", config.test_groups)):
        if value and given:
            message = f"{option} is given: the splits that the source gives are left alone"
            warnings.warn(message, SplitWarning, stacklevel=3)
            return
    if "val" in given and config.val_fraction:
        message = "--val-fraction is left alone: the source says which videos are for validation"
        warnings.warn(message, SplitWarning, stacklevel=3)


def _draw_new(manifest: Manifest, config: PrepareConfig) -> Manifest:
    try:
        return split_by_group(manifest, config)
    except DataError:  # They are too few to hold some out.
        return _assign(manifest, lambda _: "train")


def split_by_group(manifest: Manifest, config: PrepareConfig) -> Manifest:
    """Gives each video a split, so that each group lies in one split only.

    The share of each class in validation and test comes as close to the fractions as whole groups
    allow. A class that has videos of one group only stays in training. The result depends on
    labels, groups and seed, not on the order of rows or on their paths.

    Args:
        manifest: The videos; splits they have are dropped.
        config: Fractions, seed and test groups; without these, the test split is drawn.

    Returns:
        The same rows in the same order, with splits.

    Raises:
        ConfigError: A test group does not exist, or the fractions leave nothing for training.
        DataError: There are too few groups, or a class would have no video for training.
    """
    rows, held_out = manifest.rows, set(config.test_groups)
    _check_test_groups(config.test_groups, manifest)
    test_fraction = 0 if held_out else config.test_fraction
    if config.val_fraction + test_fraction >= 1:
        raise ConfigError(
            "expected --val-fraction and --test-fraction to leave videos for training, "
            f"got {config.val_fraction} and {test_fraction}."
        )
    if test_fraction:
        drawn = draw_groups(rows, test_fraction * len(rows), config.seed)
        held_out = _expect_some(drawn, "test", manifest)
    split = _hold_out(manifest, held_out)
    return draw_validation(split, val_fraction=config.val_fraction, seed=config.seed)


def split_by_fold(
    manifest: Manifest, *, folds: Folds, fold: int, val_fraction: float, seed: int
) -> Manifest:
    """Cuts the groups into folds and holds one of them out as the test split.

    Over all folds, each video is in the test exactly once. The folds have about the same share of
    each class.

    Args:
        manifest: The videos; splits they have are dropped.
        folds: At least 2, or `groups`, in the order of their names.
        fold: Number of the fold that is held out, from 1.
        val_fraction: Share of all videos for validation, drawn from the other folds.
        seed: Of the draw of the folds; 0 or above.

    Returns:
        The same rows in the same order, with splits.

    Raises:
        ConfigError: There is no such fold.
        DataError: There are fewer groups than folds, or a class would have no video for training.
    """
    num_groups, num_folds = len(manifest.groups), count_folds(manifest, folds)
    if num_folds > num_groups:
        raise DataError(
            f"folds: expected at most as many as groups, of which there are {num_groups}, "
            f"got {num_folds}"
        )
    if not 1 <= fold <= num_folds:
        raise ConfigError(f"fold: expected a number from 1 to {num_folds}, got {fold}.")
    if folds == "groups":
        held_out = {manifest.groups[fold - 1]}
    else:
        held_out = cut_folds(manifest.rows, num_folds, seed)[fold - 1]
    split = _hold_out(manifest, held_out)
    return draw_validation(split, val_fraction=val_fraction, seed=seed)


def count_folds(manifest: Manifest, folds: Folds) -> int:
    """Number of folds that the test goes through."""
    return len(manifest.groups) if folds == "groups" else folds


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
        return _assign(manifest, lambda row: "train" if row.split == "val" else row.split)
    return _validate_on_fold(manifest, config) if config.val_folds else manifest


def _validate_on_fold(manifest: Manifest, config: SplitConfig) -> Manifest:
    """Cuts what is not in the test into folds and takes one of them for validation."""
    rest = [row for row in manifest.rows if row.split != "test"]
    num_groups = len({row.group for row in rest})
    if config.val_folds > num_groups:
        raise DataError(
            f"split.val_folds: expected at most as many folds as groups that are not in the test, "
            f"of which there are {num_groups}, got {config.val_folds}"
        )
    held_out = hold_out_fold(rest, config.val_folds, config.val_fold, config.seed)

    def split(row: Row) -> Split:
        if row.split == "test":
            return "test"
        return "val" if row.group in held_out else "train"

    return _assign(manifest, split)


def draw_validation(manifest: Manifest, *, val_fraction: float, seed: int) -> Manifest:
    """Takes groups out of training for validation, with a share of all videos; 0 changes nothing.

    Raises:
        DataError: There are too few groups.
    """
    if not val_fraction:
        return manifest
    rest = [row for row in manifest.rows if row.split == "train"]
    drawn = draw_groups(rest, val_fraction * len(manifest.rows), seed)
    _expect_some(drawn, "val", manifest)
    return _move(manifest, drawn, "val")


def _hold_out(manifest: Manifest, test_groups: set[str]) -> Manifest:
    rest = Manifest(rows=tuple(row for row in manifest.rows if row.group not in test_groups))
    missing = sorted(set(manifest.class_names) - set(rest.class_names))
    if missing:
        raise DataError(
            f"expected videos of each class for training, but all videos of "
            f"{listed(map(repr, missing))} are held out. Hold out fewer groups, or add videos of "
            "others."
        )
    return _move(_assign(manifest, lambda _: "train"), test_groups, "test")


def _check_trained(manifest: Manifest) -> None:
    trained = Manifest(rows=tuple(row for row in manifest.rows if row.split == "train"))
    missing = sorted(set(manifest.class_names) - set(trained.class_names))
    if missing:
        raise DataError(
            "expected videos of each class for training, but no video of "
            f"{listed(map(repr, missing))} has the split train. Put some of theirs into it."
        )


def _assign(manifest: Manifest, split: Callable[[Row], Split | Literal[""]]) -> Manifest:
    rows = (dataclasses.replace(row, split=split(row)) for row in manifest.rows)
    return Manifest(rows=tuple(rows))


def _move(manifest: Manifest, groups: set[str], split: Split) -> Manifest:
    return _assign(manifest, lambda row: split if row.group in groups else row.split)


def _check_test_groups(test_groups: Sequence[str], manifest: Manifest) -> None:
    groups = manifest.groups if test_groups else ()
    for name in sorted(set(test_groups) - set(groups)):
        raise ConfigError(
            f"--test-groups: expected names of groups, of which there are "
            f"{len(groups):,}, got {name!r}. {suggestion(name, groups, repr)}"
        )


def _expect_some(groups: set[str], split: Split, manifest: Manifest) -> set[str]:
    if not groups:
        raise DataError(
            f"expected enough groups to hold some out for {split}, got {len(manifest.groups)} "
            f"({listed(manifest.groups)}), and "
            "each class must keep one for training. Add videos of other groups, choose smaller "
            f"groups (prepare --group-regex), or do without this split: prepare --{split}-fraction "
            "0, or in a table a column split that says train."
        )
    return groups
