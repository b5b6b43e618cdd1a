from __future__ import annotations

import json
import re

import pytest

from pipeline.errors import DataError
from pipeline.sources.twentybn import scan_something_something

VIDEOS = tuple(f"20bn-something-something-v2/{number}.webm" for number in (2, 10, 3, 4))
ENTRIES = (
    {
        "id": "2",
        "label": "holding potato next to vicks vaporub bottle",
        "template": "Holding [something] next to [something]",
        "placeholders": ["potato", "vicks vaporub bottle"],
    },
    {"id": "10", "template": "Poking a hole into [some substance]", "placeholders": ["butter"]},
    {"id": "3", "template": "Holding [something] next to [something]", "placeholders": []},
)
LABELS = {"Holding something next to something": "0", "Poking a hole into some substance": "1"}


@pytest.fixture
def lists(write):
    return write_lists(write, "labels/")


def write_lists(write, prefix):
    write(f"{prefix}train.json", *json.dumps(ENTRIES[:2], indent=1).split("\n"))
    write(f"{prefix}validation.json", json.dumps(ENTRIES[2:]))
    write(f"{prefix}labels.json", json.dumps(LABELS))
    return prefix


@pytest.mark.parametrize(
    "prefix", ["labels/something-something-v2-", "labels/", "annotations/", ""]
)
def test_official_splits(touch, write, table, prefix):
    write_lists(write, prefix)
    holding, poking = LABELS

    assert table(scan_something_something(touch(*VIDEOS[:3]) / "20bn-something-something-v2")) == [
        (VIDEOS[1], poking, "10", "train"),
        (VIDEOS[0], holding, "2", "train"),
        (VIDEOS[2], holding, "3", "test"),
    ]


def test_labels_that_are_missing(touch, write, lists, tmp_path):
    (tmp_path / f"{lists}labels.json").unlink()

    assert len(scan_something_something(touch(*VIDEOS[:3])).class_names) == 2
    write(f"{lists}train.json", '[{"id": "2", "template": ""}]')
    with pytest.raises(DataError, match="train.json, entry 1: expected an id and a template"):
        scan_something_something(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "5", "template": "Holding [nothing]"},
        {"id": "5"},
        {"template": "Holding [something] next to [something]"},
        ["5"],
    ],
)
def test_entry_that_is_not_as_expected(touch, write, lists, entry):
    file = write(f"{lists}validation.json", json.dumps([*ENTRIES, entry]))

    message = f"{file}, entry 4: expected an id and a template that "
    with pytest.raises(DataError, match=f"{re.escape(message)}.*labels.json lists, got"):
        scan_something_something(touch(*VIDEOS))


def test_file_that_is_not_json(touch, write, lists):
    file = write(f"{lists}train.json", "[", "  }")

    with pytest.raises(DataError, match=f"{re.escape(str(file))}, line 2: expected JSON: "):
        scan_something_something(touch(*VIDEOS))


def test_json_of_another_kind(touch, write, lists):
    file = write(f"{lists}train.json", "{}")

    with pytest.raises(DataError, match=f"{re.escape(str(file))}: expected a JSON list, got dict"):
        scan_something_something(touch(*VIDEOS))
