"""A data set prepared once, and copies of it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.preparation import prepare
from pipeline.prepare.summary import PrepareReport
from tests.prepare import shards
from tests.prepare.people import configure, render_all


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return render_all(tmp_path / "videos")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PrepareReport:
    """Prepared once with two workers; not to be changed."""
    return prepare(configure(render_all(tmp_path_factory.mktemp("prepared") / "videos")))


@pytest.fixture
def copied(prepared: PrepareReport, tmp_path: Path) -> PrepareConfig:
    """The configuration of a copy of the prepared data set, with the same videos."""
    shutil.copytree(prepared.store.path, tmp_path / "out")
    return dataclasses.replace(
        configure(prepared.store.path.parent / "videos"), out=str(tmp_path / "out")
    )


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven videos of 6 stored frames each, and two that cannot be read."""
    root = tmp_path_factory.mktemp("videos")
    for index, label in enumerate(("run", "wälk fast") * 3):
        shards.render(root / label / f"{index} ü.avi", seed=index)
    shards.render(root / "run" / "6.avi", seed=6)
    for name in ("run/no.avi", "wälk fast/none.avi"):
        (root / name).write_text("no video")
    return root
