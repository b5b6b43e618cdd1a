"""What a run says of a file that was dropped, kept for as long as the file is."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, Final

from pipeline.errors import DataError
from pipeline.inference.annotate import annotate
from pipeline.inference.prediction import Prediction
from pipeline.inference.timeline import Timeline, make_timeline
from pipeline.inference.timeline_files import write_timeline
from pipeline.manifest.class_names import UNKNOWN
from pipeline.web.opened import Opened

DOWNLOADS: Final = (
    *(".json", ".csv", ".srt", ".png", ".boris.tsv", ".eaf", ".via.json", ".label-studio.json"),
    *(".bouts.csv", ".mp4"),
)
"""How the names of files end that a timeline is written to; `.mp4`: the video with it drawn in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run says of a video.

    Attributes:
        run: Name of the run.
        name: What the video is called.
        timeline: What happens when.
        prediction: What it shows as a whole; None: the run answers at every frame.
    """

    run: str
    name: str
    timeline: Timeline
    prediction: Prediction | None

    def as_json(self) -> dict[str, Any]:
        """What the page shows, as JSON types."""
        nothing = (UNKNOWN, self.timeline.background)
        events = [
            {
                "start": round(each.start_seconds, 3),
                "end": round(each.end_seconds, 3),
                "label": each.label,
                "probability": round(each.probability, 4),
            }
            for each in self.timeline.segments
            if each.label not in nothing
        ]
        prediction = self.prediction and {"text": str(self.prediction), **self.prediction.as_json()}
        return {
            "run": self.run,
            "name": self.name,
            "classes": [each for each in self.timeline.class_names if each not in nothing],
            "events": events,
            "prediction": prediction,
            "damage": self.timeline.info.damage,
        }


def answer(opened: Opened, path: Path, name: str) -> Answer:
    """What a run says of a file.

    Raises:
        VideoDecodeError: No frame can be had from it.
        DataError: The model gives no numbers.
    """
    classifier, decoder = opened.classifier, opened.decoder
    prediction = None
    if not classifier.bundle.model.per_frame:
        found = decoder.clips(path, classifier.bundles)
        prediction = classifier.predict_clips(found.clips, found.info)
        prediction = dataclasses.replace(prediction, path=name)
    timeline = make_timeline(classifier, path, open_video=decoder.open_video)
    return Answer(run=opened.run.folder.name, name=name, timeline=timeline, prediction=prediction)


def written(found: Answer, opened: Opened, end: str) -> bytes:
    """A timeline as a file whose name ends so, see `DOWNLOADS`.

    Raises:
        DataError: There is no such format.
    """
    if end not in DOWNLOADS:
        raise DataError(f"expected a format of {', '.join(DOWNLOADS)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"out{end}"
        if end == ".mp4":  # of the file itself
            each = [bundle.frames for bundle in opened.classifier.bundles]
            annotate(found.timeline, path, each=each)
        else:
            write_timeline(dataclasses.replace(found.timeline, path=found.name), path)
        return path.read_bytes()
