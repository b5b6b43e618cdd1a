"""The runs of a workspace, and what the pages say where little is there."""

import json
import re

import pytest

from pipeline.run import Run
from pipeline.web.application import application
from pipeline.web.train.runs import all_runs, differing, figures, history
from pipeline.web.workspace import Workspace
from tests.web.asgi import ask


def write(folder, **files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_", ".", 1)).write_text(text)
    return Run(folder)


VIDEO = {"top1": 0.75, "top1_interval95": [0.5, 0.9]}
TESTED = {"test": {"video": VIDEO, "num_videos": 12, "num_groups": 3}}
FOLDS = {
    "main_score": "top1",
    "video": {"top1": 0.6, "top1_interval95": [0.4, 0.8]},
    "folds": [{}, {}],
    "num_videos": 20,
}


@pytest.fixture
def root(tmp_path):
    runs, bundle = tmp_path / "runs", {"model": {"task": "video"}}
    settings = "seed = 1\n[clip]\nstride = 2\n"
    write(runs / "a", config_toml=settings, metrics_json=TESTED, bundle_json=bundle)
    write(runs / "b", crossval_toml="seed = 2\n[clip]\nstride = 3\n", crossval_json=FOLDS)
    write(runs / "c", config_toml="[clip]\nstride = 3\n", metrics_json="{damaged")
    write(runs / "other", notes_txt="")
    return tmp_path


def test_figures_are_those_of_the_files(root, blob_run):
    found = {each.name: each for each in all_runs(root)}
    assert sorted(found) == ["a", "b", "c"]
    a, b, c = found["a"], found["b"], found["c"]
    assert (a.score, a.value, a.interval) == ("top-1", 0.75, (0.5, 0.9))
    assert a.about == "12 videos, 3 groups"
    assert (b.value, b.interval, b.about) == (0.6, (0.4, 0.8), "2 folds, 20 videos")
    assert (c.score, c.value, c.interval, c.about) == ("", None, None, "not tested")
    assert differing([a, b, c]) == {"clip.stride": ["2", "3", "3"]}
    assert differing([b, c]) == {}
    assert [each.can_classify for each in (a, b, c)] == [True, False, False]
    test = {"frames": {"mean_average_precision": 0.5}, "bouts": {"recordings": [{}]}}
    bundle = {"model": {"task": "frames-multilabel"}}
    d = figures(write(root / "d", metrics_json={"test": test}, bundle_json=bundle))
    assert (d.score, d.value, d.interval) == ("mean average precision", 0.5, None)
    assert d.about == "1 recording"
    # One that was really trained.
    rows, settings = history(blob_run), figures(blob_run).settings
    assert settings["clip.num_frames"] == blob_run.config().clip.num_frames
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert {"loss", "val_loss", "seconds"} <= set(rows[0])


def test_each_link_of_the_page_answers(root):
    """A plain run and a fused one with a report, and kinds that have none."""
    runs, app = root / "runs", application(Workspace(root), lambda: False)
    fused = {"fusion_json": {}, "metrics_json": {"test": {**TESTED["test"], "task": "video"}}}
    write(runs / "fused <b>", **fused)
    write(runs / "auto of labels", **fused)
    write(runs / "auto in folds", crossval_json=FOLDS)
    for name in ("a", "fused <b>"):
        page = Run(runs / name).report_page
        page.parent.mkdir()
        page.write_text(f"report of {name}")
    status, _, page = ask(app, "/runs")
    assert status == 200
    links = sorted(re.findall('href="(/runs/[^"]+)"', page))
    assert links == ["/runs/a/report", "/runs/fused%20%3Cb%3E/report"]
    assert ask(app, links[0])[::2] == (200, "report of a")
    assert ask(app, "/runs/fused <b>/report")[::2] == (200, "report of fused <b>")
    for name in ("auto of labels", "auto in folds", "b"):
        assert f'value="{name}"' in page


def test_where_nothing_is_yet(tmp_path):
    assert all_runs(tmp_path) == []
    assert history(Run(tmp_path)) == []
    (tmp_path / "lab").mkdir()
    app = application(Workspace(tmp_path), lambda: False)
    assert "Nothing is labelled yet" in ask(app, "/train")[2]
    choice = json.dumps({"folder": "lab", "kind": "clips", "preset": "tiny"}).encode()
    kind = [("content-type", "application/json")]
    status, _, answer = ask(app, "/api/jobs", method="POST", body=choice, headers=kind)
    assert (status, "there are no labels yet" in answer) == (422, True)
    for path in ("/jobs/1", "/api/jobs/1", "/api/jobs/1/events"):
        assert ask(app, path)[0] == 422
    for path in ("/runs/x/report", "/runs/../report"):
        assert ask(app, path)[0] == 404
