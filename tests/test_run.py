import os
import re

import pytest

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.errors import DataError
from pipeline.run import Run, latest_run

HEADER = b"epoch,seconds,learning_rate,loss,accuracy\r\n"
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


def test_a_run_knows_its_configuration_class_names_and_history(tmp_path):
    run = make_run(tmp_path / "run", 1)
    assert run.config() == CONFIG
    assert run.class_names() == ["wälk", "run"], "in the order of the logits"
    run.config_file.write_text("")
    with pytest.raises(DataError, match="config.toml: damaged, or not written by a run"):
        run.config()
    run.class_names_file.write_text('["walk", "ru')
    with pytest.raises(DataError, match="class_names.json: damaged"):
        run.class_names()
    assert run.history() == []
    run.history_file.write_bytes(HEADER + b"1,2.5,0.1,nan,0.5\r\n2,2.0,0.1,3.0,0.75\r\n")
    first, second = run.history()
    assert (first["seconds"], second["accuracy"]) == (2.5, 0.75)
    rows = (b"", b"1,2\n", b"1,2,3,4,5,6\n", b"1,2,3,4,5\n2,two,3,4,5\n", b"\0\0\0\0")
    wrong = (b"", b"hello\n", b"\xff\xfe\0", b"epoch,seconds\n1,2\n")
    for content in (*wrong, *(HEADER + row for row in rows)):
        run.history_file.write_bytes(content)
        with pytest.raises(DataError, match="history.csv: damaged. Delete it: the curves are lost"):
            run.history()


def test_what_is_no_run_names_what_is_missing_and_the_nearest_runs_or_its_own(tmp_path):
    for name in ("config.toml", "class_names.json"):
        run = make_run(tmp_path / name / "run", 1)
        (run.folder / name).unlink()
        with pytest.raises(DataError, match=f"run: no trained model here, {name} is missing. T"):
            run.config()
    for name in ("walk", "jump-2", "jump-1", "a", ".new-jump"):
        make_run(tmp_path / name, 1)
    named = r"no trained model here.* Name one that is there: .*jump-\d, .*jump-\d, .*, \.\.\.$"
    with pytest.raises(DataError, match=named):
        Run(tmp_path / "jump").config()
    with pytest.raises(DataError, match="Name one that is there: .*walk"):
        Run(tmp_path).config()
    # An export is told of the run that it came from.
    run = make_run(tmp_path / "exported", 1)
    export = Run(run.exports / "onnx")
    export.folder.mkdir(parents=True)
    export.bundle_file.touch()
    message = f"an export, .* the run that it came from: {re.escape(str(run.folder))}$"
    with pytest.raises(DataError, match=message):
        export.config()
    assert run.export_command() == f"clipline export {run.folder}"
    onnx = f"clipline export {run.folder} --format onnx"
    assert run.export_command("onnx") == export.export_command() == onnx
    moved = Run(export.folder.rename(tmp_path / "moved"))
    with pytest.raises(DataError, match="moved: an export, .* the run that it came from$"):
        moved.config()
    assert moved.export_command("onnx") == "clipline export --format onnx"


def test_the_latest_run_is_the_one_whose_training_ended_last(tmp_path):
    """Also after another one was exported anew, or copied; else, it is when it was exported."""
    for _ in ("it is not there", "it is empty"):
        with pytest.raises(DataError, match="no trained run in .*none/. Train one"):
            latest_run(tmp_path / "none")
        (tmp_path / "none").mkdir(exist_ok=True)
    for name, modified, hour in (("b", 1_000, 12), ("c", 3_000, 10), ("a", 2_000, 11)):
        ended = f"2025-01-01T{hour}:00:00+00:00"
        make_run(tmp_path / name, modified).environment_file.write_text(f'{{"ended": "{ended}"}}')
    assert latest_run(tmp_path) == Run(tmp_path / "b")
    Run(tmp_path / "b").litert_file.unlink()
    assert latest_run(tmp_path) == Run(tmp_path / "a")
    for content in (None, "{", "{}", '{"ended": 3}', '{"ended": "soon"}'):
        for name in "ac":
            environment = Run(tmp_path / name).environment_file
            environment.unlink(missing_ok=True)
            if content is not None:
                environment.write_text(content)
        assert latest_run(tmp_path) == Run(tmp_path / "c")
