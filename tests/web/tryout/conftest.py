import shutil

import numpy as np
import pytest

from pipeline.video import write_video
from tests.conftest import blob


@pytest.fixture
def right(tmp_path):
    """A video of something that moves to the right, of a name that is no markup."""
    path = tmp_path / "<b>right.avi"
    write_video(path, blob(np.random.default_rng(50), 12), fps=10, codec="FFV1")
    return path


@pytest.fixture
def app(start_app, tmp_path, blob_run):
    shutil.copytree(blob_run.folder, tmp_path / "work" / "runs" / "blobs")
    return start_app(tmp_path / "work")
