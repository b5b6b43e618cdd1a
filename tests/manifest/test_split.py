import dataclasses
import random
from collections import Counter

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import SPLITS, Manifest, Row
from pipeline.manifest.split import SplitWarning, choose_split, draw_validation, split_by_fold
from pipeline.prepare.leaks import crossing

DRAWN = PrepareConfig(source="csv", path="-", out="-")


def manifest(videos):
    """One row for each (label, group)."""
    rows = (
        Row(path=f"/{label}/{index}.avi", label=label, group=group)
        for index, (label, group) in enumerate(videos)
    )
    return Manifest(rows=tuple(rows))


def people(classes, count):
    """Each person acts each class once."""
    return manifest((label, f"p{person:02d}") for person in range(count) for label in classes)


def files(classes, count):
    """Each video is a group of its own."""
    return manifest((label, f"{label}/{index}") for label in classes for index in range(count))


def with_splits(videos, split):
    """The same, with the split that a function says of each row."""
    return Manifest(rows=tuple(dataclasses.replace(row, split=split(row)) for row in videos.rows))


def split(videos, val=0.15, test=0.15, seed=0, test_groups=()):
    fractions = {"val_fraction": val, "test_fraction": test}
    config = dataclasses.replace(DRAWN, **fractions, seed=seed, test_groups=test_groups)
    return choose_split(videos, config)


def counts(videos):
    """For each split, the number of videos of each class."""
    count = Counter((row.split, row.label) for row in videos.rows)
    return {name: [count[name, label] for label in videos.class_names] for name in SPLITS}


def groups_of(videos, split):
    return {row.group for row in videos.rows if row.split == split}


def test_share_of_each_class():
    for videos, val, test, expected in (
        (people("abc", 14), 0.15, 0.15, {"train": [10] * 3, "val": [2] * 3, "test": [2] * 3}),
        (files("ab", 10), 0.2, 0.3, {"train": [5] * 2, "val": [2] * 2, "test": [3] * 2}),
        (people("ab", 3), 0.15, 0.15, {"train": [1] * 2, "val": [1] * 2, "test": [1] * 2}),
        (people("ab", 2), 0.0, 0.15, {"train": [1] * 2, "val": [0] * 2, "test": [1] * 2}),
        (people("ab", 5), 0.2, 0.0, {"train": [4] * 2, "val": [1] * 2, "test": [0] * 2}),
        (people("ab", 5), 0.0, 0.0, {"train": [5] * 2, "val": [0] * 2, "test": [0] * 2}),
        # A rare class is in every split where it has groups for all.
        (
            Manifest(rows=files("a", 20).rows + files("b", 3).rows),
            *(0.15, 0.15, {"train": [14, 1], "val": [3, 1], "test": [3, 1]}),
        ),
    ):
        assert counts(split(videos, val, test)) == expected


def test_unequal_groups_and_thousands_of_them_come_close_to_the_fractions():
    sizes = [9, 1, 2, 7, 3, 3, 5, 1, 8, 2, 4, 5]
    videos = manifest((label, f"g{n}") for n, size in enumerate(sizes) for label in "ab" * size)
    for seed in range(2):
        count = counts(split(videos, 0.2, 0.2, seed))
        assert all(abs(held_out - 10) <= 2 for held_out in (*count["val"], *count["test"]))
    # No group crosses splits, and every class is trained and tested.
    rng = random.Random(1)
    videos = manifest((rng.choice("abcd"), f"g{rng.randrange(12)}") for _ in range(150))
    for seed in range(3):
        result = split(videos, 0.2, 0.2, seed)
        assert not crossing(result.rows)
        assert min(counts(result)["train"]) > 0
        assert min(counts(result)["test"]) > 0
        assert [row.path for row in result.rows] == [row.path for row in videos.rows]
    # That of a single group stays in training.
    videos = [(label, f"g{group}") for group in range(6) for label in "ab"]
    for rare in (0, 3, 5):
        count = counts(split(manifest([*videos, ("rare", f"g{rare}")]), 0.3, 0.3))
        assert [count[name][2] for name in SPLITS] == [1, 0, 0]
        assert min(count["test"][:2]) > 0
    # So do the shares of unequal classes.
    rng = random.Random(0)
    groups = [f"g{group}" for group in range(2600) for _ in range(1 + group % 3)]
    result = split(manifest((rng.choice("aaaaab"), group) for group in groups), 0.1, 0.2)
    assert not crossing(result.rows)
    count = counts(result)
    for label in (0, 1):
        total = sum(count[name][label] for name in SPLITS)
        assert count["test"][label] / total == pytest.approx(0.2, abs=0.02)
        assert count["val"][label] / total == pytest.approx(0.1, abs=0.02)


def test_a_split_depends_on_the_seed_and_groups_that_are_named_or_known_not_on_their_order():
    videos = people("abc", 8)
    shuffled = list(videos.rows)
    random.Random(3).shuffle(shuffled)

    def held_out(rows, seed):
        return {row.path: row.split for row in split(rows, seed=seed).rows}

    assert held_out(videos, 0) == held_out(Manifest(rows=tuple(shuffled)), 0)
    assert len({tuple(held_out(videos, seed).values()) for seed in range(3)}) == 3
    # Those that are added leave the others: else a test video would have been trained on.
    result = split(people("ab", 10), 0.2, 0.9, test_groups=("p01", "p07"))
    assert groups_of(result, "test") == {"p01", "p07"}
    assert counts(result)["val"] == [2, 2]
    config = dataclasses.replace(DRAWN, test_fraction=0.3)
    known = {row.group: row.split for row in choose_split(people("ab", 6), config).rows}
    after = {row.group: row.split for row in choose_split(people("ab", 13), config, known).rows}
    assert {group: after[group] for group in known} == known
    added = [after[group] for group in after if group not in known]
    assert (len(added), added.count("test")) == (7, 2)
    assert after != {r.group: r.split for r in choose_split(people("ab", 13), config).rows}


TEN = people("ab", 10)
CROWDED = manifest([("a", "x"), ("b", "x"), ("c", "x"), ("a", "y"), ("a", "z")])
TESTED = with_splits(people("ab", 5), lambda row: "test" if row.label == "b" else "train")
HALF = with_splits(people("ab", 5), lambda row: "test" if row.group == "p01" else "")


def test_what_cannot_be_split_and_what_is_left_alone_of_two_ways_is_said():
    for videos, options, error, message in (
        (people("ab", 2), {}, DataError, r"some out for val, got 2 \(p00, p01\).*--val-fraction 0"),
        (people("ab", 1), {}, DataError, r"some out for test, got 1 \(p00\).*--test-fraction 0"),
        (manifest([("a", "x"), ("b", "y")]), {}, DataError, r"out for test, got 2 \(x, y\)"),
        (CROWDED, {"test_groups": ("x",)}, DataError, "all videos of 'b', 'c' are held out"),
        (TEN, {"test_groups": ("p01", "p3")}, ConfigError, "10, got 'p3'. Did you mean 'p03'"),
        (TEN, {"val": 0.5, "test": 0.5}, ConfigError, r"videos for training, got 0\.5 and 0\.5"),
        (TESTED, {}, DataError, "but no video of 'b' has the split train"),
        (HALF, {}, DataError, "a split for each video or for none; some have one, some have not"),
    ):
        with pytest.raises(error, match=message):
            split(videos, **options)
    splits = ("train", "train", "val", "test")
    given = with_splits(people("ab", 8), lambda row: splits[int(row.group[1:]) % 4])
    for changes, message in (
        ({"test_groups": ("p00",)}, "--test-groups is given: the splits that the source gives are"),
        ({"folds": 2}, "--folds is given: the splits"),
        ({"val_fraction": 0.2}, "--val-fraction is left alone: the source says which videos"),
    ):
        with pytest.warns(SplitWarning, match=message):
            choose_split(given, dataclasses.replace(DRAWN, **changes))


def by_fold(videos, folds, fold, val=0.0):
    return split_by_fold(videos, folds=folds, fold=fold, val_fraction=val, seed=0)


@pytest.mark.parametrize(("count", "folds"), [(20, 4), (8, "groups"), (2500, 3)])
def test_over_all_folds_each_video_is_in_the_test_once(count, folds):
    videos, tested = people("ab", count), Counter()
    for fold in range(1, 1 + (count if folds == "groups" else folds)):
        result = by_fold(videos, folds, fold)
        assert not crossing(result.rows)
        assert len(set(counts(result)["test"])) == 1, "classes keep their shares"
        tested.update(row.path for row in result.rows if row.split == "test")
    assert tested == Counter(row.path for row in videos.rows)


def test_folds_by_name_with_validation_out_of_training_or_not_there():
    videos = people("ab", 5)
    assert groups_of(by_fold(videos, "groups", 2), "test") == {"p01"}
    test = groups_of(by_fold(people("ab", 10), 5, 3), "test")
    result = by_fold(people("ab", 10), 5, 3, val=0.2)
    assert not crossing(result.rows)
    assert groups_of(result, "test") == test
    assert counts(result) == {"train": [6, 6], "val": [2, 2], "test": [2, 2]}
    with pytest.raises(DataError, match="as groups, of which there are 5, got 6"):
        by_fold(videos, 6, 1)
    for folds, fold in ((5, 6), ("groups", 6), (5, 0)):
        with pytest.raises(ConfigError, match=f"fold: expected a number from 1 to 5, got {fold}"):
            by_fold(videos, folds, fold)
    # More folds than videos of any class, and groups without a label.
    few = Manifest(rows=(*files("ab", 2).rows, *(r.labelled([]) for r in files("c", 2).rows)))
    assert sum(len(groups_of(by_fold(few, 5, fold), "test")) for fold in range(1, 6)) == 6
    # Official splits can spare groups for validation, too.
    tested = ("p00", "p01")
    given = with_splits(people("ab", 12), lambda row: "test" if row.group in tested else "train")
    result = draw_validation(given, val_fraction=0.25, seed=0)
    assert not crossing(result.rows)
    assert counts(result) == {"train": [7, 7], "val": [3, 3], "test": [2, 2]}
    assert groups_of(result, "test") == {"p00", "p01"}
