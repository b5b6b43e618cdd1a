"""Runs of experiments with drawn weights: how they learn, and what all is measured, counts not."""

import shutil
from contextlib import contextmanager

import pytest

from pipeline.run import Run
from pipeline.training.run_folder import open_run
from tests.runs import drawn_run


@contextmanager
def drawing():
    """In place of training weights are drawn; gives the folders in which that was done."""
    folders = []

    def train(config, folder, *, overwrite=False, limit=None):
        folders.append(folder)
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        new = folder.with_name("new")
        drawn_run(config, new, exported=False)
        shutil.copytree(new, folder, dirs_exist_ok=True)  # One may have begun there.
        shutil.rmtree(new)
        return open_run(Run(folder))

    with pytest.MonkeyPatch.context() as patch:
        for module in ("auto", "budget", "runs"):
            patch.setattr(f"pipeline.experiments.{module}.train", train)
        yield folders


@pytest.fixture
def drawn():
    """See `drawing`."""
    with drawing() as folders:
        yield folders
