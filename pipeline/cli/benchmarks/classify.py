"""Classifying a file, cold and warm, against `keras.Model.predict` clip by clip."""

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.cli.benchmarks.measuring import apart, in_turn
from pipeline.cli.script import Parser, named_run, positive
from pipeline.frames.encoding import encode_video
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredVideo, as_batch, clips_of, cut_clips, decode_clip
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.video import probe

EXPLANATION = """\
From the file to the label, {views} clips a video, on {cores} CPU cores; the best of {repeats} runs.

  cold     a process: clipline classify VIDEO, with its peak memory
  warm     Classifier.predict in a process that has classified before
  Keras    the same frames, cut into the same clips, each through keras.Model.predict
  reading  what both take to get the frames of the file
  model    Keras / warm, both without reading
"""
FUSED = """\
From the file to the label, by {number} fused runs, on {cores} CPU cores; best of {repeats} runs.

  cold     a process: clipline classify VIDEO, with its peak memory
  warm     Classifier.predict in a process that has classified before, in all and for a frame of
           those that are stored
  reading  what of it gets the frames of the file, their flow and key points
"""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser(
        "Classifying a file, cold and warm.", "benchmark classify", "VIDEO --run runs/NAME"
    )
    parser.add_argument("paths", nargs="+", metavar="VIDEO", help="Video files.")
    parser.add_run()
    parser.add_argument("--repeats", type=positive, default=7, help="Runs; the best counts.")
    options = parser.parse(arguments)
    run = named_run(options)
    for path in options.paths:
        probe(path)  # says at once what cannot be read
    classifier = Classifier(run)
    if classifier.fusion:
        measure_fused(options.paths, run, classifier, options.repeats)
    else:
        measure(options.paths, run, classifier, options.repeats)


def measure(paths: Sequence[str], run: Run, classifier: Classifier, repeats: int) -> None:
    """Prints what files take, beside Keras."""
    model = load_recognizer(run.model_file)
    views, cores = classifier.bundle.clip.views, _cores()
    print(EXPLANATION.format(views=views, cores=cores, repeats=repeats))
    width = max(len(Path(path).name) for path in paths)
    print(
        f"{'':{width}} {'cold':>9} {'memory':>9} {'warm':>9} {'Keras':>9} {'ratio':>6} "
        f"{'reading':>9} {'model':>6}"
    )
    for path in paths:
        colds, megabytes = zip(*(cold(path, run) for _ in range(repeats)), strict=True)
        calls: list[Callable[[], Any]] = [
            partial(classifier.predict, path),
            partial(label_by_keras, path, classifier, model),
            partial(encode_video, path, classifier.bundle.frames),
        ]
        runs = in_turn(calls, 1 + repeats)  # the first is a warm-up
        label, other = runs[0][0][1].top[0][0], runs[1][0][1]
        if label != other:
            raise RuntimeError(f"the two disagree: {label} and {other}")
        warm, by_keras, reading = (min(seconds for seconds, _ in each[1:]) for each in runs)
        print(
            f"{Path(path).name:{width}} {min(colds):7.2f} s {statistics.median(megabytes):6.0f} MB "
            f"{1000 * warm:6.1f} ms {1000 * by_keras:6.1f} ms {by_keras / warm:5.1f}x "
            f"{1000 * reading:6.1f} ms {(by_keras - reading) / (warm - reading):5.1f}x",
            flush=True,
        )


def measure_fused(paths: Sequence[str], run: Run, classifier: Classifier, repeats: int) -> None:
    """Prints what files take by fused runs."""
    number = len(classifier.members)
    print(FUSED.format(number=number, cores=_cores(), repeats=repeats))
    width = max(len(Path(path).name) for path in paths)
    print(f"{'':{width}} {'cold':>9} {'memory':>9} {'warm':>9} {'a frame':>9} {'reading':>9}")
    for path in paths:
        colds, megabytes = zip(*(cold(path, run) for _ in range(repeats)), strict=True)
        calls: list[Callable[[], Any]] = [
            partial(classifier.predict, path),
            partial(clips_of, partial(StoredVideo, path), classifier.bundles),
        ]
        runs = in_turn(calls, 1 + repeats)  # the first is a warm-up
        warm, reading = (1000 * min(seconds for seconds, _ in each[1:]) for each in runs)
        num_frames = len(list(StoredVideo(path, [classifier.bundle.frames.only(())])))
        print(
            f"{Path(path).name:{width}} {min(colds):7.2f} s {statistics.median(megabytes):6.0f} MB "
            f"{warm:6.0f} ms {warm / num_frames:6.1f} ms {reading:6.0f} ms",
            flush=True,
        )


def _cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cold(path: str, run: Run) -> tuple[float, float]:
    """Seconds and megabytes of a process of its own, started and ended."""
    # From a small process: the memory of one that starts another counts as that of the other.
    work = "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)"
    command = [sys.executable, "-m", "pipeline.cli", "classify", path, "--run", str(run.folder)]
    return apart("import subprocess", work, *command, whose="CHILDREN")


def label_by_keras(path: str, classifier: Classifier, model: keras.Model) -> str:
    """The most probable class by the model of Keras, clip by clip."""
    bundle = classifier.bundle
    stored, _ = encode_video(path, bundle.frames)
    logits = [
        model.predict(as_batch(decode_clip(clip, bundle), bundle.clip.num_frames), verbose=0)[0]
        for clip in cut_clips(stored, bundle.clip)
    ]
    return bundle.class_names[int(np.mean(logits, axis=0).argmax())]
