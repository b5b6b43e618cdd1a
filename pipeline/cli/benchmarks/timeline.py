"""The timeline of a long video: time by overlap, memory by length, and what it finds."""

import csv
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.cli.benchmarks.measuring import apart
from pipeline.cli.script import Parser, named_run, positive
from pipeline.errors import DataError
from pipeline.evaluation.segmental import segmental_scores
from pipeline.inference.segments import Segment
from pipeline.manifest.rows import Row, Split
from pipeline.prepare.prepared import describe_prepared
from pipeline.run import Run
from pipeline.video import iter_frames, probe, resize, write_video

EXPLANATION = """\
The {number} test videos of the run, joined at 320 x 240 pixels and 30 frames per second,
until they last {minutes} minutes, and one. Each row is a process of its own; the best of {repeats}
runs.

  time       from the file to the segments
  real time  length of the video / time
  memory     peak of the process

Scores of the test videos joined once: accuracy by frame, edit score, and F1 of segments that
overlap a true one by 10, 25 and 50 %. Neighbours of one class are one segment.
"""
SIZE = (240, 320)
FPS = 30.0
_UNKNOWN = -1
_ORDERS = 3


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser("The timeline of a long video.", "benchmark timeline", "--run runs/NAME")
    parser.add_run()
    parser.add_argument("--data", default="", help="Where its data set is, if that was moved.")
    parser.add_argument("--minutes", type=positive, default=10, help="Length of the long one.")
    parser.add_argument("--repeats", type=positive, default=3, help="Runs; the best counts.")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="Measure nothing: write the videos of each group of its training and validation, and "
        "those of its test, joined once, and a table of what is where, to prepare with --source "
        "events.",
    )
    options = parser.parse(arguments)
    run = named_run(options)
    if options.write:
        write_recordings(run, options.data, options.write)
        return
    rows = in_any_order(rows_of(run, options.data, "test"))
    lengths = {"minutes": options.minutes, "repeats": options.repeats}
    print(EXPLANATION.format(number=len(rows), **lengths))
    with tempfile.TemporaryDirectory() as folder:
        once, long, short = (Path(folder) / f"{name}.mp4" for name in ("once", "long", "short"))
        truth = join(rows, once)
        join(rows, long, seconds=60.0 * options.minutes)
        join(rows, short, seconds=60.0)
        print(f"{'':30} {'time':>8} {'real time':>10} {'memory':>9}")
        for path, overlap in ((long, 0.0), (long, 0.75), (short, 0.75)):
            measure(path, overlap, run, options.repeats)
        show_found(once, truth, run)


def rows_of(run: Run, data: str, split: Split) -> list[Row]:
    """The videos of a split of a run's data set, now at `data`; their files must be there."""
    store = describe_prepared(data or run.config().data)
    rows = [row for row in store.manifest.rows if row.split == split]
    missing = [row.path for row in rows if not Path(row.path).is_file()]
    if missing or not rows:
        raise DataError(
            f"{store.path}: the files of its {split} videos are not there: {missing[:1]}"
        )
    return rows


def in_any_order(rows: Sequence[Row], seed: int = 0) -> list[Row]:
    """The rows, shuffled."""
    return [rows[index] for index in np.random.default_rng(seed).permutation(len(rows))]


def write_recordings(run: Run, data: str, folder: Path) -> None:
    """Writes videos joined to recordings, and a table of their events.

    The test videos are one recording, as those of the benchmark. Those of each other group are
    joined in three orders: so what follows what tells nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = describe_prepared(data or run.config().data)
    recordings = {"test": ("test", in_any_order(rows_of(run, data, "test")))}
    others = [row for row in store.manifest.rows if row.split != "test"]
    for number, group in enumerate(sorted({row.group for row in others})):
        rows = [row for row in others if row.group == group]
        for order in range(_ORDERS):
            name = f"{number:02d}_{order}"
            recordings[name] = (rows[0].split, in_any_order(rows, seed=order))
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "start_seconds", "end_seconds", "label", "group", "split"])
        for name, (split, rows) in recordings.items():
            for segment in join(rows, folder / f"{name}.mp4"):
                times = f"{segment.start_seconds:.4f}", f"{segment.end_seconds:.4f}"
                group = name.partition("_")[0]
                writer.writerow([f"{name}.mp4", *times, segment.label, group, split])
    print(f"{folder}: {len(recordings)} recordings and events.csv")


def join(rows: Sequence[Row], path: Path, seconds: float = 0.0) -> list[Segment]:
    """Writes videos one after the other, each once or until it is long enough.

    Returns:
        What is where.
    """
    segments: list[Segment] = []

    def frames() -> Iterator[np.ndarray]:
        count = 0
        while True:
            for row in rows:
                start = count
                for frame in iter_frames(row.path, fps=FPS):
                    count += 1
                    yield resize(frame, SIZE)
                    if seconds and count >= seconds * FPS:
                        return
                segments.append(Segment(start / FPS, count / FPS, row.label, 1.0, 0.0))
            if not seconds:
                return

    write_video(path, frames(), fps=FPS)
    return segments


def measure(path: Path, overlap: float, run: Run, repeats: int) -> None:
    """Prints the row of one video at one overlap."""
    work = "make_timeline(Classifier.load(sys.argv[1]), sys.argv[2], overlap=float(sys.argv[3]))"
    arguments = "from pipeline import Classifier, make_timeline", work, str(run.folder), str(path)
    costs = [apart(*arguments, str(overlap)) for _ in range(repeats)]
    seconds, megabytes = (min(values) for values in zip(*costs, strict=True))
    length = probe(path).duration_seconds
    name = f"{length / 60:.0f} min, overlap {overlap:g}"
    print(f"{name:30} {seconds:6.1f} s {length / seconds:9.0f}x {megabytes:6.1f} MB", flush=True)


def show_found(path: Path, truth: Sequence[Segment], run: Run) -> None:
    """Prints how many of the joined videos are found where they stand."""
    from pipeline import Classifier, make_timeline

    start = time.perf_counter()
    timeline = make_timeline(Classifier(run), path)
    seconds = time.perf_counter() - start
    class_names = timeline.class_names
    found, true = (frame_labels(each, class_names) for each in (timeline.segments, truth))
    length = min(len(found), len(true))  # the container may declare a frame more
    found, true = found[:length], true[:length]
    scores = dataclasses.asdict(segmental_scores([found], [true], background=(_UNKNOWN,)))
    scores = {"accuracy": float((found == true).mean()), **scores}
    print(
        f"\n{len(truth)} videos joined once, {len(timeline.segments)} segments found in "
        f"{seconds:.1f} s\n" + "   ".join(f"{name} {value:.3f}" for name, value in scores.items())
    )


def frame_labels(segments: Sequence[Segment], class_names: Sequence[str]) -> np.ndarray:
    """The class of each frame by its number, int64 (N,); segments lie end to end."""
    numbers = {name: number for number, name in enumerate(class_names)}
    ends = [round(segment.end_seconds * FPS) for segment in segments]
    labels = [numbers.get(segment.label, _UNKNOWN) for segment in segments]
    return np.repeat(labels, np.diff(ends, prepend=0))
