"""The videos and recordings of the demo: which there are, and writing those that are missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2

from pipeline.atomic import atomic_write, remove_unfinished
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.demo.actions import ACTIONS
from pipeline.sources.demo.recordings import Recording
from pipeline.sources.demo.takes import Take
from pipeline.video import write_video
from pipeline.workers.pool import OnVideo, run_in_workers

EVENTS: Final = "events"  # the folder of the tables of events, beside the recordings
_SETTINGS_NAME: Final = "demo.json"
# Of the figures, this share is for validation, and as many for testing.
_HELD_OUT: Final = 1 / 8


def render_demo(
    directory: Path, *, seed: int = 0, workers: int = 0, num_figures: int = 96
) -> Manifest:
    """Renders the demo videos that are not there yet, as `directory/<action>/<figure>_0.*`.

    What a video shows depends on the seed, the action and the figure alone: an interrupted
    run that is started again, and any number of workers, give the same bytes.

    Args:
        directory: Where to put them; made if need be. Videos of another seed, or of another
            version of this package, are replaced.
        seed: 0 or more.
        workers: Processes; 0 is one per processor core.
        num_figures: How many people act, 3 or more. The first three quarters are for training;
            none is in two splits.

    Returns:
        One row a video; `group` is the figure, such as `figure07`.

    Raises:
        DataError: A video cannot be written.
        PipelineError: A worker process died.
    """
    directory = Path(directory).absolute()
    _match_settings([directory / action for action in ACTIONS], directory / _SETTINGS_NAME, seed)
    takes = [Take(seed, action, figure) for action in ACTIONS for figure in range(num_figures)]
    rows = tuple(_row(directory, take, num_figures) for take in takes)
    videos = [(take, Path(row.path)) for take, row in zip(takes, rows, strict=True)]
    missing = [(take, path) for take, path in videos if not path.exists()]
    _run(_render, missing, len(videos), workers)
    return Manifest(rows=rows)


def render_recordings(
    directory: Path, *, seed: int = 0, workers: int = 0, num_figures: int = 40
) -> None:
    """Renders the recordings that are not there yet, as `directory/<figure>.*`.

    `directory/events/<figure>.csv` says when it does what, its group and its split. Seed and figure
    alone say what a recording shows, as with `render_demo`, whose arguments these are.

    Raises:
        DataError: A file cannot be written.
        PipelineError: A worker process died.
    """
    directory = Path(directory).absolute()
    _match_settings([directory, directory / EVENTS], directory / _SETTINGS_NAME, seed)
    recordings = [
        Recording(seed, figure, _split(figure, num_figures)) for figure in range(num_figures)
    ]
    files = [(each, directory / f"{each.name}{each.container[0]}") for each in recordings]
    missing = [
        (recording, path)
        for recording, path in files
        if not (path.exists() and _events_of(path).exists())
    ]
    _run(_record, missing, len(files), workers)


def _run(
    render: Callable[..., None], missing: Sequence[tuple[Any, Path]], number: int, workers: int
) -> None:
    """Renders those of a number of files that are missing."""
    done = number - len(missing)
    run_in_workers(
        render, missing, doing="rendering", workers=workers, num_videos=number, done=done
    )


def _row(directory: Path, take: Take, num_figures: int) -> Row:
    figure = f"figure{take.figure:02d}"
    path = directory / take.action / f"{figure}_0{take.format().suffix}"
    split = _split(take.figure, num_figures)
    return Row(path=str(path), label=take.action, group=figure, split=split)


def _split(figure: int, num_figures: int) -> Split:
    held_out = max(round(num_figures * _HELD_OUT), 1)
    if figure >= num_figures - held_out:
        return "test"
    return "val" if figure >= num_figures - 2 * held_out else "train"


def _match_settings(folders: Iterable[Path], file: Path, seed: int) -> None:
    """Removes videos that were rendered otherwise, and what killed runs left half-written."""
    source = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        source.update(module.read_bytes())
    settings = {"seed": seed, "source": source.hexdigest(), "opencv": cv2.__version__}
    fingerprint = json.dumps(settings).encode()
    same = file.exists() and file.read_bytes() == fingerprint
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for video in folder.glob(".figure*" if same else "*figure*"):
            video.unlink()
    if not same:
        with atomic_write(file) as stream:
            stream.write(fingerprint)


def _render(video: tuple[Take, Path], on_video: OnVideo) -> None:
    take, path = video
    on_video(f"{path.parent.name}/{path.name}")
    form = take.format()
    write_video(path, take.frames(), fps=form.fps, codec=form.codec)


def _events_of(path: Path) -> Path:
    return path.parent / EVENTS / f"{path.stem}.csv"


def _record(video: tuple[Recording, Path], on_video: OnVideo) -> None:
    recording, path = video
    on_video(path.name)
    events = _events_of(path)
    remove_unfinished(events)
    with atomic_write(events) as stream:
        stream.write(recording.events().encode())
    write_video(path, recording.frames(), fps=recording.fps, codec=recording.container[1])
