"""The runs that a server answers with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException

from pipeline.errors import ConfigError
from pipeline.inference.classifier import Classifier
from pipeline.inference.decoding import Decoder
from pipeline.inference.timeline import make_timeline
from pipeline.text import listed, suggestion

_DEFAULT_TOP: Final = 5


@dataclasses.dataclass(frozen=True)
class Model:
    """A run that answers.

    Attributes:
        name: What requests call it: the name of its folder.
        classifier: The run.
    """

    name: str
    classifier: Classifier

    @property
    def path(self) -> str:
        """Where it answers for a video."""
        return "/v1/timeline" if self.per_frame else "/v1/classify"

    @property
    def per_frame(self) -> bool:
        """Whether it answers at each frame, and has no one answer for a video."""
        return self.classifier.bundle.model.per_frame

    def classify(
        self, decoder: Decoder, path: Path, shown: str, top: int = _DEFAULT_TOP
    ) -> dict[str, Any]:
        """The answer for a video, as `Prediction.as_json` gives it.

        Args:
            decoder: What reads it.
            path: The file.
            shown: What the answer calls it.
            top: See `Classifier.predict`.
        """
        found = decoder.clips(path, self.classifier.bundles)
        prediction = self.classifier.predict_clips(found.clips, found.info, top=top)
        return dataclasses.replace(prediction, path=shown).as_json()

    def timeline(
        self,
        decoder: Decoder,
        path: Path,
        shown: str,
        window: float | None = None,
        overlap: float | None = None,
    ) -> dict[str, Any]:
        """What happens when in a video, as `Timeline.as_json` gives it; arguments as `classify`."""
        timeline = make_timeline(
            self.classifier,
            path,
            window_seconds=window,
            overlap=overlap,
            open_video=decoder.open_video,
        )
        return dataclasses.replace(timeline, path=shown).as_json()

    def as_json(self) -> dict[str, Any]:
        """What it is, as JSON types."""
        model = self.classifier.bundle.model
        return {
            "name": self.name,
            "classes": list(self.classifier.class_names),
            "task": model.task,
            "answers": "frames" if self.per_frame else "video",
            "fused": len(self.classifier.members) if self.classifier.fusion else 0,
            "fingerprint": self.classifier.fingerprint,
        }


class Models:
    """Runs by the names of their folders.

    Args:
        models: The runs.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def named(self, name: str | None) -> Model:
        """The run of a name; without one, the only run.

        Raises:
            HTTPException: 404, there is none of that name; 400, there are several and none is
                named.
        """
        if name is None:
            if len(self._models) > 1:
                names = listed(self._models)
                raise HTTPException(400, f"there are several runs: add ?run= and one of {names}")
            return next(iter(self))
        if name not in self._models:
            raise HTTPException(404, f"no run {name} here. {suggestion(name, self._models)}")
        return self._models[name]

    def of_path(self, name: str, version: str = "") -> Model:
        """The run that a path names, with its fingerprint as the version or without.

        Raises:
            HTTPException: 404, there is none of that name, or it has another version.
        """
        model = self.named(name)
        if version not in ("", model.classifier.fingerprint):
            raise HTTPException(
                404, f"{name} has the version {model.classifier.fingerprint} alone, not {version}"
            )
        return model


def open_models(folders: Sequence[Path]) -> Models:
    """Opens runs, of which each computes a clip on one core.

    Raises:
        DataError: One was not trained or exported.
        ConfigError: Two have the same name, or one takes tables of key points.
    """
    found: dict[str, Model] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in found:
            raise ConfigError(
                f"two runs are called {name}, and requests choose them by the names of their "
                "folders. Rename one"
            )
        classifier = Classifier.load(folder, num_threads=1)
        if classifier.takes_tables:
            raise ConfigError(
                f"{folder}: takes key points from tables, which do not come with a video. Serve "
                "another run"
            )
        found[name] = Model(name, classifier)
    return Models(list(found.values()))
