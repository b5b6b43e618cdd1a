"""The pieces of an experiment: each is done once, by whichever process comes to it first."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeline.config import RunConfig, expect
from pipeline.dataset.videos import open_of_run
from pipeline.errors import DataError
from pipeline.experiments.runs import done_before, done_file, measured, with_whole_paths
from pipeline.experiments.search import Search
from pipeline.locks import if_free
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import held_open
from pipeline.run import Run
from pipeline.workers.beam import run_on_beam
from pipeline.workers.pool import OnVideo
from pipeline.workers.shares import run_in_shares

_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Piece:
    """A run to train and measure.

    Attributes:
        title: What it is, in words.
        config: Its configuration, of which the task is known.
        data: Fingerprint of its data set, with its splits.
        run: Where it goes.
        split: What it is measured on.
        choose: Searches its settings; None: they are those of `config`.
    """

    title: str
    config: RunConfig
    data: str
    run: Run
    split: Split
    choose: Search | None = None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Who works on the pieces, besides other commands in the same folder.

    Attributes:
        jobs: Processes of this machine, each with its share of the cores.
        beam_options: What Apache Beam's runner needs; None: it is not asked.
    """

    jobs: int = 1
    beam_options: str | None = None

    def __post_init__(self) -> None:
        expect(self.jobs >= 1, "--jobs must be at least 1", self.jobs)


HERE: Final = Spread()
Told = Callable[[Piece, dict[str, Any]], None]


def measure_all(pieces: Sequence[Piece], told: Told, spread: Spread = HERE) -> None:
    """Measures the pieces that are not done yet and that no other process is at.

    What others are at is waited for, and taken over where they end before it is done. So several
    commands in one folder, which may lie on a disk that machines share, do together what one would.

    Args:
        pieces: What to measure.
        told: Called with each piece and its scores, once they are known.
        spread: Who does it.
    """
    todo = [piece for piece in pieces if done_before(piece.run) is None]
    if spread.beam_options is not None and todo:
        run_on_beam(
            partial(_measure_one, told=told),
            list(map(_for_any_machine, todo)),
            spread.beam_options,
            made=lambda piece: done_file(piece.run),
        )
    elif spread.jobs > 1 and todo:
        jobs = min(spread.jobs, len(todo)) if not todo[0].choose else spread.jobs
        run_in_shares(_take_part, (todo, told), jobs, on_loss=partial(print, flush=True))
    _together(pieces, told if spread == HERE else _silent)


def _for_any_machine(piece: Piece) -> Piece:
    """The same with paths that hold in any current folder."""
    run = Run(piece.run.folder.absolute())
    return replace(piece, config=with_whole_paths(piece.config), run=run)


def _silent(*_: object) -> None:
    """What was told in other processes is not told again."""


def _measure_one(piece: Piece, told: Told) -> None:
    _together([piece], told)


def _take_part(work: tuple[Sequence[Piece], Told], on_piece: OnVideo) -> None:
    """What each of several jobs does; what its trainings print goes into a file of each piece."""
    pieces, told = work
    _together(pieces, told, on_piece, waits=False, logs=True)


@held_open()
def _together(
    pieces: Sequence[Piece],
    told: Told,
    on_piece: OnVideo = _silent,
    *,
    waits: bool = True,
    logs: bool = False,
) -> None:
    """Goes round the pieces until all are done, or until others are at all that are left."""
    left = list(pieces)
    _expect_as_begun([piece for piece in left if done_before(piece.run) is None])
    while left:
        before = list(left)
        for piece in before:
            was_done = done_before(piece.run)
            if scores := was_done or _attempt(piece, on_piece, logs=logs):
                left.remove(piece)
                if not (was_done and logs):
                    told(piece, scores)
        if left == before:
            if not waits:
                return
            time.sleep(_LOOK_SECONDS)


def _expect_as_begun(todo: Sequence[Piece]) -> None:
    """Makes sure that the data set, which all share, is the one that they were begun with.

    Raises:
        DataError: It is not.
    """
    if todo and open_of_run(todo[0].config)[1].fingerprint != todo[0].data:
        raise DataError(
            f"{todo[0].config.data} was prepared anew since {todo[0].run.folder.parent} was begun: "
            "its runs would not go together. Name another folder (--out) or replace it "
            "(--overwrite)"
        )


def _attempt(piece: Piece, on_piece: OnVideo, *, logs: bool) -> dict[str, Any] | None:
    """Measures a piece; None: another process is at it."""
    with contextlib.ExitStack() as stack:
        on_piece(piece.title)
        if logs:
            stack.enter_context(_logged(piece.run.folder))
        before, config = 0.0, piece.config
        if piece.choose:  # All who come to it search together.
            search = piece.run.folder.with_name(f"{piece.run.folder.name}-search")
            config = piece.choose(config, search)
            before = piece.choose.seconds(search)
        if not stack.enter_context(if_free(piece.run.folder)):
            return None
        return measured(config, piece.run, piece.split, before)


@contextlib.contextmanager
def _logged(folder: Path) -> Any:
    file = folder.parent / "logs" / f"{folder.name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield
