"""Two runs that were evaluated once for all modules."""

import dataclasses
import functools
import shutil

import numpy as np
import pytest

from pipeline.config import EvaluateConfig
from pipeline.config.file import save_config
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, write_calibration
from pipeline.video import write_video
from tests.conftest import prepared

PAIRS = EvaluateConfig(order_pairs=(("left", "right"),))


def copy_of(run, folder, **changes):
    """A copy of a run, its configuration changed."""
    copy = Run(shutil.copytree(run.folder, folder))
    save_config(dataclasses.replace(run.config(), **changes), copy.config_file)
    return copy


def evaluate_splits(run, folder):
    from pipeline.evaluation.evaluate import evaluate

    run = copy_of(run, folder / "a <b>run", evaluate=PAIRS)
    for split in ("test", "train", "val"):
        evaluate(run, split)


@pytest.fixture(scope="session")
def evaluated(hasty_run, made):
    """A run that makes mistakes, evaluated on all splits; not to be changed."""
    folder = made("evaluated", lambda folder: evaluate_splits(hasty_run, folder))
    return Run(folder / "a <b>run")


def prepare_strangers(blob_videos, folder):
    videos = folder / "videos"
    shutil.copytree(blob_videos / "left", videos / "left")
    (videos / "noise").mkdir()
    rng = np.random.default_rng(0)
    for name in ("g00 7", "g05 7", "new_g77 7", "new_g78 7"):
        frames = rng.integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
        write_video(videos / "noise" / f"{name}.avi", frames, fps=10, codec="FFV1")
    prepared("folder", videos, folder / "store", group_regex=r"g\d+")


@pytest.fixture(scope="session")
def strangers(blob_videos, made):
    """A folder with `videos` of the class `left` and of noise, and a `store` of these.

    One of the noise is of a group that `blob_run` was trained on.
    """
    return made("strangers", lambda folder: prepare_strangers(blob_videos, folder))


def evaluate_with_strangers(run, strangers, folder):
    from pipeline.evaluation.evaluate import evaluate

    run = copy_of(run, folder, evaluate=PAIRS)
    write_calibration(run, Calibration(logit_threshold=99.0, num_videos=1))
    (run.report / "test_mistake_9.jpg").write_bytes(b"of an evaluation before")
    evaluate(run, unknown=strangers / "store")


@pytest.fixture(scope="session")
def evaluated_right(blob_run, strangers, made):
    """A run that makes no mistakes, evaluated with videos of a class that it does not know."""

    make = functools.partial(evaluate_with_strangers, blob_run, strangers)
    return Run(made("evaluated right", make))
