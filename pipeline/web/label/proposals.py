"""What a run proposes for a recording: its timeline, to be accepted or rejected."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from pipeline.inference.timeline import make_timeline
from pipeline.labelling.learning import Proposal
from pipeline.manifest.class_names import UNKNOWN
from pipeline.video.paths import file_mark
from pipeline.web.opened import Opened, OpenedRuns

_MOST_KEPT: Final = 200


class Proposals:
    """What the runs of a workspace propose, kept while the server runs. Threads may share it.

    Args:
        runs: The runs.
    """

    def __init__(self, runs: OpenedRuns) -> None:
        self._runs = runs
        self._kept: OrderedDict[tuple[str, str], list[Proposal]] = OrderedDict()

    def runs(self) -> list[str]:
        """Names of the runs that can propose, the latest first."""
        return self._runs.names()

    def propose(self, path: Path, run: str) -> list[Proposal]:
        """What a run finds in a recording, in order of time.

        Raises:
            DataError: There is no such run, or it cannot be used.
            VideoDecodeError: The recording cannot be read.
        """
        with self._runs.use(run) as opened:
            key = file_mark(path), opened.classifier.fingerprint
            if key not in self._kept:
                self._kept[key] = _found(opened, path)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]


def _found(opened: Opened, path: Path) -> list[Proposal]:
    timeline = make_timeline(opened.classifier, path, open_video=opened.decoder.open_video)
    nothing = (UNKNOWN, timeline.background)
    return [
        Proposal(each.start_seconds, each.end_seconds, each.label, each.probability)
        for each in timeline.segments
        if each.label not in nothing
    ]


def as_json(proposals: list[Proposal]) -> list[dict[str, Any]]:
    """The same as JSON types."""
    return [
        {
            "start": round(each.start, 3),
            "end": round(each.end, 3),
            "label": each.label,
            "probability": round(each.probability, 4),
        }
        for each in proposals
    ]
