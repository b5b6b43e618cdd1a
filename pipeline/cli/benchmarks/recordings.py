"""Timelines of test recordings by a run of any task, against their events."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.cli.script import Parser, named_run
from pipeline.dataset.recordings import recording_labels
from pipeline.errors import DataError
from pipeline.evaluation.recordings import Recording
from pipeline.evaluation.results import score_recordings
from pipeline.evaluation.views import result_text
from pipeline.inference.classifier import Classifier
from pipeline.inference.timeline import Timeline, make_timeline
from pipeline.prepare.prepared import open_prepared

EXPLANATION = """\
The timelines of the {number} test recordings, as clipline classify --timeline gives them, against
what a person marked. What is in no segment of a timeline, or unknown, is background. Average
precision is of these answers, which are yes or no.
"""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser(
        "Timelines of test recordings against their events.",
        "benchmark recordings",
        "--run runs/NAME --data data/RECORDINGS",
    )
    parser.add_run()
    parser.add_argument(
        "--data", required=True, help="A data set of recordings: its test recordings are taken."
    )
    options = parser.parse(arguments)
    run, store = named_run(options), open_prepared(options.data)
    if store.labelling != "frames" or "test" not in store.num_videos:
        raise DataError(
            f"{store.path}: expected a data set of recordings, some of them for the test"
        )
    print(EXPLANATION.format(number=store.num_videos["test"]))
    classifier, found = Classifier(run), []
    clips = store.of_split("test")
    labelled = zip(clips, recording_labels(store, clips), strict=True)
    for record, labels in labelled:
        timeline = make_timeline(classifier, Path(record.row.path))
        answers = frame_answers(timeline, len(labels), store.frames.fps, store.class_names)
        if store.background:
            answers[~answers.any(axis=1), store.class_names.index(store.background)] = True
        name, group = record.name, record.row.group
        found.append(Recording(name, group, store.frames.fps, labels, answers / 1, answers))
    exclusive = not store.has_overlaps
    result = score_recordings(
        found, store.class_names, background=store.background, exclusive=exclusive
    )
    print(result_text(result, "test"))


def frame_answers(
    timeline: Timeline, num_frames: int, fps: float, class_names: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """The classes of a timeline at each frame, bool (N, C); those that are not asked for go."""
    answers = np.zeros((num_frames, len(class_names)), np.bool_)
    for segment in timeline.segments:
        if segment.label in class_names:
            span = slice(round(segment.start_seconds * fps), round(segment.end_seconds * fps))
            answers[span, class_names.index(segment.label)] = True
    return answers
