from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import SPLITS, Manifest, Row
from pipeline.manifest.split import SplitWarning, choose_split, draw_validation, split_by_fold
from pipeline.prepare.leaks import crossing

DRAWN = PrepareConfig(source="csv", path="-", out="-")


def manifest(videos: Iterable[tuple[str, str]]) -> Manifest:
    """One row for each (label, group)."""
    rows = (
        Row(path=f"/{label}/{index}.avi", label=label, group=group)
        for index, (label, group) in enumerate(videos)
    )
    return Manifest(rows=tuple(rows))


def people(classes: str, count: int) -> Manifest:
    """Each person acts each class once."""
    return manifest((label, f"p{person:02d}") for person in range(count) for label in classes)


def files(classes: str, count: int) -> Manifest:
    """Each video is a group of its own."""
    return manifest((label, f"{label}/{index}") for label in classes for index in range(count))


def split(
    videos: Manifest,
    val: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    test_groups: tuple[str, ...] = (),
) -> Manifest:
    config = dataclasses.replace(
        DRAWN, val_fraction=val, test_fraction=test, seed=seed, test_groups=test_groups
    )
    return choose_split(videos, config)


def videos_of_each_class(videos: Manifest) -> dict[str, list[int]]:
    """For each split, the number of videos of each class."""
    count = Counter((row.split, row.label) for row in videos.rows)
    return {name: [count[name, label] for label in videos.class_names] for name in SPLITS}


@pytest.mark.parametrize(
    ("videos", "val", "test", "expected"),
    [
        (people("abc", 20), 0.15, 0.15, {"train": [14] * 3, "val": [3] * 3, "test": [3] * 3}),
        (files("abc", 20), 0.15, 0.15, {"train": [14] * 3, "val": [3] * 3, "test": [3] * 3}),
        (files("ab", 10), 0.2, 0.3, {"train": [5] * 2, "val": [2] * 2, "test": [3] * 2}),
        (people("ab", 3), 0.15, 0.15, {"train": [1] * 2, "val": [1] * 2, "test": [1] * 2}),
        (people("ab", 2), 0.0, 0.15, {"train": [1] * 2, "val": [0] * 2, "test": [1] * 2}),
        (people("ab", 5), 0.2, 0.0, {"train": [4] * 2, "val": [1] * 2, "test": [0] * 2}),
        (people("ab", 5), 0.0, 0.0, {"train": [5] * 2, "val": [0] * 2, "test": [0] * 2}),
    ],
)
def test_share_of_each_class(
    videos: Manifest, val: float, test: float, expected: dict[str, list[int]]
) -> None:
    assert videos_of_each_class(split(videos, val, test)) == expected


def test_unequal_groups_come_close_to_the_fractions() -> None:
    sizes = [9, 1, 2, 7, 3, 3, 5, 1, 8, 2, 4, 5]
    videos = manifest(
        (label, f"g{group}") for group, size in enumerate(sizes) for label in "ab" * size
    )

    for seed in range(5):
        count = videos_of_each_class(split(videos, 0.2, 0.2, seed))
        assert all(abs(held_out - 10) <= 2 for held_out in (*count["val"], *count["test"]))


def test_no_group_crosses_splits_and_every_class_is_trained_and_tested() -> None:
    rng = random.Random(1)
    videos = manifest((rng.choice("abcd"), f"g{rng.randrange(12)}") for _ in range(150))

    for seed in range(10):
        result = split(videos, 0.2, 0.2, seed)
        assert not crossing(result.rows)
        count = videos_of_each_class(result)
        assert min(count["train"]) > 0
        assert min(count["test"]) > 0
        assert [row.path for row in result.rows] == [row.path for row in videos.rows]


def test_class_of_a_single_group_stays_in_training() -> None:
    videos = [(label, f"g{group}") for group in range(10) for label in "ab"]
    for rare in range(10):
        result = split(manifest([*videos, ("rare", f"g{rare}")]), 0.3, 0.3)
        count = videos_of_each_class(result)
        assert [count[name][2] for name in SPLITS] == [1, 0, 0]
        assert min(count["test"][:2]) > 0


def test_rare_class_is_in_every_split_where_it_has_groups_for_all() -> None:
    common, rare = files("a", 20), files("b", 3)

    count = videos_of_each_class(split(Manifest(rows=common.rows + rare.rows)))

    assert count == {"train": [14, 1], "val": [3, 1], "test": [3, 1]}


def test_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    videos = people("abc", 20)
    shuffled = list(videos.rows)
    random.Random(3).shuffle(shuffled)

    def held_out(rows: Manifest, seed: int) -> dict[str, str]:
        return {row.path: row.split for row in split(rows, seed=seed).rows}

    assert held_out(videos, 0) == held_out(Manifest(rows=tuple(shuffled)), 0)
    assert len({tuple(held_out(videos, seed).values()) for seed in range(5)}) == 5


def test_test_groups_are_the_test_split_whatever_the_fraction() -> None:
    result = split(people("ab", 10), 0.2, 0.9, test_groups=("p01", "p07"))

    assert {row.group for row in result.rows if row.split == "test"} == {"p01", "p07"}
    assert videos_of_each_class(result)["val"] == [2, 2]


def test_groups_that_are_added_leave_the_others_in_their_splits() -> None:
    """Else a test video of today could have been trained on yesterday."""
    config = dataclasses.replace(DRAWN, test_fraction=0.3)
    known = {row.group: row.split for row in choose_split(people("ab", 6), config).rows}
    after = {row.group: row.split for row in choose_split(people("ab", 13), config, known).rows}
    assert {group: after[group] for group in known} == known
    added = [after[group] for group in after if group not in known]
    assert (len(added), added.count("test")) == (7, 2)
    assert after != {r.group: r.split for r in choose_split(people("ab", 13), config).rows}


def test_test_group_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"there are 10, got 'p3'. Did you mean 'p03'\?"):
        split(people("ab", 10), 0, 0, test_groups=("p01", "p3"))


def test_fractions_that_leave_nothing_for_training() -> None:
    with pytest.raises(ConfigError, match=r"to leave videos for training, got 0\.5 and 0\.5"):
        split(people("ab", 10), 0.5, 0.5)


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        (people("ab", 2), r"hold some out for val, got 2 \(p00, p01\).*--val-fraction 0"),
        (people("ab", 1), r"hold some out for test, got 1 \(p00\).*--test-fraction 0"),
        (manifest([("a", "x"), ("b", "y")]), r"hold some out for test, got 2 \(x, y\)"),
    ],
)
def test_fewer_groups_than_splits(videos: Manifest, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(videos)


def test_class_whose_videos_are_all_in_test_groups() -> None:
    videos = manifest([("a", "x"), ("b", "x"), ("c", "x"), ("a", "y"), ("a", "z")])

    with pytest.raises(DataError, match="all videos of 'b', 'c' are held out"):
        split(videos, 0.2, 0, test_groups=("x",))


def by_fold(videos: Manifest, folds: int | str, fold: int, val: float = 0.0) -> Manifest:
    return split_by_fold(videos, folds=folds, fold=fold, val_fraction=val, seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "folds"), [(20, 4), (20, "groups"), (2500, 5)])
def test_over_all_folds_each_video_is_in_the_test_once(count: int, folds: int | str) -> None:
    videos = people("abc", count)
    tested: Counter[str] = Counter()
    for fold in range(1, 1 + (count if folds == "groups" else int(folds))):
        result = by_fold(videos, folds, fold)
        assert not crossing(result.rows)
        sizes = videos_of_each_class(result)
        assert len(set(sizes["test"])) == 1, "classes keep their shares"
        tested.update(row.path for row in result.rows if row.split == "test")
    assert tested == Counter(row.path for row in videos.rows)


def test_leaving_one_group_out_goes_by_name() -> None:
    result = by_fold(people("ab", 5), "groups", 2)
    assert {row.group for row in result.rows if row.split == "test"} == {"p01"}


def test_validation_of_a_fold_comes_out_of_training() -> None:
    test = {row.path for row in by_fold(people("ab", 10), 5, 3).rows if row.split == "test"}
    result = by_fold(people("ab", 10), 5, 3, val=0.2)
    assert not crossing(result.rows)
    assert {row.path for row in result.rows if row.split == "test"} == test
    assert videos_of_each_class(result) == {"train": [6, 6], "val": [2, 2], "test": [2, 2]}


@pytest.mark.parametrize(
    ("folds", "fold", "error", "message"),
    [
        (6, 1, DataError, "as groups, of which there are 5, got 6"),
        (5, 6, ConfigError, "fold: expected a number from 1 to 5, got 6"),
        ("groups", 6, ConfigError, "from 1 to 5, got 6"),
        (5, 0, ConfigError, "from 1 to 5, got 0"),
    ],
)
def test_folds_that_there_are_not(
    folds: int | str, fold: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        by_fold(people("ab", 5), folds, fold)


def test_official_splits_can_spare_groups_for_validation() -> None:
    rows = [
        dataclasses.replace(row, split="test" if row.group in ("p00", "p01") else "train")
        for row in people("ab", 12).rows
    ]
    result = draw_validation(Manifest(rows=tuple(rows)), val_fraction=0.25, seed=0)
    assert not crossing(result.rows)
    assert videos_of_each_class(result) == {"train": [7, 7], "val": [3, 3], "test": [2, 2]}
    assert {row.group for row in result.rows if row.split == "test"} == {"p00", "p01"}


def test_thousands_of_groups_keep_the_shares_of_unequal_classes() -> None:
    rng = random.Random(0)
    videos = manifest(
        (rng.choice("aaaaab"), f"g{group}") for group in range(4000) for _ in range(1 + group % 3)
    )
    result = split(videos, 0.1, 0.2)
    assert not crossing(result.rows)
    count = videos_of_each_class(result)
    total = [sum(count[name][label] for name in SPLITS) for label in (0, 1)]
    for label in (0, 1):
        assert count["test"][label] / total[label] == pytest.approx(0.2, abs=0.02)
        assert count["val"][label] / total[label] == pytest.approx(0.1, abs=0.02)


def test_a_class_without_a_video_in_the_given_training() -> None:
    videos = split(people("ab", 5))
    moved = [dataclasses.replace(r, split="test") if r.label == "b" else r for r in videos.rows]
    with pytest.raises(DataError, match="but no video of 'b' has the split train"):
        choose_split(Manifest(rows=tuple(moved)), DRAWN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_groups": ("p00",)}, "--test-groups is given: the splits that the source gives are"),
        ({"folds": 2}, "--folds is given: the splits"),
        ({"val_fraction": 0.2}, "--val-fraction is left alone: the source says which videos"),
    ],
)
def test_what_is_left_alone_of_two_ways_to_split_is_said(changes, message) -> None:
    splits = ("train", "train", "val", "test")
    rows = [
        dataclasses.replace(row, split=splits[int(row.group[1:]) % 4])
        for row in people("ab", 8).rows
    ]
    with pytest.warns(SplitWarning, match=message):
        choose_split(Manifest(rows=tuple(rows)), dataclasses.replace(DRAWN, **changes))
