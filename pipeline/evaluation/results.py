"""Results of evaluation, typed: `metrics.json`, text for a terminal and pages show them.

`as_json` says how each is written; `views` shows them to people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from pipeline.atomic import write_json
from pipeline.config.model import TaskName
from pipeline.evaluation.frame_scores import FrameScores, LabelScores, frame_scores
from pipeline.evaluation.metrics import Accuracy, ClassScores, Macro, PairScores, Tenth
from pipeline.evaluation.recordings import BoutScores, Recording, bouts, summary
from pipeline.evaluation.segmental import SegmentScores, segment_scores
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration

AMONG: Final = {"among": True}
"""Metadata of a field whose own fields stand among the others in JSON."""


def as_json(result: Any) -> Any:
    """A result as JSON types: a field that is None or empty by default is left out where it is."""
    if isinstance(result, Calibration):
        return result.as_json()
    if isinstance(result, Mapping):
        return {name: as_json(value) for name, value in result.items()}
    if isinstance(result, list | tuple):
        return [as_json(value) for value in result]
    if not dataclasses.is_dataclass(result):
        return result
    found: dict[str, Any] = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.default in (None, ()) and value == field.default:
            continue
        content = as_json(value)
        found |= content if field.metadata == AMONG else {field.name: content}
    return found


def write_metrics(run: Run, split: Split, result: Scores | FusedResult) -> None:
    """Keeps a result in `metrics.json` of a run, beside those for other splits."""
    write_json(run.metrics_file, {**run.metrics(), split: as_json(result)})


class Score(NamedTuple):
    """A score by which runs are compared.

    Attributes:
        name: Of it, as in `metrics.json`.
        value: 0 to 1, the higher the better; None where no class is there.
        interval95: Its 95 % interval over groups; None: there is none.

    Example:
        >>> Score("mean_average_precision", 0.9123).text
        'mean average precision 0.912'
    """

    name: str
    value: float | None
    interval95: Sequence[float] | None = None

    @property
    def title(self) -> str:
        """Its name in words."""
        return score_title(self.name)

    @property
    def text(self) -> str:
        """Its value with its title."""
        return f"{self.title} {'–' if self.value is None else format(self.value, '.3f')}"


def score_title(name: str) -> str:
    """The name of a score in words.

    Example:
        >>> score_title("f1_50"), score_title("mean_average_precision")
        ('F1@50', 'mean average precision')
    """
    titles = {"f1_50": "F1@50", "top1": "top-1"}
    return titles.get(name, name.replace("_", " "))


def main_name(task: TaskName) -> str:
    """The name of the main score of a task that is known, not `auto`."""
    one: dict[TaskName, str] = {"video": "top1", "frames": "accuracy"}
    return one.get(task, "mean_average_precision")


def main_score(result: Mapping[str, Any]) -> Score | None:
    """The main score of a result as JSON has it; None: nothing was tested.

    Example:
        >>> main_score({"video": {"top1": 0.9, "top1_interval95": None}})
        Score(name='top1', value=0.9, interval95=None)
    """
    for level in ("video", "videos", "frames"):
        if scores := result.get(level):
            is_one = scores.get("exclusive", False)
            several = "accuracy" if is_one else "mean_average_precision"
            name = "top1" if level == "video" else several
            return Score(name, scores.get(name), scores.get(f"{name}_interval95"))
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoScores:
    """Of videos with one label each.

    Attributes:
        video: Of whole videos.
        per_class: By class.
        chance: The accuracy of always giving the most frequent class.
        num_videos: How many.
        num_groups: Of how many groups.
        leaks: Between splits: the figures are not to be believed.
    """

    video: Accuracy
    per_class: Mapping[str, ClassScores]
    chance: float
    num_videos: int
    num_groups: int
    leaks: Sequence[str] = ()

    @property
    def main(self) -> Score:
        """By which runs are compared: top-1."""
        return Score("top1", self.video.top1, self.video.top1_interval95)

    @property
    def named(self) -> dict[str, float | None]:
        """Scores that are told of each run of an experiment, by name; the main one is the first."""
        return {"top1": self.video.top1}


@dataclasses.dataclass(frozen=True)
class CalibrationScores:
    """What the probabilities of a run of task video are worth.

    Attributes:
        fitted: The calibration.
        error_before: Expected calibration error without it.
        error_after: With it.
        answered: Share of the videos that get an answer, not "unknown".
        top1_answered: Share of these that are answered rightly; None where there are none.
        reliability: How often answers of about one probability are right.
    """

    fitted: Calibration = dataclasses.field(metadata=AMONG)
    error_before: float
    error_after: float
    answered: float
    top1_answered: float | None
    reliability: Sequence[Tenth]


@dataclasses.dataclass(frozen=True)
class LengthScore:
    """Top-1 of one clip a video that has so many frames at most."""

    num_frames: int
    top1: float


@dataclasses.dataclass(frozen=True)
class OrderScores:
    """Top-1 of videos by the order of the frames within a clip; and of pairs, if there are any."""

    in_order: float
    shuffled: float
    reversed: float
    pairs: PairScores | None = None


@dataclasses.dataclass(frozen=True)
class UnknownScores:
    """How well videos of classes that a run does not know are told from others.

    Attributes:
        num_videos: How many.
        classes: Their classes.
        auroc: See `metrics.separation`.
        rejected: Share of them that are answered with "unknown".
    """

    num_videos: int
    classes: Sequence[str]
    auroc: float
    rejected: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoResult(VideoScores):
    """The evaluation of a run of task video.

    Attributes:
        clip: Accuracy of single clips.
        num_views: Clips a video.
        macro: Means over classes.
        calibration: What its probabilities are worth.
        lengths: By number of frames in a clip.
        order: By the order of frames.
        unknown: Of videos of other classes, if any were given.
    """

    clip: Accuracy
    num_views: int
    macro: Macro
    calibration: CalibrationScores
    lengths: Sequence[LengthScore]
    order: OrderScores
    unknown: UnknownScores | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelResult:
    """Of videos that may have several labels each.

    Attributes:
        videos: The scores.
        calibration: Of the run; None: of several runs.
        leaks: See `VideoScores`.
    """

    videos: LabelScores
    calibration: Calibration | None = None
    leaks: Sequence[str] = ()

    @property
    def main(self) -> Score:
        """By which runs are compared: the mean average precision."""
        return Score("mean_average_precision", self.videos.mean_average_precision)

    @property
    def named(self) -> dict[str, float | None]:
        """See `VideoScores.named`."""
        return {self.main.name: self.main.value}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingResult:
    """Of answers at every frame of recordings.

    Attributes:
        frames: By frame.
        segments: By segment.
        bouts: Bouts of human and machine.
        calibration: Of the run; None: of several runs.
        leaks: See `VideoScores`.
    """

    frames: FrameScores
    segments: SegmentScores
    bouts: BoutScores
    calibration: Calibration | None = None
    leaks: Sequence[str] = ()

    @property
    def main(self) -> Score:
        """By which runs are compared: accuracy, or mean average precision of several classes."""
        frames = self.frames
        if frames.exclusive:
            return Score("accuracy", frames.accuracy, frames.accuracy_interval95)
        return Score("mean_average_precision", frames.mean_average_precision)

    @property
    def named(self) -> dict[str, float | None]:
        """See `VideoScores.named`."""
        segments = {"f1_50": self.segments.f1_50, "edit": self.segments.edit}
        return {self.main.name: self.main.value, **segments}


def score_recordings(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    background: str = "",
    exclusive: bool,
) -> RecordingResult:
    """All scores of recordings.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        background: The class of what no event covers; empty if there is none.
        exclusive: Whether classes exclude each other, so that one is right at each frame.

    Raises:
        DataError: Nothing is known of any frame.
    """
    number = class_names.index(background) if background else None
    return RecordingResult(
        frames=frame_scores(recordings, class_names, background=background, exclusive=exclusive),
        segments=segment_scores(recordings, background=number, exclusive=exclusive),
        bouts=summary(bouts(recordings, class_names, background=background, exclusive=exclusive)),
    )


Scores: TypeAlias = VideoScores | LabelResult | RecordingResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedResult:
    """Scores of several runs, each alone and all together.

    Attributes:
        scores: Of all together.
        task: What was asked.
        num_videos: How many videos, or recordings.
        num_groups: Of how many groups.
        runs: Scores of each, by its folder.
        rule: How their answers become one.
        gained: Of task video: how many videos are right that the best run alone has wrong.
        lost: The other way round.
    """

    scores: Scores = dataclasses.field(metadata=AMONG)
    task: str
    num_videos: int
    num_groups: int
    runs: Mapping[str, Scores]
    rule: str
    gained: int | None = None
    lost: int | None = None


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a run of an experiment gave, as `fold.json` of its folder holds it.

    Attributes:
        scores: By name, see `VideoScores.named`.
        seconds: That it took in all.
    """

    scores: Mapping[str, float | None] = dataclasses.field(metadata=AMONG)
    seconds: float

    @property
    def main(self) -> Score:
        """The score by which runs are compared."""
        return Score(*next(iter(self.scores.items())))


@dataclasses.dataclass(frozen=True)
class FoldResult:
    """What a fold gave: its number from 1, its test videos, its scores."""

    fold: int
    num_videos: int
    measured: Measured = dataclasses.field(metadata=AMONG)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossvalResult:
    """A cross-validation, as `crossval.json` holds it.

    Attributes:
        main_score: Name of the score by which runs of the task are compared.
        folds: Of each fold.
        fold_mean: Mean of each score over folds; None where no fold has one.
        fold_standard_deviation: Its standard deviation; None with fewer than two folds.
        seconds: Of all folds, those of earlier calls as well.
        scores: Of all videos together.
        leaks: Of all folds: the figures are not to be believed.
    """

    main_score: str
    folds: Sequence[FoldResult]
    fold_mean: Mapping[str, float | None]
    fold_standard_deviation: Mapping[str, float | None]
    seconds: float
    scores: Scores = dataclasses.field(metadata=AMONG)
    leaks: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChosenResult:
    """A cross-validation in which a recipe was chosen for each fold, as `crossval.json` holds it.

    Attributes:
        main_score: Name of the score by which runs of the task are compared.
        scores: Of all videos together.
        chosen: Names of the recipes of each fold.
        seconds: Of all.
    """

    main_score: str
    scores: Scores = dataclasses.field(metadata=AMONG)
    chosen: Sequence[Sequence[str]]
    seconds: float


@dataclasses.dataclass(frozen=True)
class VariantResult:
    """A variant of an ablation.

    Attributes:
        variant: Its title.
        scores: By name, see `VideoScores.named`.
        difference: Of the main one to that of the configuration itself.
        low: Lower end of its 95 % interval over groups, of task video in folds.
        high: Upper end.
        seconds: That it took.
    """

    variant: str
    scores: Mapping[str, float | None] = dataclasses.field(metadata=AMONG)
    difference: float | None
    low: float | None
    high: float | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class TriedResult:
    """A recipe that was tried.

    Attributes:
        recipe: Its name.
        score: The main score, of videos that were held out; None: it was not measured.
        interval95: Of it, if there is any.
        folds: How many folds were tried.
        seconds: In how many seconds.
        status: Whether it was chosen, or why it was given up.
    """

    recipe: str
    score: float | None
    interval95: Sequence[float] | None
    folds: int
    seconds: float
    status: str
