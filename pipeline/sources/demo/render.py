"""The videos and recordings of the demo: which there are, and writing those that are missing."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from pipeline.atomic import atomic_write, remove_unfinished
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.demo.actions import ACTIONS, BACKWARDS, Carton, draw_seconds, perform
from pipeline.sources.demo.body import Body, FloatArray, rotation
from pipeline.sources.demo.drawing import Image, Solid
from pipeline.sources.demo.scene import Scene, draw_camera, draw_fixed_camera
from pipeline.sources.demo.script import Enactment, Script, draw_heading
from pipeline.sources.demo.wardrobe import Look, cartons, chair, dress
from pipeline.video import write_video
from pipeline.workers.pool import OnVideo, run_in_workers

MIN_FRAMES: Final = 12
MAX_FRAMES: Final = 60
_SIZES: Final = ((160, 120), (176, 144), (192, 144), (320, 240), (240, 320), (256, 256))
_RATES: Final = (12, 15, 24, 25, 30)
_LONG_SIZES: Final = ((160, 120), (160, 120), (192, 144), (240, 180))
_LONG_RATES: Final = (15, 15, 15, 15, 15, 15, 15, 30)
# Containers whose headers hold neither a date nor a random number: same frames, same bytes.
_CODECS: Final = ((".mp4", "mp4v"), (".mov", "mp4v"), (".avi", "MJPG"), (".avi", "XVID"))
EVENTS: Final = "events"  # the folder of the tables of events, beside the recordings
_SETTINGS_NAME: Final = "demo.json"
# Of the figures, this share is for validation, and as many for testing.
_HELD_OUT: Final = 1 / 8


@dataclasses.dataclass(frozen=True)
class Take:
    """One video: who does what. Of one action once, in a format of its own.

    Attributes:
        seed: Of the data set.
        action: One of `ACTIONS`.
        figure: Number of the figure; a figure looks the same in all its videos.
    """

    seed: int
    action: str
    figure: int

    def format(self) -> Format:
        """Draws how the video is stored."""
        rng = self._rng(1)
        size, fps = _SIZES[rng.integers(len(_SIZES))], _RATES[rng.integers(len(_RATES))]
        num_frames = round(draw_seconds(self.action, rng) * fps)
        suffix, codec = _CODECS[rng.integers(len(_CODECS))]
        return Format(size, fps, min(max(num_frames, MIN_FRAMES), MAX_FRAMES), suffix, codec)

    def frames(self) -> Iterator[Image]:
        """Renders the video: uint8 (H, W, 3), RGB, one frame after the other."""
        (body, look), rng, form = _person(self.seed, self.figure), self._rng(2), self.format()
        acted = perform(self.action, body, form.num_frames, form.fps, rng)
        heading = draw_heading(rng)
        turn, skeleton = rotation(1, heading), acted.skeleton.facing(heading)
        acting, standing = dress(body, look, skeleton), list[Solid]()
        if acted.carton:
            there = dataclasses.replace(acted.carton, centre=acted.carton.centre @ turn.T)
            acting += cartons(there, heading, rng)
        if acted.seat is not None:
            seat = chair(acted.seat + _below_pelvis(body), body.height, rng)
            standing += [solid.seen(turn) for solid in seat]
        path = skeleton.joints["pelvis"]
        standing += _bystanders(float(path[:, 0].mean()), rng)
        scene = Scene(acting, standing, draw_camera(path, body.height, form.size, rng), rng)
        order = range(form.num_frames)
        for frame in reversed(order) if self.action in BACKWARDS else order:
            yield scene.render(frame)

    def _rng(self, purpose: int) -> np.random.Generator:
        """A generator for this video; the two videos of an order pair draw the same numbers."""
        action = ACTIONS.index(BACKWARDS.get(self.action, self.action))
        return np.random.default_rng((purpose, self.seed, self.figure, action, 0))


@dataclasses.dataclass(frozen=True)
class Format:
    """The format of a video file.

    Attributes:
        size: Width and height in pixels.
        fps: Frames per second.
        num_frames: Number of frames.
        suffix: Of the file name.
        codec: FourCC.
    """

    size: tuple[int, int]
    fps: int
    num_frames: int
    suffix: str
    codec: str


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recording: a figure for a minute or two, by a fixed camera.

    Attributes:
        seed: Of the data set.
        figure: Number of the figure that acts, and looks as in the `Take`s of that number.
        split: Whose it is.
    """

    seed: int
    figure: int
    split: Split

    @property
    def name(self) -> str:
        """The name of its files, without a suffix."""
        return f"figure{self.figure:02d}"

    @property
    def fps(self) -> int:
        """Frames per second."""
        return int(self._rng(3).choice(_LONG_RATES))

    @property
    def container(self) -> tuple[str, str]:
        """Suffix of the file name, and FourCC."""
        return _CODECS[self._rng(4).integers(len(_CODECS))]

    @functools.cached_property
    def enactment(self) -> Enactment:
        """What is done, and when."""
        return Script(_person(self.seed, self.figure)[0], self.fps, self._rng(5)).enact()

    def events(self) -> str:
        """The table of events, whose times are those of frames: where one starts, and ends."""
        figure = self.name
        lines = ["video,start_seconds,end_seconds,label,subject,group,split"]
        lines += [
            f"{figure}{self.container[0]},{start / self.fps:.6f},{end / self.fps:.6f},{label},"
            f"{figure},{figure},{self.split}"
            for start, end, label in map(dataclasses.astuple, self.enactment.events)
        ]
        return "".join(f"{line}\n" for line in lines)

    def frames(self) -> Iterator[Image]:
        """Renders the recording: uint8 (H, W, 3), RGB, one frame after the other."""
        (body, look), enacted = _person(self.seed, self.figure), self.enactment
        rng = self._rng(6)
        pelvis, margin = enacted.skeleton.joints["pelvis"], 0.35 * body.height
        seen = np.concatenate([pelvis[:, 0], enacted.seat[:1], enacted.carton.centre[:, 0]])
        span = float(seen.min() - margin), float(seen.max() + margin)
        size = _LONG_SIZES[rng.integers(len(_LONG_SIZES))]
        camera = draw_fixed_camera(span, len(pelvis), body.height, size, rng)
        acting = dress(body, look, enacted.skeleton)
        acting += cartons(enacted.carton, enacted.carton_headings, rng)
        seat = chair(enacted.seat * [0, 1, 0] + _below_pelvis(body), body.height, rng)
        turn = rotation(1, enacted.seat_heading)
        standing = [solid.seen(turn, origin=enacted.seat * [1, 0, 1]) for solid in seat]
        scene = Scene(acting, standing, camera, rng)
        for frame in range(len(pelvis)):
            yield scene.render(frame)

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((purpose, self.seed, self.figure))


def _person(seed: int, figure: int) -> tuple[Body, Look]:
    rng = np.random.default_rng((0, seed, figure))
    return Body.draw(rng), Look.draw(rng)


def _below_pelvis(body: Body) -> FloatArray:
    """From the pelvis to the middle of the seat that is sat on, in the figure's axes, (3,)."""
    return np.array([0, -0.055 * body.height * body.build, 0.06 * body.height])


def _bystanders(middle: float, rng: np.random.Generator) -> list[Solid]:
    """Things that have no part in the action, so that a chair or a carton gives nothing away."""
    half, solids = rng.uniform(0.13, 0.2, 3), list[Solid]()
    carton = Carton(np.array([[0, half[1], 0]]), half, 0.0)
    for thing in (chair(np.array([0, 0.43, 0]), 1.7, rng), cartons(carton, 0.0, rng)):
        turn, aside = rotation(1, rng.uniform(-1.1, 1.1)), rng.choice([-1, 1])
        place = np.array([middle + aside * rng.uniform(0.5, 1.4), 0, -rng.uniform(0.4, 0.8)])
        if rng.uniform() < 0.35:
            solids += [solid.seen(turn, origin=place) for solid in thing]
    return solids


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
