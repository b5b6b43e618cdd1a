"""What all tests of experiments have."""

import pytest

from tests.experiments.drawing import drawing


@pytest.fixture
def drawn():
    """See `drawing`."""
    with drawing() as folders:
        yield folders
