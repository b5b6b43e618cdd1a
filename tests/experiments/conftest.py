"""Trainings of experiments whose networks are drawn: how they learn is not the point here."""

import shutil

import pytest

from tests.runs import drawn_run


@pytest.fixture
def drawn():
    """In place of training weights are drawn; gives the folders in which that was done."""
    folders = []

    def train(config, folder, *, overwrite=False):
        folders.append(folder)
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        return drawn_run(config, folder, exported=False)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("auto", "pace", "runs", "trial"):
            patch.setattr(f"pipeline.experiments.{module}.train", train)
        yield folders
