import os
import re

import pytest

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.errors import DataError
from pipeline.run import Run, latest_run

CONFIG = RunConfig(seed=7, data="data/x", frames=FramesConfig(fps=10, size=32, jpeg_quality=95))


def make_run(folder, modified):
    """The files of an exported run; only their presence counts."""
    folder.mkdir(parents=True)
    run = Run(folder)
    save_config(CONFIG, run.config_file)
    run.class_names_file.write_text('["wälk", "run"]', encoding="utf-8")
    run.model_file.touch()
    run.litert_file.touch()
    os.utime(run.litert_file, (modified, modified))
    return run


def test_a_run_knows_its_configuration_and_class_names(tmp_path):
    run = make_run(tmp_path / "run", 1)
    assert run.config() == CONFIG
    assert run.class_names() == ["wälk", "run"], "in the order of the logits"


def test_a_folder_that_lacks_a_file_or_is_not_there_is_no_run(tmp_path):
    for name in ("config.toml", "class_names.json"):
        run = make_run(tmp_path / name / "run", 1)
        (run.folder / name).unlink()
        with pytest.raises(DataError, match=f"run: no trained model here, {name} is missing. T"):
            run.config()
    with pytest.raises(DataError, match="none: no trained model here"):
        Run(tmp_path / "none").config()


def test_a_folder_that_is_not_there_names_the_nearest_runs_that_are(tmp_path):
    for name in ("walk", "jump-2", "jump-1", "a", ".new-jump"):
        make_run(tmp_path / name, 1)
    named = r"Name one that is there: .*jump-\d, .*jump-\d, .*, \.\.\.$"
    with pytest.raises(DataError, match=named):
        Run(tmp_path / "jump").config()
    with pytest.raises(DataError, match="Name one that is there: .*walk"):
        Run(tmp_path).config()


def test_an_export_is_told_of_the_run_that_it_came_from(tmp_path):
    export = Run(make_run(tmp_path / "a", 1).exports / "onnx")
    export.folder.mkdir(parents=True)
    export.bundle_file.touch()
    message = f"an export, .* the run that it came from: {re.escape(str(tmp_path / 'a'))}$"
    with pytest.raises(DataError, match=message):
        export.config()
    moved = Run(export.folder.rename(tmp_path / "moved"))
    with pytest.raises(DataError, match="moved: an export, .* the run that it came from$"):
        moved.config()


def test_the_command_that_exports(tmp_path):
    run = make_run(tmp_path / "a", 1)
    assert run.export_command() == f"clipline export {run.folder}"
    onnx = f"clipline export {run.folder} --format onnx"
    assert run.export_command("onnx") == onnx
    assert Run(run.exports / "onnx").export_command() == onnx
    assert Run(tmp_path / "moved").export_command("onnx") == "clipline export --format onnx"


def test_the_latest_run_is_the_one_whose_training_ended_last(tmp_path):
    """Also after another one was exported anew, or copied."""
    for name, modified, hour in (("b", 1_000, 12), ("c", 3_000, 10), ("a", 2_000, 11)):
        ended = f"2025-01-01T{hour}:00:00+00:00"
        make_run(tmp_path / name, modified).environment_file.write_text(f'{{"ended": "{ended}"}}')
    assert latest_run(tmp_path) == Run(tmp_path / "b")
    Run(tmp_path / "b").litert_file.unlink()
    assert latest_run(tmp_path) == Run(tmp_path / "a")


@pytest.mark.parametrize("environment", [None, "{", "{}", '{"ended": 3}', '{"ended": "soon"}'])
def test_a_run_that_does_not_say_when_it_ended_did_so_when_it_was_exported(tmp_path, environment):
    for name, modified in (("b", 3_000), ("c", 1_000)):
        run = make_run(tmp_path / name, modified)
        if environment is not None:
            run.environment_file.write_text(environment)
    assert latest_run(tmp_path) == Run(tmp_path / "b")


HEADER = b"epoch,seconds,learning_rate,loss,accuracy\r\n"


def test_the_history_of_a_training(tmp_path):
    run = Run(tmp_path)
    assert run.history() == []
    run.history_file.write_bytes(HEADER + b"1,2.5,0.1,nan,0.5\r\n2,2.0,0.1,3.0,0.75\r\n")
    first, second = run.history()
    assert (first["seconds"], second["accuracy"]) == (2.5, 0.75)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"\xff\xfe\0",
        HEADER,
        HEADER + b"1,2\n",
        HEADER + b"1,2,3,4,5,6\n",
        HEADER + b"1,2,3,4,5\n2,two,3,4,5\n",
        HEADER + b"\0\0\0\0",
        b"epoch,seconds\n1,2\n",
    ],
)
def test_a_damaged_history(tmp_path, content):
    run = Run(tmp_path)
    run.history_file.write_bytes(content)
    with pytest.raises(DataError, match="history.csv: damaged. Delete it: the curves are lost"):
        run.history()


def test_no_run_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    for runs in ("empty", "none"):
        with pytest.raises(DataError, match=rf"no trained run in .*{runs}/. Train one"):
            latest_run(tmp_path / runs)


def test_damaged_files(tmp_path):
    run = make_run(tmp_path / "run", 1)
    run.config_file.write_text("")
    with pytest.raises(DataError, match="config.toml: damaged, or not written by a run"):
        run.config()
    run.class_names_file.write_text('["walk", "ru')
    with pytest.raises(DataError, match="class_names.json: damaged"):
        run.class_names()
