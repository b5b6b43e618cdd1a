"""What a run proposes for a recording: its timeline, to be accepted or rejected."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, Self

from pipeline.errors import DataError
from pipeline.inference.classifier import Classifier
from pipeline.inference.decoding import Decoder
from pipeline.inference.timeline import make_timeline
from pipeline.manifest.class_names import UNKNOWN
from pipeline.run import RUNS, Run
from pipeline.web.label.recordings import file_mark

_MOST_KEPT: Final = 200


@dataclasses.dataclass(frozen=True)
class Proposal:
    """An event that a run finds.

    Attributes:
        start: Seconds from the first frame on.
        end: Where it ends.
        label: Class name.
        probability: Mean probability of the class within it.
    """

    start: float
    end: float
    label: str
    probability: float


class Proposals:
    """What the runs of a workspace propose; a context manager. Threads may share it.

    One recording is read at a time, in a process of its own. What was found is kept while the
    server runs.

    Args:
        root: The folder of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._decoder = Decoder()
        self._opened: tuple[str, Classifier] | None = None
        self._kept: OrderedDict[tuple[str, str], list[Proposal]] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.stop()
        with self._lock:
            self._decoder.close()

    def runs(self) -> list[str]:
        """Names of the runs that can propose, the latest first."""
        folder = self._root / RUNS
        found = [each for each in folder.glob("*") if _can_classify(Run(each))]
        return [each.name for each in sorted(found, key=lambda each: -each.stat().st_mtime)]

    def propose(self, path: Path, run: str) -> list[Proposal]:
        """What a run finds in a recording, in order of time.

        Raises:
            DataError: There is no such run, or it cannot be used.
            VideoDecodeError: The recording cannot be read.
        """
        if run not in self.runs():
            raise DataError(f"{run}: there is no such run that can classify. Train one")
        with self._lock:
            classifier = self._classifier(run)
            key = file_mark(path), classifier.fingerprint
            if key not in self._kept:
                self._kept[key] = self._found(classifier, path)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]

    def _classifier(self, run: str) -> Classifier:
        folder = self._root / RUNS / run
        mark = f"{run} {folder.stat().st_mtime_ns}"
        if not self._opened or self._opened[0] != mark:
            self._opened = mark, Classifier(Run(folder))
        return self._opened[1]

    def _found(self, classifier: Classifier, path: Path) -> list[Proposal]:
        timeline = make_timeline(classifier, path, open_video=self._decoder.open_video)
        nothing = (UNKNOWN, timeline.background)
        return [
            Proposal(
                round(each.start_seconds, 3),
                round(each.end_seconds, 3),
                each.label,
                round(each.probability, 4),
            )
            for each in timeline.segments
            if each.label not in nothing
        ]


def as_json(proposals: list[Proposal]) -> list[dict[str, Any]]:
    """The same as JSON types."""
    return [dataclasses.asdict(each) for each in proposals]


def _can_classify(run: Run) -> bool:
    return run.bundle_file.is_file() or run.fusion_file.is_file()
