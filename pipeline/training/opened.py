"""A trained run, opened: its configuration, its videos and its model, each read once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras

from pipeline.config import RunConfig
from pipeline.dataset.videos import open_run_data
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run


@dataclasses.dataclass(frozen=True, eq=False)
class OpenedRun:
    """A run with what measuring and exporting it take; after a training, all is in memory already.

    Attributes:
        run: Its folder.
        config: Its configuration.
        data: Its videos, with the splits that it was trained on.
        model: The recogniser that was kept, in float32.
    """

    run: Run
    config: RunConfig
    data: PreparedDataset
    model: keras.Model


def open_run(run: Run, data: Path | None = None) -> OpenedRun:
    """Opens a trained run.

    Args:
        run: Its folder.
        data: Where its data set is, if it was moved since the run was trained.

    Raises:
        DataError: The run or its data set cannot be used.
    """
    config, videos = run.config(), open_run_data(run, data)
    model = load_recognizer(run.model_file, config, len(videos.class_names))
    return OpenedRun(run, config, videos, model)
