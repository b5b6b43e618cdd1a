"""Opened videos with other splits than they were prepared with."""

from __future__ import annotations

from pipeline.config import SplitConfig
from pipeline.errors import DataError
from pipeline.manifest.split import resplit
from pipeline.prepare.prepared import Store
from pipeline.text import listed


def with_splits(data: Store, config: SplitConfig) -> Store:
    """Opened videos with the splits that a run asks for.

    Args:
        data: A prepared data set.
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
