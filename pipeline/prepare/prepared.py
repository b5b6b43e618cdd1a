"""The prepared data set on disk: what is said of videos, and beside it their frames.

```
manifest.csv        the videos that are in it: path, label, group, split, and their frames
quarantine.csv      the videos that something is wrong with, with the reason
data_report.json    what is in it and what is wrong with it; as a page: data_report.md
files.jsonl         what is known of each video file, so that none is read twice
prepare.json        how it was made; written last, so without it the folder is not finished
frames/             the frames of each video, in chunks, which TensorFlow Datasets reads, too
clipline-partial/   the report while it is being prepared; gone when that is finished
```

A preparation adds to `frames` what is not there, and puts all else in place as its last step: until
then, what was prepared before stays as it is, and from there an interrupted preparation goes on.
Nothing is ever written into a file of frames, or replaces one: who has opened the data set before
goes on reading what it was then.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config import FramesConfig, SplitConfig
from pipeline.errors import DataError
from pipeline.frames.chunks import NAME
from pipeline.frames.store import FRAMES
from pipeline.manifest.rows import Labelling, Manifest, Row, Split
from pipeline.manifest.split import resplit
from pipeline.manifest.stored import Clip, read_clips
from pipeline.prepare.leaks import Duplicate, crossing, leaking
from pipeline.prepare.plan import FORMAT, SourceVideo, fingerprint
from pipeline.text import command, listed
from pipeline.video.paths import VIDEO_SUFFIXES

AGAIN = f"Run the same {command('prepare')} command again."

PARTIAL = "clipline-partial"
"""Folder within a data set for the report while it is being prepared."""

FINDINGS = ("quarantine.csv", "data_report.json", "data_report.md")
"""What says what is in the data set, and what is wrong with it."""

STATE = "prepare.json"

_MOMENTS = 0.01
"""Of the time of events, that is taken for their ends being marked a little late."""


CHECKED = ("manifest.csv", "data_report.json")
"""What says what is in a data set, besides `prepare.json`, which has their checksums."""


class Written(NamedTuple):
    """What tells a file from one that is written in its place."""

    num_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, file: Path) -> Written | None:
        """That of a file; None: it is not there."""
        try:
            status = file.stat()
        except OSError:
            return None
        return cls(status.st_size, status.st_mtime_ns)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedDataset:
    """A prepared data set.

    Attributes:
        path: Its folder.
        frames: Rate, size and quality of its frames.
        class_names: The index of a name is its label number.
        num_videos: Videos of each split; a split without any is left out.
        clips: The videos that are in it, in the order of their names.
        labelling: What is labelled; `frames`: its videos are recordings.
        settings: How it was made.
        leaks: What of its test is also in its training, in sentences.
        duplicates: What is the same, or nearly, about videos of different groups or labels, and
            which rows of the manifest they are.
        fingerprint: Of its videos, wherever they lie, and how they are stored.
        prepared_fingerprint: The same with the splits that it was prepared with.
        made_of: Of the videos on this machine and the settings that it was made of.
        files: Its files of frames, by name, and their sizes in bytes.
        report: See `pipeline.prepare.data_report`.
        written: When its preparation ended.
    """

    path: Path
    frames: FramesConfig
    class_names: tuple[str, ...]
    num_videos: Mapping[str, int]
    clips: tuple[Clip, ...]
    labelling: Labelling
    settings: Mapping[str, Any]
    leaks: tuple[str, ...]
    duplicates: tuple[tuple[str, tuple[int, ...]], ...]
    fingerprint: str
    prepared_fingerprint: str
    made_of: str
    files: Mapping[str, int]
    report: dict[str, Any]
    written: Written | None = dataclasses.field(compare=False)

    @property
    def allows_leaks(self) -> bool:
        """Whether it was prepared with --allow-leaks."""
        return bool(self.settings["allow_leaks"])

    @property
    def frames_folder(self) -> Path:
        """Where its frames are kept."""
        return self.path / FRAMES

    @functools.cached_property
    def manifest(self) -> Manifest:
        """The videos as rows."""
        return Manifest(rows=tuple(clip.row for clip in self.clips))

    def missing_file(self) -> Path | None:
        """A file of frames that is missing or cut off."""
        for name, num_bytes in self.files.items():
            file = self.frames_folder / name
            if not file.is_file() or file.stat().st_size != num_bytes:
                return file
        return None

    def count_frames(self) -> int:
        """How many frames its videos have."""
        return sum(clip.num_frames for clip in self.clips)

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

    def of_split(self, split: Split) -> list[Clip]:
        """The videos of a split, in the order of their names."""
        return [clip for clip in self.clips if clip.row.split == split]

    def with_splits(self, config: SplitConfig) -> PreparedDataset:
        """The same videos with the splits that a run asks for.

        Raises:
            ConfigError: As `pipeline.manifest.split.resplit`.
            DataError: As `resplit`, or videos that are the same, or nearly, would be in different
                splits, of a data set that was not prepared with --allow-leaks.
        """
        if config.as_prepared:
            return self
        found = self.with_rows(resplit(self.manifest, config).rows)
        if found.leaks and not found.allows_leaks:
            raise DataError(
                f"{self.path}: with these folds, {listed(found.leaks, most=3)}. Remove the copies, "
                "give them one group, or prepare the data set with --allow-leaks"
            )
        return found

    def with_rows(self, rows: tuple[Row, ...]) -> PreparedDataset:
        """The same videos with other splits, whole groups of them, in the same order."""
        clips = (
            dataclasses.replace(clip, row=row) for clip, row in zip(self.clips, rows, strict=True)
        )
        return dataclasses.replace(
            self,
            clips=tuple(clips),
            num_videos=Manifest(rows=rows).num_videos,
            leaks=(*crossing(rows), *leaking(_duplicates_of(rows, self.duplicates))),
            fingerprint=fingerprint(self.prepared_fingerprint, (row.split for row in rows)),
        )


_opened: contextvars.ContextVar[dict[Path, PreparedDataset] | None] = contextvars.ContextVar(
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


def is_held(out: Path) -> bool:
    """Whether a data set was opened within `held_open`."""
    return out.absolute() in (_opened.get() or {})


def open_prepared(out: str | os.PathLike[str]) -> PreparedDataset:
    """Opens a prepared data set, whose videos are then read as they are now.

    Raises:
        DataError: The folder is none, is not finished, or is not whole any more; or a preparation
            is putting another one in its place.
    """
    held, path = _opened.get(), Path(out).absolute()
    if held is not None and path in held:
        return held[path]
    before = Written.of(path / STATE)
    try:
        store = describe_prepared(out)
        if missing := store.missing_file():
            raise DataError(f"{missing}: missing or cut off. {AGAIN}")
    finally:
        if Written.of(path / STATE) != before:
            raise DataError(f"{out}: is being prepared. Run the same command again when that ended")
    if held is not None:
        held[path] = store
    return store


def describe_prepared(out: str | os.PathLike[str]) -> PreparedDataset:
    """As `open_prepared`, but does not look at frames, some of which may be missing.

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
    clips = read_clips(path / "manifest.csv", labelling)
    manifest = Manifest(rows=tuple(clip.row for clip in clips))
    return PreparedDataset(
        path=path,
        frames=FramesConfig(**state["frames"]),
        class_names=manifest.class_names,
        num_videos=manifest.num_videos,
        clips=clips,
        labelling=labelling,
        settings=state["settings"],
        leaks=tuple(state["leaks"]),
        duplicates=tuple((what, tuple(places)) for what, places in state["alike"]),
        fingerprint=state["fingerprint"],
        prepared_fingerprint=state["fingerprint"],
        made_of=state["made_of"],
        files=state["files"],
        report=json.loads((path / "data_report.json").read_bytes()),
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
        if path.suffix and not path.exists():
            raise DataError(
                f"{path} does not exist: expected a prepared data set, a folder of videos, or a "
                "table of videos or of events (.csv)"
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
    frames = path / FRAMES
    is_killed_early = frames.is_dir() and not any(frames.iterdir())
    return is_killed_early or any((path / n).exists() for n in signs) or any(frames_files(path))


def checksum(file: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits; empty if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def frames_files(folder: Path) -> Iterator[Path]:
    """Files of frames in the folder of a data set, also of one of an older version."""
    yield from (folder / FRAMES).glob(f"{NAME}-*")
    yield from folder.glob(f"{NAME}-*.tfrecord-*")
