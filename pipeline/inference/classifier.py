"""Classifying video files with a trained run, without TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pipeline.config.values import NOT_NEGATIVE, Range, expect
from pipeline.errors import ConfigError, DataError
from pipeline.frames.encoding import encode_array
from pipeline.inference.bundle import Bundle, expect_own_export, read_bundle
from pipeline.inference.clips import Clip, ClipModel, StoredVideo, clips_of, cut_clips
from pipeline.inference.external import networks_of, with_networks
from pipeline.inference.fused import members_of
from pipeline.inference.prediction import Prediction
from pipeline.inference.runtimes import RUNTIMES, RuntimeName, open_model
from pipeline.key_points import Tables
from pipeline.manifest.class_names import UNKNOWN
from pipeline.pose.models import use_carried
from pipeline.run import Run
from pipeline.streams import IMAGES
from pipeline.tasks.fusion import Rule, expect_alike
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.task import task_of
from pipeline.video import VideoInfo

Floats = npt.NDArray[np.floating[Any]]


class Classifier:
    """A trained run, or several whose answers are fused, ready to classify.

    Threads may share one, for `predict`, timelines and streams alike: each gets the answers that
    it would get alone. They decode at once and, as far as there are processor cores, compute at
    once; each core more that LiteRT computes on takes the memory of another interpreter.

    Args:
        run: The run, or a folder that it was exported to, or one of fused runs; nothing else is
            read. Or several runs, whose calibrated probabilities are then fused with equal weights;
            "unknown" is not answered.
        runtime: `auto` takes the model that was exported to LiteRT, or else to ONNX; `savedmodel`
            the one for TensorFlow; `keras` the one that was trained. The last two are for folders
            from people whom you trust: a SavedModel can do anything that a program can.
        num_threads: Threads for one clip, where the runtime lets one say; 0: one per processor
            core, but no more than 4, which is all that so small a network can use. Where threads
            share the classifier, 1 takes the least work in all.
        rule: How the answers of several runs are fused, see `pipeline.tasks.fusion.Fusion`; a
            folder of fused runs has its own.
        key_points: Folder of the tables of key points of videos, or the table of a single one, for
            runs that take them.

    Raises:
        DataError: A run was not trained or not exported, or several do not answer the same
            question.
        ConfigError: There is no such runtime or rule, or the number of threads is below 0.
    """

    def __init__(
        self,
        run: Run | Sequence[Run],
        *,
        runtime: RuntimeName = "auto",
        num_threads: int = 0,
        rule: Rule = "average",
        key_points: str | os.PathLike[str] | None = None,
    ) -> None:
        expect(runtime in RUNTIMES, f"runtime must be one of {', '.join(RUNTIMES)}", runtime)
        NOT_NEGATIVE.check(num_threads, "num_threads")
        num_threads = num_threads or min(os.cpu_count() or 1, 4)
        runs, fused = members_of([run] if isinstance(run, Run) else run, rule)
        bundles = [read_bundle(each) for each in runs]
        expect_alike(
            [each.folder for each in runs],
            [bundle.model for bundle in bundles],
            [bundle.class_names for bundle in bundles],
        )
        self.members = tuple(
            _open(each, bundle, runtime, num_threads)
            for each, bundle in zip(runs, bundles, strict=True)
        )
        for each, model in zip(runs, self.members, strict=True):
            _check_fit(each, model)
            use_carried(each.pose)
        self.bundle, self.fusion = bundles[0], None
        if fused:
            self.fusion = fused.fusion(bundles)
            self.bundle = dataclasses.replace(bundles[0], calibration=fused.calibration)
        self.class_names = self.bundle.class_names
        self.task = task_of(self.bundle.model)
        self.tables = Tables(key_points) if key_points else None

    @classmethod
    def load(
        cls,
        *folders: str | Path,
        runtime: RuntimeName = "auto",
        num_threads: int = 0,
        key_points: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Opens the run in a folder, or several, see the class.

        Example:
            >>> Classifier.load("runs/none")
            Traceback (most recent call last):
            pipeline.errors.DataError: runs/none: no trained model here, config.toml is missing. ...
        """
        runs = [Run(Path(folder)) for folder in folders]
        return cls(runs, runtime=runtime, num_threads=num_threads, key_points=key_points)

    def __repr__(self) -> str:
        sizes = (member.bundle.frames.size for member in self.members)
        sides = " and ".join(f"{size} x {size}" for size in dict.fromkeys(sizes))
        return f"<Classifier of {len(self.class_names)} classes, frames {sides}>"

    @property
    def fingerprint(self) -> str:
        """Changes with all that answers depend on: weights, what they are rounded to, calibration.

        Exports of one model that round nothing have the same.
        """
        if not self.fusion:
            return _mark(self.bundle)
        return _mark([self.fusion, self.bundle, *self.bundles])

    @property
    def bundles(self) -> list[Bundle]:
        """Of each of its runs, what using it takes besides the model."""
        return [member.bundle for member in self.members]

    @property
    def takes_tables(self) -> bool:
        """Whether one of its runs takes key points from tables."""
        return any(bundle.frames.key_points for bundle in self.bundles)

    def logits(self, each: Sequence[Floats]) -> Floats:
        """The logits of all its runs as one, float (..., C), of those of each.

        Raises:
            DataError: A model gives no numbers.
        """
        for member, logits in zip(self.members, each, strict=True):
            member.check(logits)
        return self.fusion.logits(each, self.task) if self.fusion else each[0]

    def scores(self, each: Sequence[Floats]) -> Floats:
        """The scores of answers of all its runs as one, float (...), of those of each."""
        return self.fusion.scores(each) if self.fusion else each[0]

    def predict(
        self,
        video: str | Path | npt.NDArray[np.uint8],
        *,
        fps: float | None = None,
        top: int = 5,
    ) -> Prediction:
        """Classifies one video.

        The frames, and their flow where the model takes it, go the way of the prepared data set,
        JPEG included, and the clip is cut by the same code, so that the answer is the one that
        evaluation gives.

        Args:
            video: A video file; or frames, uint8 (N, H, W, 3), RGB.
            fps: Frames per second of an array; None: as many as the run was trained on.
            top: Number of classes to report, at least 1; more than there are counts as all.

        Raises:
            VideoDecodeError: No frame can be had from the file.
            DataError: The array is not one of frames, or the model gives no numbers.
            ConfigError: `top` is below 1, `fps` is given for a file, or the run has no one answer
                for a video.
        """
        self._expect_one_answer()
        if isinstance(video, np.ndarray):
            fps = self.bundle.frames.fps if fps is None else float(fps)
            clips = [
                cut_clips(encode_array(video, each.frames, fps=fps), each.clip)
                for each in self.bundles
            ]
            return self.describe(
                self.video_logits(clips),
                top=top,
                path="",
                num_frames=len(video),
                fps=fps,
                duration_seconds=len(video) / fps,
                damaged=False,
            )
        if fps is not None:
            raise ConfigError("fps is for arrays: a file has its own")
        clips, info = clips_of(partial(StoredVideo, video, tables=self.tables), self.bundles)
        return self.predict_clips(clips, info, top=top)

    def video_logits(self, clips: Sequence[Sequence[Clip]]) -> Floats:
        """Logits (C,) of a video, by the clips that each of its runs sees."""
        pairs = zip(self.members, clips, strict=True)
        return self.logits([member.video_logits(each) for member, each in pairs])

    def predict_clips(
        self, clips: Sequence[Sequence[Clip]], info: VideoInfo, *, top: int = 5
    ) -> Prediction:
        """Classifies what `pipeline.inference.clips.clips_of` gave of a file."""
        self._expect_one_answer()
        return self.describe(
            self.video_logits(clips),
            top=top,
            path=info.path,
            num_frames=info.num_frames,
            fps=info.fps,
            duration_seconds=info.duration_seconds,
            damaged=info.damaged,
        )

    def describe(self, logits: Floats, *, top: int = 5, **about: Any) -> Prediction:
        """The prediction of logits, float (C,), of a video; `about` is the rest of it.

        Raises:
            ConfigError: `top` is below 1.
        """
        Range(1).check(top, "top")
        calibration = self.bundle.calibration
        probabilities = self.task.probabilities(logits, calibration.temperature)
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.class_names[i], float(probabilities[i])) for i in best)
        score = self.task.score(logits)
        is_exclusive = isinstance(self.task, MultiClass)
        answered = bool(calibration.is_enough(score)) or not is_exclusive
        holds = self.task.holds(probabilities, calibration.class_thresholds) & answered
        # Of a video, background is a class like others.
        background = self.bundle.model.background if self.bundle.model.per_frame else ""
        holding = tuple(
            (name, float(probability))
            for name, probability, held in zip(self.class_names, probabilities, holds, strict=True)
            if held and name != background
        )
        known = bool(holding) or not is_exclusive
        return Prediction(
            label=";".join(name for name, _ in holding) if known else UNKNOWN,
            known=known,
            holding=holding,
            probability=max((probability for _, probability in holding), default=ranked[0][1]),
            max_logit=float(score),
            top=ranked,
            **about,
        )

    def _expect_one_answer(self) -> None:
        """Makes sure that the run is one that says one thing of a video."""
        model = self.bundle.model
        if model.per_frame:
            raise ConfigError(
                f"this run of task {model.task} has no one answer for a video, but one for every "
                "frame. Ask for its timeline: make_timeline, or clipline classify --timeline"
            )


def _open(run: Run, bundle: Bundle, runtime: RuntimeName, num_threads: int) -> ClipModel:
    model = open_model(run, runtime, num_threads=num_threads)
    networks = networks_of(bundle, run, num_threads=num_threads)
    return ClipModel(with_networks(model, networks, bundle), bundle)


def _mark(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def _check_fit(run: Run, model: ClipModel) -> None:
    """Makes sure that a model is that of the configuration beside it."""
    bundle, runtime = model.bundle, model.runtime
    if runtime.path != run.model_file:
        expect_own_export(bundle, runtime.path)
    length = bundle.clip.num_frames
    shapes = {name: (length, *IMAGES[name].shape(bundle.frames)) for name in bundle.model.images}
    fits = runtime.input_shapes == {**shapes, "mask": (length,)}
    if not fits or runtime.num_classes != len(bundle.class_names):
        raise DataError(
            f"{runtime.path}: does not fit the {run.bundle_file.name} beside it. Export it "
            f"again: {run.export_command()}"
        )
