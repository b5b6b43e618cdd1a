import csv
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.config import RunConfig
from pipeline.config.file import differing, load_config, preset_names
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.results import Measured
from pipeline.evaluation.views import as_text
from pipeline.experiments.ablation import Stage, ablate, stages, variants
from pipeline.experiments.crossval import Folds
from pipeline.experiments.runs import measured_before
from pipeline.run import Run
from tests.evaluation.made_up_crossval import made_up
from tests.runs import changed

FOLDS = ("fold-01", "fold-02")


@pytest.mark.parametrize("name", preset_names())
def test_each_stage_is_something_else_switched_on_than_off(name):
    config = load_config(name)
    for stage in stages(config):
        off = changed(config, stage.off)
        on = changed(off, stage.on)
        assert differing(on, off)
        assert not differing(changed(on, stage.off), off)
    names = [stage.name for stage in stages(RunConfig())]
    assert len(set(names)) == len(names) == 11
    # Of heads that are fitted at once to features of single frames, what has no say is left out.
    linear = [stage.name for stage in stages(load_config("pretrained"))]
    assert set(names) - set(linear) == {"motion input", "weight averaging"}


def test_the_worth_of_a_stage_is_what_cross_validation_says_with_it_and_without(
    tiny_config, tmp_path, drawn
):
    config = changed(tiny_config, {"split.folds": 2, "temporal.kind": "gru", "temporal.units": 4})
    rows = ablate(config, tmp_path, ["order of frames"])
    base, order = rows
    parts = ("variant-as-configured", "variant-order-of-frames")
    folders = [tmp_path / part / fold for part in parts for fold in FOLDS]
    assert drawn == folders
    assert [Run(each).config().temporal.kind for each in folders] == [*["gru"] * 2, *["mean"] * 2]
    assert [row.variant for row in rows] == ["as configured", "without order of frames"]
    scores = [measured_before(Run(each)).scores["top1"] for each in folders]
    assert base.scores["top1"] == pytest.approx(np.mean(scores[:2]))
    assert order.scores["top1"] == pytest.approx(np.mean(scores[2:]))
    assert order.difference == pytest.approx(order.scores["top1"] - base.scores["top1"])
    assert order.low <= order.difference <= order.high
    with (tmp_path / "ablation.csv").open(newline="") as file:
        assert [row["variant"] for row in csv.DictReader(file)] == [row.variant for row in rows]
    table = as_text("variants.md", rows=rows).splitlines()
    assert table[0] == "| variant | top-1 | difference (95 % interval) | seconds |"
    assert table[2].startswith(f"| as configured | {base.scores['top1']:.3f} | +0.000 | ")
    shown = f"{order.scores['top1']:.3f} | {order.difference:+.3f} ({order.low:+.3f} to "
    assert table[3].startswith(f"| without order of frames | {shown}")


def test_a_stage_that_is_off_is_switched_on(tiny_config, tmp_path, monkeypatch):
    def begin(config, folder, *, title, overwrite):
        assert not overwrite
        titles.append(title)
        return Folds(config, folder, [], [])

    def predictions(folder):
        """One video more is right with a penalty, of four."""
        logits = np.eye(2)[[0, 0, 1, int(folder.name != "variant-as-configured")]]
        return made_up(logits, [0, 0, 1, 1], "stuv", "aabb")

    def measure(folds):
        return Measured({"top1": predictions(folds.folder).correct.mean()}, 1.0)

    titles = []
    monkeypatch.setattr("pipeline.experiments.ablation.begin_folds", begin)
    monkeypatch.setattr("pipeline.experiments.ablation.predictions_of_folds", predictions)
    monkeypatch.setattr("pipeline.experiments.ablation._measured", measure)
    base, penalty = ablate(tiny_config, tmp_path, ["L1 and L2"])
    assert (base.scores["top1"], penalty.scores["top1"], penalty.difference) == (0.75, 1, 0.25)
    assert titles == ["as configured", "with L1 and L2"]


def test_a_stage_that_cannot_be(tiny_config, tmp_path, monkeypatch):
    """It is not there, or the groups are too few for it."""
    with pytest.raises(ConfigError, match="unknown drop-out. Did you mean dropout"):
        ablate(tiny_config, tmp_path / "ablation", ["drop-out"])
    assert not (tmp_path / "ablation").exists()
    large = Stage("early stopping", {"split.val_folds": 0}, {"split.val_folds": 60})
    monkeypatch.setattr("pipeline.experiments.ablation.stages", lambda _: [large])
    with pytest.raises(DataError, match=r"^with early stopping: .* got 60. --stages names what is"):
        ablate(tiny_config, tmp_path / "ablation")
    assert not list(tmp_path.glob("**/fold-*"))


def test_temporal_parts_are_compared_on_validation_and_differ_from_each_other(
    recording_config, tmp_path, drawn
):
    config = changed(recording_config, {"clip.shrink": 2, "temporal.units": 4})
    rows = ablate(config, tmp_path / "ablation", ["lstm"])
    base, lstm = rows
    assert [base.variant, lstm.variant] == ["as configured", "lstm"]
    run = Run(tmp_path / "ablation" / "variant-lstm")
    assert run.config().temporal.kind == "lstm"
    assert [file.name for file in run.report.glob("*.npz")] == ["val_predictions.npz"]
    scores = measured_before(run).scores
    assert (lstm.scores["accuracy"], lstm.scores["edit"]) == (scores["accuracy"], scores["edit"])
    assert lstm.difference == pytest.approx(lstm.scores["accuracy"] - base.scores["accuracy"])
    table = as_text("variants.md", rows=rows).splitlines()
    assert (
        table[0] == "| variant | accuracy | F1@50 | edit | difference (95 % interval) | seconds |"
    )
    assert table[2].startswith(f"| as configured | {base.scores['accuracy']:.3f} | ")
    assert ablate(config, tmp_path / "ablation", ["lstm"]) == rows
    assert len(drawn) == 2, "nothing is trained again"
    with pytest.raises(ConfigError, match="holds an ablation with another seed"):
        ablate(changed(config, {"seed": 7}), tmp_path / "ablation")
    config = load_config("recordings", {"model.task": "frames"})
    found = variants(config)
    changes = [config, *(changed(config, each.values) for each in found)]
    pairs = [(one, other) for one in changes for other in changes if one is not other]
    assert all(differing(one, other) for one, other in pairs)
    names = ["without smoothing", "one stage", "lstm", "lstm without smoothing", "bilstm"]
    windows = [f"windows of {number} frames" for number in (32, 128)]
    assert [each.name for each in found] == [*names, *windows]
    assert "tcn" in [each.name for each in variants(recording_config)]  # another one


def test_variants_may_be_cross_validated(recording_config, tmp_path, monkeypatch):
    def summarise(folds):
        scores = {"accuracy": 0.5 if folds.config.train.transition_penalty else 0.25}
        return SimpleNamespace(scores=SimpleNamespace(named=scores), seconds=3.0)

    measured = []
    comparison = "pipeline.experiments.ablation"
    monkeypatch.setattr(f"{comparison}.summarise", summarise)
    monkeypatch.setattr(f"{comparison}.measure_all", lambda jobs, *_: measured.extend(jobs))
    folds = changed(recording_config, {"split.folds": 2})
    base, rough = ablate(folds, tmp_path / "ablation", ["without smoothing"])
    assert (base.difference, rough.difference) == (0, -0.25)
    names = ("as configured", "without smoothing")
    titles = [f"{name}, fold {fold}/2" for name in names for fold in (1, 2)]
    assert [job.title for job in measured] == titles
    # Without validation recordings there is nothing to compare on.
    store = open_data(Path(recording_config.data))
    rows = [dataclasses.replace(row, split="train") for row in store.manifest.rows]
    bare = store.with_rows(rows)
    monkeypatch.setattr(f"{comparison}.resolve", lambda config: (bare, config))
    with pytest.raises(DataError, match="no validation recordings .*--split.val_folds 5"):
        ablate(recording_config, tmp_path)
