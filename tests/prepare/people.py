"""Videos of six people, and how the tests prepare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipeline.config.prepare import PrepareConfig
from pipeline.frames.decoding import DecodeTask, FileReport, decode_file
from pipeline.video import write_video

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare.py"


def render(path: Path, seed: int, *, num_frames: int = 8, fps: float = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    frames = rng.integers(256, size=(num_frames, 3, 4, 3), dtype=np.uint8)
    codec = ("MJPG", "FFV1")[seed % 2]
    write_video(path, frames.repeat(8, axis=1).repeat(8, axis=2), fps=fps, codec=codec)
    return path


def render_all(root: Path) -> Path:
    """Two classes acted by six people; what `cid` does in `run` is no video."""
    for index, person in enumerate(("ann", "bob", "cid", "dan", "eve", "fay")):
        for number, label in enumerate(("run", "wälk fast")):
            render(root / label / f"{person} 1.avi", 2 * index + number)
    (root / "run" / "cid 1.avi").write_text("no video")
    return root


def configure(root: Path, out: Path | str = "out", **changes: object) -> PrepareConfig:
    """Of videos of people, prepared into a folder, beside them unless it is a whole path."""
    config = PrepareConfig(
        source="folder",
        path=str(root),
        out=str(root.parent / out),
        group_regex=r"(\w+) \d",
        test_groups=("eve",),
        val_fraction=0.2,
        fps=5.0,
        size=16,
        max_bad_fraction=0.1,
        workers=1,
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def decode_but_ann(task: DecodeTask, on_video: Callable[[str], None]) -> FileReport:
    """As `decode_file`, whose memory ends at the videos of ann."""

    def at(video: str) -> None:
        on_video(video)
        if "ann" in video and not task.lost:
            raise MemoryError

    return decode_file(task, at)


def of_table(root: Path, *lines: str, **changes: object) -> PrepareConfig:
    """Of a table of videos that is written among them."""
    table = root / "table.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    values: dict = {"out": str(root.parent / "out"), "fps": 10.0, "size": 16, "workers": 1}
    return PrepareConfig(source="csv", path=str(table), **{**values, **changes})


def words_of(config: PrepareConfig) -> Iterator[str]:
    """The command line of a configuration."""
    for name, value in dataclasses.asdict(config).items():
        if value not in ("", (), False):
            text = ",".join(value) if isinstance(value, tuple) else value
            yield f"--{name.replace('_', '-')}={text}"


def tree(out: Path | str) -> dict[str, bytes]:
    files = (path for path in Path(out).rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def writes(out: Path | str) -> dict[str, tuple[int, int]]:
    """Changes for each file of frames that is written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in Path(out).glob("**/clipline-*.tfrecord-*")
    }
