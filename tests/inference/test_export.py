import dataclasses
import json
import shutil

import pytest

from pipeline.config.file import save_config
from pipeline.errors import DataError, PipelineError
from pipeline.inference import export
from pipeline.inference.classifier import Classifier
from pipeline.inference.export import export_litert
from pipeline.run import Run


@pytest.fixture
def run(hasty_run, tmp_path):
    return Run(shutil.copytree(hasty_run.folder, tmp_path / "run"))


def test_the_export_is_one_file_that_differs_by_rounding_alone(run, store_without_validation):
    """It is compared on validation videos, or on others where there are none."""
    config = dataclasses.replace(run.config(), data=str(store_without_validation.path))
    save_config(config, run.config_file)
    pretend_trained_on(run, store_without_validation)
    before = set(run.folder.iterdir())
    run.litert_file.unlink()

    assert 0 <= export_litert(run, num_clips=3) < 1e-4

    assert set(run.folder.iterdir()) == before
    assert run.litert_file.stat().st_size > 1000


def pretend_trained_on(run, store):
    environment = json.loads(run.environment_file.read_text())
    environment["data_fingerprint"] = store.fingerprint
    run.environment_file.write_text(json.dumps(environment))


def test_a_data_set_that_was_moved_or_is_another(
    run, blob_store, store_without_validation, tmp_path
):
    save_config(dataclasses.replace(run.config(), data="gone"), run.config_file)
    moved = shutil.copytree(blob_store.path, tmp_path / "moved")
    assert export_litert(run, data=moved) < 1e-4
    with pytest.raises(DataError, match="was prepared anew since the run was trained"):
        export_litert(run, data=store_without_validation.path)


def test_a_configuration_that_does_not_fit_the_model(run):
    config = run.config()
    other = dataclasses.replace(config, clip=dataclasses.replace(config.clip, num_frames=5))
    save_config(other, run.config_file)
    with pytest.raises(DataError, match="model.keras: does not fit the config.toml"):
        export_litert(run)
    with pytest.raises(DataError, match="model.tflite: does not fit the config.toml"):
        Classifier(run)
    other = dataclasses.replace(config, temporal=dataclasses.replace(config.temporal, units=9))
    save_config(other, run.config_file)
    with pytest.raises(DataError, match="the model does not fit the config.toml"):
        export_litert(run)


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
    with pytest.raises(DataError, match="gone: the data set .* Say where it is now: --data"):
        export_litert(run)
    assert not list(run.folder.glob(".partial*"))
