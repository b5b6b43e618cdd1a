"""A data set prepared once, and copies of it."""

import multiprocessing
import shutil

import pytest

from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import open_prepared
from tests.prepare.people import configure, render_all


@pytest.fixture
def quick_workers(monkeypatch):
    """Worker processes begin as forks of one that has imported what they need.

    Not for tests that limit this process or look for its children: forks are those of another one.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.frames.decoding", "pipeline.workers.pool"])
    monkeypatch.setattr("pipeline.workers.process._CONTEXT", context)


@pytest.fixture(scope="session")
def people(made):
    """Videos of six people; not to be changed."""
    return made("people", lambda folder: render_all(folder / "videos")) / "videos"


@pytest.fixture
def root(people, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(people, tmp_path / "videos")


@pytest.fixture(scope="session")
def people_store(people, made):
    """Prepared of them by one worker; not to be changed."""
    folder = made("people store", lambda out: prepare(configure(people, out)))
    return open_prepared(folder)


@pytest.fixture
def copied(people, people_store, tmp_path):
    """The configuration of a copy of the prepared data set, with the same videos."""
    return configure(people, shutil.copytree(people_store.path, tmp_path / "out"))
