"""Videos straight from their files, without a prepared data set: for quick tries."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pipeline.config import FramesConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import DataError, VideoDecodeError
from pipeline.manifest.rows import Labelling, Manifest, Row, Split, read_csv, relative_path
from pipeline.manifest.split import choose_split
from pipeline.prepare.duplicates import same_content, sample_digest
from pipeline.prepare.leaks import copied, crossing, leaking
from pipeline.prepare.plan import SourceVideo, content_fingerprint, fingerprint, plan_shards
from pipeline.prepare.rate import stored_rate
from pipeline.prepare.stored_frames import by_name, stored_frames
from pipeline.text import counted, listed
from pipeline.video import VideoReader, probe


class UnreadableWarning(UserWarning):
    """Videos of a table that are left out, since no frame of them can be had."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoFiles:
    """The videos of a table; what `Store` says of prepared ones.

    Attributes:
        path: The table.
        frames: Rate, size and quality of the frames that are made of them.
        class_names: The index of a name is its label number.
        sources: The videos, in the order that they have in a prepared data set.
        copies: Those that hold the same bytes, by their places in `sources`.
        leaks: What of the test is also in training, in sentences; with splits that the table
            itself gives, none.
        fingerprint: Of the videos and their splits, wherever they lie.
        prepared_fingerprint: The same with the splits of the table.
    """

    path: Path
    frames: FramesConfig
    class_names: tuple[str, ...]
    sources: tuple[SourceVideo, ...]
    copies: tuple[tuple[int, ...], ...]
    leaks: tuple[str, ...] = ()
    allows_leaks: ClassVar = False
    background: ClassVar = ""
    fingerprint: str
    prepared_fingerprint: str

    @property
    def num_videos(self) -> Mapping[str, int]:
        """Videos of each split; a split without any is left out."""
        return self.manifest.num_videos

    @property
    def labelling(self) -> Labelling:
        """What is labelled."""
        return self.manifest.labelling

    @property
    def manifest(self) -> Manifest:
        """The videos as rows."""
        return Manifest(rows=tuple(source.row for source in self.sources))

    def with_rows(self, rows: tuple[Row, ...]) -> VideoFiles:
        """The same videos with other splits, whole groups of them, in the same order."""
        sources = tuple(
            dataclasses.replace(source, row=row)
            for source, row in zip(self.sources, rows, strict=True)
        )
        return dataclasses.replace(
            self,
            sources=sources,
            leaks=_leaks(sources, self.copies),
            fingerprint=fingerprint(self.prepared_fingerprint, (row.split for row in rows)),
        )

    def of_split(self, split: Split) -> list[SourceVideo]:
        """The videos of a split."""
        return [source for source in self.sources if source.row.split == split]


def open_videos(
    path: Path, frames: FramesConfig, *, holds_out: bool = True, several: bool = False
) -> VideoFiles:
    """Opens a table of videos, see `pipeline.manifest.rows.read_csv`.

    Args:
        path: The CSV file.
        frames: Rate, size and quality of the frames; where it is empty, the defaults of `prepare`.
        holds_out: Whether, without splits in it, the test videos are those that `prepare` would
            draw by default; else all are for training.
        several: Whether a label may be several, with semicolons between them, or none.

    Raises:
        DataError: The table is not as expected, a group or a file crosses its splits, a file has
            two labels or is a copy of one with another split or label, or a class has no video for
            training that can be read.
    """
    config = PrepareConfig(source="csv", path=str(path), out="-")
    if not holds_out:
        config = dataclasses.replace(config, test_fraction=0)
    manifest, rates = _readable(read_csv(path, several=several).without_repeats(), path)
    manifest.check_classes(at_least=1)
    rows = choose_split(manifest, config).rows
    sources = [
        SourceVideo(
            row=row,
            file=relative_path(row.path, path.absolute().parent),
            num_bytes=Path(row.path).stat().st_size,
            modified_ns=0,
        )
        for row in rows
    ]
    if not frames.size:
        frames = dataclasses.replace(config.frames, fps=stored_rate(rates))
    tasks = plan_shards(
        sources, Path(), frames=frames, shard_videos=config.shard_videos, seed=config.seed
    )
    ordered = tuple(source for task in tasks for source in task.sources)
    paths, sizes = zip(*((source.row.path, source.num_bytes) for source in ordered), strict=True)
    copies = tuple(map(tuple, same_content(paths, sizes)))
    found = _leaks(ordered, copies)
    if found:
        raise DataError(
            f"{path}: {listed(found, most=3)}. Mend the splits and labels, or remove the copies"
        )
    contents = {file: sample_digest(file) for file in {source.row.path for source in ordered}}
    made_of = content_fingerprint(frames, ((s, contents[s.row.path]) for s in ordered))
    return VideoFiles(
        path=path,
        frames=frames,
        class_names=manifest.class_names,
        sources=ordered,
        copies=copies,
        fingerprint=made_of,
        prepared_fingerprint=made_of,
    )


def encode_part(source: SourceVideo, frames: FramesConfig) -> dict[str, list[bytes]]:
    """Decodes one video to what a prepared data set would hold of it: its images, as JPEG.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    row = source.row
    with VideoReader(row.path) as reader:
        stored = stored_frames(
            reader, frames, start_seconds=row.start_seconds, end_seconds=row.end_seconds
        )
        images = by_name(stored, frames)
    if not images["frames"]:
        end = "its end" if row.end_seconds == math.inf else f"{row.end_seconds:g} s"
        raise VideoDecodeError(row.path, f"it has no frame from {row.start_seconds:g} s to {end}.")
    return images


def _readable(manifest: Manifest, path: Path) -> tuple[Manifest, list[float]]:
    """Leaves out files of which not even the first frame can be had; the rates of the others."""
    reasons, rates = {}, []
    for file in dict.fromkeys(row.path for row in manifest.rows):
        try:
            rates.append(probe(file).fps)
        except VideoDecodeError as error:
            reasons[file] = str(error)
    if reasons:
        count = counted(len(reasons), "file")
        message = f"{path}: left out {count}: {listed(reasons.values(), most=3)}"
        warnings.warn(message, UnreadableWarning, stacklevel=3)
    rows = tuple(row for row in manifest.rows if row.path not in reasons)
    missing = sorted(set(manifest.class_names) - set(Manifest(rows=rows).class_names))
    if missing or not rows:
        raise DataError(
            f"{path}: expected a readable video of each class, got none of "
            f"{listed(map(repr, missing)) or 'any'}"
        )
    return Manifest(rows=rows), rates


def _leaks(sources: Sequence[SourceVideo], copies: Iterable[Sequence[int]]) -> tuple[str, ...]:
    return *crossing(source.row for source in sources), *leaking(copied(sources, copies))
