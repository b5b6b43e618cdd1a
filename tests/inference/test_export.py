import dataclasses
import shutil

import pytest

from pipeline.config_file import save_config
from pipeline.errors import DataError, PipelineError
from pipeline.inference import export
from pipeline.inference.export import export_litert
from pipeline.run import Run


@pytest.fixture
def run(hasty_run, tmp_path):
    return Run(shutil.copytree(hasty_run.folder, tmp_path / "run"))


def test_the_export_is_one_file_that_differs_by_rounding_alone(run, store_without_validation):
    """It is compared on validation videos, or on others where there are none."""
    config = dataclasses.replace(run.config(), data=str(store_without_validation.path))
    save_config(config, run.config_file)
    before = set(run.folder.iterdir())
    run.litert_file.unlink()

    assert 0 <= export_litert(run, num_clips=3) < 1e-4

    assert set(run.folder.iterdir()) == before
    assert run.litert_file.stat().st_size > 1000


def test_an_export_that_differs_is_refused_and_the_one_before_stays(run, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    before, content = set(run.folder.iterdir()), run.litert_file.read_bytes()

    with pytest.raises(PipelineError, match=r"differs from the trained one by .*it was not kept"):
        export_litert(run)

    assert set(run.folder.iterdir()) == before
    assert run.litert_file.read_bytes() == content


def test_a_run_and_its_data_must_be_there(run, tmp_path):
    with pytest.raises(DataError, match="no trained model here"):
        export_litert(Run(tmp_path / "none"))
    save_config(dataclasses.replace(run.config(), data=str(tmp_path / "gone")), run.config_file)
    with pytest.raises(DataError, match="gone: not a prepared data set"):
        export_litert(run)
    assert not list(run.folder.glob(".partial*"))
