"""The prepared data set on disk: a folder that TensorFlow Datasets reads, and people, too.

```
clipline-train.tfrecord-00000-of-00003   one record a video, its frames as JPEG
dataset_info.json  features.json  label.labels.txt   what TensorFlow Datasets needs
manifest.csv        the videos that are in it: path, label, group, split
quarantine.csv      the videos that something is wrong with, with the reason
data_report.json    what is in it and what is wrong with it; as a page: data_report.md
prepare.json        how it was made; written last, so without it the folder is not finished
shards/             a report on each shard: where its videos lie, what need not be written again
clipline-partial/   all of this again while it is being prepared; gone when that is finished
```

A preparation writes into `clipline-partial` and moves what it wrote as its last step: until then,
what was prepared before stays as it is, and from there an interrupted preparation goes on. Who has
opened the data set before goes on reading what it was then, see `open_store`.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import FramesConfig
from pipeline.errors import DataError
from pipeline.manifest.annotation import Annotation
from pipeline.manifest.rows import Labelling, Manifest, Row, Split, read_csv
from pipeline.prepare.leaks import Duplicate, crossing, leaking
from pipeline.prepare.plan import (
    FORMAT,
    NAME,
    REPORTS,
    SourceVideo,
    fingerprint,
)
from pipeline.prepare.record_index import AGAIN, Place, Record, find_places, join_rows
from pipeline.prepare.shard_file import Written
from pipeline.text import command
from pipeline.video.paths import VIDEO_SUFFIXES

PARTIAL = "clipline-partial"
"""Folder within a store for what is being prepared."""

FINDINGS = ("quarantine.csv", "data_report.json", "data_report.md")
"""What says what is in the data set, and what is wrong with it."""

STATE = "prepare.json"

_MOMENTS = 0.01
"""Of the time of events, that is taken for their ends being marked a little late."""


def checked_files(labelling: Labelling) -> tuple[str, ...]:
    """What says what is in a data set, besides `prepare.json`, which has their checksums."""
    labels = ("label.labels.txt",) if labelling == "one" else ()
    return "dataset_info.json", "features.json", *labels, "manifest.csv", "data_report.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Store:
    """A prepared data set.

    Attributes:
        path: Its folder.
        frames: Rate, size and quality of its frames.
        class_names: The index of a name is its label number.
        num_videos: Videos of each split; a split without any is left out.
        manifest: The videos that are in it.
        labelling: What is labelled; `frames`: its videos are recordings.
        settings: How it was made.
        leaks: What of its test is also in its training, in sentences.
        duplicates: What is the same, or nearly, about videos of different groups or labels, and
            which rows of the manifest they are.
        fingerprint: Of its videos, wherever they lie, and how they are stored: see
            `content_fingerprint`.
        prepared_fingerprint: The same with the splits that it was prepared with.
        made_of: Of the videos on this machine and the settings that it was made of.
        shards: Its files of records, by name, and their sizes in bytes.
        report: See `pipeline.prepare.data_report`.
        places: Opens the shards when it is first called, and gives the places of the videos.
        written: When its preparation ended.
    """

    path: Path
    frames: FramesConfig
    class_names: tuple[str, ...]
    num_videos: Mapping[str, int]
    manifest: Manifest
    labelling: Labelling
    settings: Mapping[str, Any]
    leaks: tuple[str, ...]
    duplicates: tuple[tuple[str, tuple[int, ...]], ...]
    fingerprint: str
    prepared_fingerprint: str
    made_of: str
    shards: Mapping[str, int]
    report: dict[str, Any]
    places: Callable[[], tuple[Place, ...]] = dataclasses.field(compare=False)
    written: Written | None = dataclasses.field(compare=False)

    @property
    def allows_leaks(self) -> bool:
        """Whether it was prepared with --allow-leaks."""
        return bool(self.settings["allow_leaks"])

    def missing_shard(self) -> Path | None:
        """A file of records that is missing or cut off."""
        for name, num_bytes in self.shards.items():
            file = self.path / name
            if not file.is_file() or file.stat().st_size != num_bytes:
                return file
        return None

    @functools.cached_property
    def records(self) -> tuple[Record, ...]:
        """Its videos and their places, whatever their splits are."""
        if len(self.places()) != len(self.manifest.rows):
            raise DataError(f"{self.path / REPORTS}: not of these shards. {AGAIN}")
        return join_rows(self.places(), self.manifest.rows)

    def count_frames(self) -> int:
        """How many frames are stored."""
        return sum(place.num_frames for place in self.places())

    @property
    def is_current(self) -> bool:
        """Whether it has not been prepared anew, moved or deleted since it was opened."""
        return Written.of(self.path / STATE) == self.written

    @property
    def background(self) -> str:
        """Class of the frames that no event covers; empty: none."""
        name = str(self.settings.get("background", ""))
        return name if self.labelling == "frames" and name in self.class_names else ""

    @property
    def has_overlaps(self) -> bool:
        """Whether of recordings two classes hold at once for more than a moment now and then."""
        recordings = self.report.get("events", {"recordings": ()})["recordings"]
        at_once = sum(each["at_once"] for each in recordings)
        marked = sum(label["total"] for each in recordings for label in each["events"].values())
        return at_once > _MOMENTS * marked

    def of_split(self, split: Split) -> list[Record]:
        """The videos of a split, in the order of their records."""
        return [record for record in self.records if record.row.split == split]

    def with_rows(self, rows: tuple[Row, ...]) -> Store:
        """The same videos with other splits, whole groups of them, in the same order."""
        manifest = Manifest(rows=rows)
        return dataclasses.replace(
            self,
            manifest=manifest,
            num_videos=manifest.num_videos,
            leaks=(*crossing(rows), *leaking(_duplicates_of(rows, self.duplicates))),
            fingerprint=fingerprint(self.prepared_fingerprint, (row.split for row in rows)),
        )


_opened: contextvars.ContextVar[dict[Path, Store] | None] = contextvars.ContextVar(
    "opened", default=None
)


@contextlib.contextmanager
def held_open() -> Iterator[None]:
    """Within it, a data set is opened once: all that is done with it is done with the same one.

    It stays what it was then, whatever is prepared, moved or deleted in its place meanwhile.
    """
    if _opened.get() is not None:
        yield
        return
    before = _opened.set({})
    try:
        yield
    finally:
        _opened.reset(before)


def open_store(out: str | os.PathLike[str]) -> Store:
    """Opens a prepared data set, whose videos are then read as they are now, see `ShardFile`.

    Raises:
        DataError: The folder is none, is not finished, or is not whole any more; or a preparation
            is putting another one in its place.
    """
    held, path = _opened.get(), Path(out).absolute()
    if held is not None and path in held:
        return held[path]
    before = Written.of(path / STATE)
    try:
        store = describe_store(out)
        if missing := store.missing_shard():
            raise DataError(f"{missing}: missing or cut off. {AGAIN}")
        store.places()
    finally:
        if Written.of(path / STATE) != before:
            raise DataError(f"{out}: is being prepared. Run the same command again when that ended")
    if held is not None:
        held[path] = store
    return store


def describe_store(out: str | os.PathLike[str]) -> Store:
    """As `open_store`, but opens no shards, some of which may be missing.

    Raises:
        DataError: The folder is no prepared data set, is not finished, or what describes it is
            damaged.
    """
    path = Path(out)
    written = Written.of(path / STATE)
    state = read_state(path)
    if state["format"] != FORMAT:
        raise DataError(f"{out}: prepared by another version of this program. {AGAIN}")
    for name, wanted in state["checksums"].items():
        if checksum(path / name) != wanted:
            raise DataError(f"{path / name}: missing, or changed since it was written. {AGAIN}")
    labelling = state["labelling"]
    manifest = read_csv(path / "manifest.csv", several=labelling != "one")
    if labelling == "frames":  # What holds when is in the records.
        marks = Annotation(events=())
        rows = (dataclasses.replace(row, annotation=marks) for row in manifest.rows)
        manifest = Manifest(rows=tuple(rows))
    return Store(
        path=path,
        frames=FramesConfig(**state["frames"]),
        class_names=manifest.class_names,
        num_videos=manifest.num_videos,
        manifest=manifest,
        labelling=labelling,
        settings=state["settings"],
        leaks=tuple(state["leaks"]),
        duplicates=tuple((what, tuple(places)) for what, places in state["alike"]),
        fingerprint=state["fingerprint"],
        prepared_fingerprint=state["fingerprint"],
        made_of=state["made_of"],
        shards=state["shards"],
        report=json.loads((path / "data_report.json").read_bytes()),
        places=functools.cache(lambda: find_places([path / name for name in state["shards"]])),
        written=written,
    )


def _duplicates_of(
    rows: Sequence[Row], places: Iterable[tuple[str, Sequence[int]]]
) -> Iterator[Duplicate]:
    for what, chosen in places:
        sources = (SourceVideo(row=rows[index], file=rows[index].path) for index in chosen)
        yield Duplicate(tuple(sources), what)


def read_state(path: Path) -> dict[str, Any]:
    """Reads how a data set was made.

    Args:
        path: The folder of the data set.

    Returns:
        What `prepare.json` holds; a `format` of 0 where it says none.

    Raises:
        DataError: There is none, or it is damaged.
    """
    try:
        state = json.loads((path / STATE).read_bytes())
    except OSError:
        if is_begun(path):
            raise DataError(
                f"{path}: its preparation was not finished, or is going on. {AGAIN}"
            ) from None
        raise DataError(f"{path}: not a prepared data set. Make one with: {_how(path)}") from None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("settings"), dict):
        raise DataError(f"{path / STATE}: damaged. {AGAIN}")
    return {"format": 0, **state}


def _how(path: Path) -> str:
    """What makes a data set: of the videos that are there, or to be there."""
    words = ("prepare", "--source", "folder", "--path")
    if any(file.suffix.lower() in VIDEO_SUFFIXES for file in path.glob("*/*")):
        out = Path("data", path.absolute().name)
        return command(*words, path, "--out", "data/NAME" if out == path else out)
    return f"{command(*words, 'VIDEOS', '--out', path)}; the demo: {command('prepare')}"


def is_begun(path: Path) -> bool:
    """Whether a data set, if not a whole one, is in a folder."""
    signs = (STATE, PARTIAL, "videos/demo.json", "check/data_report.json")
    return any((path / name).exists() for name in signs) or bool(report_files(path))


def checksum(file: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits; empty if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def shard_files(folder: Path) -> list[Path]:
    """Shards, whole or not, by their names."""
    return sorted(folder.glob(f"{NAME}-*.tfrecord-*"))


def report_files(folder: Path) -> list[Path]:
    """Reports on shards, whole or not, by their names."""
    return sorted((folder / REPORTS).glob(f"{NAME}-*.tfrecord-*.json*"))
