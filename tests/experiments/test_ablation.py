import csv
import dataclasses

import numpy as np
import pytest

from pipeline.cli.ablate import format_table
from pipeline.config import RunConfig, SplitConfig
from pipeline.config.file import differing, load_config, preset_names, with_values
from pipeline.errors import ConfigError
from pipeline.experiments.ablation import ablate, stages
from pipeline.experiments.crossval import Answers


@pytest.mark.parametrize("name", preset_names())
def test_each_stage_is_something_else_switched_on_than_off(name):
    config = load_config(name)
    for stage in stages(config):
        off = with_values(config, stage.off, stage.name)
        on = with_values(off, stage.on, stage.name)
        assert differing(on, off)
        assert not differing(with_values(on, stage.off, stage.name), off)


def test_the_worth_of_a_stage_is_what_cross_validation_says_with_it_and_without(
    blob_config, tmp_path, capsys
):
    config = dataclasses.replace(
        blob_config,
        split=SplitConfig(folds=2),
        train=dataclasses.replace(blob_config.train, epochs=8),
    )
    rows = ablate(config, tmp_path / "ablation", ["order of frames"])
    base, order = rows
    assert order["with"] == base["with"]  # it was on
    # The order of frames is all there is to learn of a blob that moves.
    assert order["difference"] == pytest.approx(order["with"] - order["without"])
    assert order["difference"] > 0.2
    assert order["low"] <= order["difference"] <= order["high"]
    with (tmp_path / "ablation" / "ablation.csv").open(newline="") as file:
        assert [row["stage"] for row in csv.DictReader(file)] == [row["stage"] for row in rows]
    table = format_table(rows).splitlines()
    assert table[2].startswith("| as configured | ")
    shown = f"{order['with']:.3f} | {order['without']:.3f}"
    assert table[3].startswith(f"| order of frames | {shown} | +")


def test_a_stage_that_is_off_is_switched_on(blob_config, tmp_path, monkeypatch, capsys):
    def measure(config, folder, *, overwrite):
        """One video more is right with a penalty, of four."""
        folder.mkdir(parents=True)
        answers = np.array([0, 0, 1, 1 if config.model.l2 else 0])
        labels, groups = np.array([0, 0, 1, 1]), list("aabb")
        answered = Answers(videos=list("stuv"), groups=groups, labels=labels, answers=answers)
        return {"top1": answered.correct.mean(), "seconds": 1.0}, answered

    monkeypatch.setattr("pipeline.experiments.ablation._measure", measure)
    base, penalty = ablate(blob_config, tmp_path / "ablation", ["L1 and L2"])
    assert penalty["without"] == base["with"] == 0.75
    assert penalty["with"] == 1
    assert penalty["difference"] == 0.25
    assert "L1 and L2: on" in capsys.readouterr().out


def test_stages_know_the_default_run():
    names = [stage.name for stage in stages(RunConfig())]
    assert len(set(names)) == len(names) == 11


def test_a_stage_that_there_is_not(blob_config, tmp_path):
    with pytest.raises(ConfigError, match="unknown drop-out. Did you mean dropout"):
        ablate(blob_config, tmp_path / "ablation", ["drop-out"])
    assert not (tmp_path / "ablation").exists()
