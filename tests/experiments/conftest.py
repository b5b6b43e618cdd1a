"""Runs of experiments with drawn weights: how they learn, and what all is measured, counts not."""

import shutil
from contextlib import contextmanager

import numpy as np
import pytest

from pipeline.evaluation.answering import answer
from pipeline.evaluation.answers import Answers, read_answers
from pipeline.run import Run
from tests.runs import drawn_run


def scores_of_answers(run, split):
    """What `evaluate` finds, without all that it finds besides."""
    answer(run, split)
    model, names = run.config().model, run.class_names()
    return read_answers([run], split, model, names).scores(model, names)


def answers_of(logits, labels, names, groups):
    """Answers of task video by their logits (N, C)."""
    logits = np.array(logits, float)
    holds = np.eye(logits.shape[1], dtype=bool)[logits.argmax(axis=1)]
    rows = {"labels": np.array(labels), "logits": logits, "holds": holds}
    return Answers(names=tuple(names), groups=tuple(groups), **rows)


@contextmanager
def drawing():
    """In place of training weights are drawn; gives the folders in which that was done."""
    folders = []

    def train(config, folder, *, overwrite=False):
        folders.append(folder)
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        new = folder.with_name("new")
        drawn_run(config, new, exported=False)
        shutil.copytree(new, folder, dirs_exist_ok=True)  # One may have begun there.
        shutil.rmtree(new)
        return Run(folder)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("auto", "pace", "runs", "trial"):
            patch.setattr(f"pipeline.experiments.{module}.train", train)
        patch.setattr("pipeline.experiments.runs.evaluate", scores_of_answers)
        yield folders


@pytest.fixture
def drawn():
    """See `drawing`."""
    with drawing() as folders:
        yield folders
