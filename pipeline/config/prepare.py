"""Every choice of how videos become a prepared data set."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pipeline.config import FramesConfig, expect
from pipeline.config.values import Positive, Probability, Range, Seed, Share, check_ranges
from pipeline.video.info import MOST_PIXELS, Limits

SourceName = Literal[
    "demo",
    "demo_recordings",
    "folder",
    "csv",
    "list",
    "events",
    "ucf101",
    "hmdb51",
    "kinetics",
    "something_something",
    "jester",
    "kth",
    "ut_interaction",
]

_RECORDINGS = "data/demo_recordings"

OPTIONS = {"holds": "options"}
"""Of a field that is itself options of another program."""

RENDERED: tuple[SourceName, ...] = ("demo", "demo_recordings")
_OWN_VIDEOS = (
    "path",
    "videos",
    "point_seconds",
    "modifiers",
    "tiers",
    "subjects",
    "not_annotated",
    "multilabel",
    "annotations",
    "group_regex",
    "test_groups",
    "val_fraction",
    "test_fraction",
    "folds",
    "fold",
    "key_points",
    "check",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Settings of a prepared data set: its videos, splits, frames, and how it is made.

    Attributes:
        source: Where videos and labels come from. `demo`: videos that are rendered.
            `demo_recordings`: long ones, with events. `folder`: a folder with a sub-folder of
            videos for each class. `csv`: a table with the columns path, label and, if need be,
            group, split, start_seconds and end_seconds. `list`: text files of paths and labels.
            `events`: what was marked in long videos with BORIS, ELAN, VIA or Label Studio, or in a
            table, see data/README.md. The others are public data sets, see there, too.
        path: Folder of the videos. For `csv` and `list`, the file; for `events`, the file or a
            folder of files. The demo needs none.
        videos: For `events`, the folder of the videos. Without it they lie beside the events.
        point_seconds: For `events`, length of those that were marked at a single time, around it.
            0: they are left out.
        modifiers: For `events`, whether modifiers of BORIS are a part of the label.
        tiers: For `events`, tiers of ELAN to read, with commas between them. Without it all.
        subjects: For `events`, whether the events of each subject are a recording of their own.
        background: For `events`, the class of what no event covers. '': none; where one class holds
            at a time, nothing is then known of such frames.
        not_annotated: For `events`, labels of stretches of which nothing is known, with commas
            between them. They count neither in training nor in scores.
        cut_events: For `events`, whether each event is stored as a video of its own, with one
            label. Without it recordings are stored whole, with the labels of each frame.
        multilabel: For `csv`, whether a label may be several, with semicolons between them, or
            none.
        annotations: Lists that come with a public data set, or the class names of a `list`. Without
            it they are looked for beside the videos.
        download: First fetch the data set into the folder of --path. For ucf101.
        out: Folder of the prepared data set.
        classes: Take only these classes: names with commas between them. Double quotes hold a name
            with a comma in it. Without it all classes are taken.
        group_regex: Pattern of the part of a path that names the group of a video, such as the
            person or the source video. Videos of one group never cross splits. Of a pattern with
            parentheses, what is in the first ones counts. Without it the group is the folder of the
            video, or, directly below the class, the file itself.
        test_groups: Groups that make up the test split, with commas between them. Without it the
            split of the source is taken, or else a share of --test-fraction is drawn.
        val_fraction: Share of the videos for validation. Validation stops
            training early, keeps the best epoch and lets you compare settings; it takes videos
            away from training, which counts where there are few.
        test_fraction: Share of the videos for the test.
        folds: Cut the groups into this many folds, of which --fold is the test split. `groups`: a
            fold is a group. 0: no folds.
        fold: Number of the fold that is the test split, or of the official split, from 1. 0: the
            first, or all videos of a data set that can go without.
        fps: Frames per second of video time that are stored. 0 leaves the choice
            to Clipline: 15, or, of slower videos, as many as nearly all of them have, so that few
            repeat frames.
        size: Height and width of the stored frames in pixels.
        jpeg_quality: Of the stored frames.
        flow: Store the optical flow from frame to frame as well, for `model.streams` with flow.
            It takes about half as much space again, and 2 ms a frame at 64 pixels, 5 ms at 112, to
            prepare as to classify.
        pose: Store the key points of people as well, for `model.streams` with pose. It takes the
            models of `clipline fetch pose`, and 20 to 30 ms a frame, to prepare as to classify.
        key_points: Folder of tables of key points that DeepLabCut or SLEAP found, of animals or
            people, one a video, in place of --pose.
        people: How many people, or animals, a frame has key points of, at most.
        min_frames: Stored frames of a video, at least; a shorter video is left out.
        seed: Of the split and of the demo videos.
        check: Read all videos and report on them, but prepare nothing. The exit code is 1 if
            preparing them would stop, for leaks or too many bad videos.
        allow_leaks: Go on where videos of the test are also in training; metrics will say so.
        max_bad_fraction: Share of videos that may be left out. If there are more, nothing
            is changed.
        max_pixels: Of a frame. A file whose header says that it has more is left out
            before anything of it is decoded, which takes 10 bytes a pixel.
        prune: Remove stored frames that no video of the data set needs any more.
        frames: Another data set, or its folder of frames: what is stored there in the same way is
            taken from it. Data sets beside --out are looked at in any case.
        seconds_per_video: Time after which the decoding of a video is given up.
        runner: `local` processes, or Apache `beam` for a cluster (pip install -e '.[beam]').
        beam_options: What Beam's runner needs, such as "--runner=FlinkRunner".
        workers: Processes that decode; 0 is one per processor core.
        overwrite: Replace a data set of other videos, or of more classes.
    """

    source: SourceName = "demo"
    path: str = ""
    videos: str = ""
    point_seconds: Annotated[float, Range(0, 3600)] = 0.0
    modifiers: bool = False
    tiers: tuple[str, ...] = ()
    subjects: bool = False
    background: str = "background"
    not_annotated: tuple[str, ...] = ()
    cut_events: bool = False
    multilabel: bool = False
    annotations: str = ""
    download: bool = False
    out: str = "data/demo"
    classes: tuple[str, ...] = ()
    group_regex: str = ""
    test_groups: tuple[str, ...] = ()
    val_fraction: Share = 0.0
    test_fraction: Share = 0.15
    folds: int | Literal["groups"] = 0
    fold: Annotated[int, Range(0)] = 0
    fps: Annotated[float, Range(0, 1000)] = 0.0
    size: Annotated[int, Range(8, 4096)] = 64
    jpeg_quality: Annotated[int, Range(1, 100)] = 95
    flow: bool = False
    pose: bool = False
    key_points: str = ""
    people: Annotated[int, Range(1, 8)] = 2
    min_frames: Annotated[int, Range(1)] = 1
    seed: Seed = 0
    check: bool = False
    allow_leaks: bool = False
    max_bad_fraction: Probability = 0.05
    max_pixels: Annotated[int, Range(1)] = MOST_PIXELS
    prune: bool = False
    frames: str = ""
    seconds_per_video: Positive = 600.0
    runner: Literal["local", "beam"] = "local"
    beam_options: str = dataclasses.field(default="", metadata=OPTIONS)
    workers: Annotated[int, Range(0)] = 0
    overwrite: bool = False

    @property
    def is_rendered(self) -> bool:
        """Whether the videos are rendered, and lie in `out`."""
        return self.source in RENDERED

    @property
    def official_fold(self) -> int:
        """Which of the splits that a public data set comes with; 0: it is not said."""
        return 0 if self.folds else self.fold  # else it is the number of one of the folds

    @property
    def stored(self) -> FramesConfig:
        """Rate, size and quality of the stored frames, and what is stored beside them.

        The rate is 0 where it is still to be chosen, see `pipeline.prepare.rate`.
        """
        return FramesConfig(
            fps=self.fps,
            size=self.size,
            jpeg_quality=self.jpeg_quality,
            flow=self.flow,
            pose=self.people if self.pose else 0,
        )

    @property
    def limits(self) -> Limits:
        """Of how large a frame may be."""
        return Limits(pixels=self.max_pixels, raised_by="--max-pixels")

    def __post_init__(self) -> None:
        if self.source == "demo_recordings" and self.out == PrepareConfig.out:
            object.__setattr__(self, "out", _RECORDINGS)
        self._check_source()
        self._check_split()
        check_ranges(self, _option)
        takes = "--key-points takes the place of --pose: leave one out"
        expect(not (self.pose and self.key_points), takes, self.key_points)
        expect(
            self.runner == "beam" or not self.beam_options,
            "--beam-options are for --runner beam",
            self.beam_options,
        )
        expect(
            self.beam_options.lstrip()[:1] in ("", "-"),
            '--beam-options must be options of Beam, such as "--runner=FlinkRunner"',
            self.beam_options,
        )

    def _check_source(self) -> None:
        if self.is_rendered:
            for name in _OWN_VIDEOS:
                value = getattr(self, name)
                expect(
                    value == getattr(PrepareConfig, name),
                    f"{_option(name)} is for your own videos: add --source folder",
                    value,
                )
        expect(
            not self.is_rendered or not self.classes or self.out not in ("data/demo", _RECORDINGS),
            f"--classes needs --out: {self.out} is the demo with all its classes",
            self.out,
        )
        expect(
            self.is_rendered or bool(self.path),
            f"--source {self.source} needs --path, {_what(self.source)}",
            self.path,
        )
        expect(
            self.out != "" and (self.is_rendered or self.check or self.out != "data/demo"),
            f"--source {self.source} needs --out, the folder of the data set, such as data/NAME",
            self.out,
        )
        expect(
            not self.download or self.source == "ucf101",
            "--download is for --source ucf101; data/README.md says how to get the others",
            self.source,
        )

    def _check_split(self) -> None:
        if self.folds:
            expect(
                self.folds == "groups" or self.folds >= 2,
                "--folds must be at least 2, or groups",
                self.folds,
            )
            expect(
                self.folds == "groups" or self.fold <= self.folds,
                f"--fold must be at most --folds, which is {self.folds}",
                self.fold,
            )
            expect(
                not self.test_groups,
                "--folds chooses the test groups itself: leave --test-groups out",
                self.test_groups,
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _what(source: str) -> str:
    files = {
        "csv": "the table",
        "list": "the text file, or the folder of several",
        "events": "the file of events, or the folder of several",
    }
    return files.get(source, "the folder of the videos")
