"""A recording as records of bounded length, so that ten hours take no more memory than a minute."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, Final

from pipeline.config import FramesConfig
from pipeline.manifest.annotation import Labels
from pipeline.prepare.duplicates import hash_positions
from pipeline.prepare.plan import Piece
from pipeline.prepare.record import write_record
from pipeline.prepare.stored_frames import FrameSpool
from pipeline.streams.pose_points import highest_flags

PIECE_FRAMES: Final = 128
"""Frames of a record; the last one of a recording may have fewer."""

_MOST_KEPT: Final = 128


class StoredPieces:
    """What was stored of a recording.

    Attributes:
        pieces: The records.
        num_frames: All frames.
    """

    def __init__(self, frames: FramesConfig) -> None:
        self._frames = frames
        self.pieces: list[Piece] = []
        self.num_frames, self._step = 0, 1
        self._kept: list[bytes] = []
        self._flags: float | None = None

    @property
    def pose_flag(self) -> float | None:
        """See `pipeline.prepare.plan.VideoReport`."""
        return None if self._flags is None else round(self._flags / self.num_frames, 4)

    @property
    def num_bytes(self) -> int:
        """Bytes of all records."""
        return sum(piece.num_bytes for piece in self.pieces)

    def add(self, images: Mapping[str, FrameSpool], labels: Labels, num_bytes: int) -> None:
        """Takes up a record."""
        frames = images["frames"]
        if "pose" in images:
            self._flags = (self._flags or 0.0) + sum(highest_flags(images["pose"], self._frames))
        counts = (labels == 1).sum(axis=0).tolist()
        self.pieces.append(Piece(len(frames), num_bytes, tuple(counts)))
        for frame in frames:
            if self.num_frames % self._step == 0:
                self._kept.append(frame)
            self.num_frames += 1
            if len(self._kept) > _MOST_KEPT:
                self._kept, self._step = self._kept[::2], 2 * self._step

    def shown(self) -> list[bytes]:
        """The frames at `hash_positions`; of a long recording, those next to them."""
        return [self._kept[position // self._step] for position in hash_positions(self.num_frames)]


def write_pieces(
    file: BinaryIO | None,
    stored: Iterator[Mapping[str, bytes]],
    kept: FramesConfig,
    label: Callable[[int, int], Labels],
    others: Mapping[str, float | str],
    *,
    on_piece: Callable[[], object],
) -> StoredPieces:
    """Appends the records of a recording to a file.

    Args:
        file: The file; None: nothing is written.
        stored: What is stored of each frame, see `pipeline.prepare.stored_frames.stored_frames`.
        kept: What is stored.
        label: Labels of frames in a row, see `pipeline.manifest.annotation.Annotation.by_frame`.
        others: Other features of each record.
        on_piece: Called after each.
    """
    written = StoredPieces(kept)
    for images in _pieces(stored, kept.images):
        first = written.num_frames
        labels = label(first, len(images["frames"]))
        features = {**others, "labels": labels.tobytes(), "first_frame": first}
        num_bytes = write_record(file, images, features) if file else 0
        written.add(images, labels, num_bytes)
        on_piece()
    return written


def _pieces(
    stored: Iterator[Mapping[str, bytes]], names: Sequence[str]
) -> Iterator[dict[str, FrameSpool]]:
    for first in stored:
        with contextlib.ExitStack() as stack:
            images = {name: stack.enter_context(FrameSpool()) for name in names}
            for frame in itertools.chain([first], itertools.islice(stored, PIECE_FRAMES - 1)):
                for name, image in frame.items():
                    images[name].append(image)
            yield images
