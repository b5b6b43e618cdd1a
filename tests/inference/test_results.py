"""Tables of results: whole, of one model, by one process at a time."""

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.results import COLUMNS, ResultFile, open_results
from pipeline.video import write_video

GOOD = ["a.avi", "b.avi", "inner/c.AVI", "inner/d.avi"]
BAD = ["empty.mp4", "text.mp4"]


def paths(folder, names):
    return [str(folder / name) for name in names]


def rows(table):
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_holds_every_file_and_the_bad_ones_are_listed(
    classify, hasty_run, folder, tmp_path
):
    table = tmp_path / "results.csv"
    result = classify(folder, "--out", table, "--run", hasty_run.folder)
    assert result.returncode == 1
    assert result.stdout == f"{table}: 4 videos classified\n"
    errors = result.stderr.splitlines()
    assert [line.split(": ")[0] for line in errors] == paths(folder, BAD)
    found = {row["path"]: row for row in rows(table)}
    assert set(found) == set(paths(folder, [*GOOD, *BAD]))
    classifier = Classifier(hasty_run)
    for path in paths(folder, GOOD):
        answer = classifier.predict(path)
        assert found[path]["label"] == answer.label
        assert float(found[path]["probability"]) == pytest.approx(answer.probability, abs=1e-4)
        assert float(found[path]["max_logit"]) == pytest.approx(answer.max_logit, abs=1e-4)
        assert (found[path]["damaged"], found[path]["error"]) == ("False", "")
    for path in paths(folder, BAD):
        assert found[path]["label"] == ""
        assert found[path]["error"]


def mutated(content, rng):
    """A file with bytes that are flipped or overwritten, or without its end."""
    changed = bytearray(content)
    start = int(rng.integers(len(content)))
    match rng.integers(3):
        case 0:
            for place in rng.integers(len(content), size=20):
                changed[place] ^= 1 << rng.integers(8)
        case 1:
            changed[start : start + 500] = rng.bytes(len(changed[start : start + 500]))
        case _:
            del changed[start:]
    return changed


def with_wild_clock(mp4, ticks):
    """An MP4 whose time table gives each frame so many ticks."""
    changed = bytearray(mp4)
    table = changed.index(b"stts")
    for entry in range(int.from_bytes(changed[table + 8 : table + 12])):
        changed[table + 16 + 8 * entry : table + 20 + 8 * entry] = ticks.to_bytes(4)
    return changed


def test_every_mutant_has_a_row(classify, hasty_run, blob_videos, tmp_path):
    clips, rng = tmp_path / "clips", np.random.default_rng(0)
    clips.mkdir()
    write_video(tmp_path / "a.mp4", rng.integers(256, size=(20, 32, 32, 3), dtype=np.uint8), fps=10)
    sources = [*sorted(blob_videos.rglob("*.avi"))[:3], tmp_path / "a.mp4"]
    for number in range(40):
        source = sources[number % 4]
        target = clips / f"mutant {number:02}{source.suffix}"
        target.write_bytes(mutated(source.read_bytes(), rng))
    for ticks in (0, 10**6, 2**31 - 1, 2**32 - 1):
        wild = with_wild_clock((tmp_path / "a.mp4").read_bytes(), ticks)
        (clips / f"wild {ticks}.mp4").write_bytes(wild)
    for number, source in enumerate(sources):
        shutil.copy(source, clips / f"good {number}{source.suffix}")
    table = tmp_path / "results.csv"
    result = classify(clips, "--out", table, "--run", hasty_run.folder)
    assert result.returncode == 1
    found = {Path(row["path"]).name: row for row in rows(table)}
    assert found.keys() == {path.name for path in clips.iterdir()}
    assert all(bool(row["label"]) != bool(row["error"]) for row in found.values())
    assert all(found[name]["label"] for name in found if name.startswith("good"))
    assert 5 < sum(bool(row["error"]) for row in found.values()) < 40


def test_a_table_goes_on_where_it_was_stopped(classify, hasty_run, folder, tmp_path):
    table = tmp_path / "results.csv"
    classify(folder / "inner", folder / "text.mp4", "--out", table, "--run", hasty_run.folder)
    content = table.read_text()
    table.write_text(content + f"{folder / 'a.avi'},le")  # killed within a line
    result = classify(folder, "--out", table, "--run", hasty_run.folder)
    assert result.stdout == f"{table}: 2 videos done before\n{table}: 2 videos classified\n"
    assert sorted(row["path"] for row in rows(table)) == sorted(paths(folder, [*GOOD, *BAD]))


def test_a_table_that_was_cut_within_a_character(tmp_path):
    table = tmp_path / "results.csv"
    ResultFile(table, "model").add("/a.avi", error("no"))
    table.write_bytes(table.read_bytes() + "/ä".encode()[:-1])
    ResultFile(table, "model")
    assert [row["path"] for row in rows(table)] == ["/a.avi"]


def test_the_current_folder_does_not_matter(classify, hasty_run, folder, tmp_path):
    """Two files of one relative name are two, and one file of two names is one."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(folder / "a.avi", tmp_path / name)
    table, run = tmp_path / "results.csv", hasty_run.folder
    for name in ("one", "two"):
        result = classify("a.avi", "--out", table, "--run", run, cwd=tmp_path / name)
        assert result.stdout == f"{table}: 1 video classified\n"
    result = classify("../one/a.avi", "--out", table, "--run", run, cwd=tmp_path / "two")
    assert "1 video done before" in result.stdout
    assert [row["path"] for row in rows(table)] == paths(tmp_path, ["one/a.avi", "two/a.avi"])


def test_a_table_is_of_one_model(classify, hasty_run, blob_run, folder, tmp_path):
    table = tmp_path / "results.csv"
    classify(folder / "a.avi", "--out", table, "--run", hasty_run.folder)
    content = table.read_bytes()
    result = classify(folder / "b.avi", "--out", table, "--run", blob_run.folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"clipline: --out: {table} holds results of another model. Name another file\n"
    )
    assert table.read_bytes() == content


def error(reason):
    return VideoDecodeError("", reason)


def test_an_error_stays_until_its_video_has_another_outcome(hasty_run, folder, tmp_path):
    table = tmp_path / "results.csv"
    good = Classifier(hasty_run).predict(folder / "a.avi")
    results = ResultFile(table, "model")
    for path, outcome in (("/a", error("first")), ("/b", error("first")), ("/c", good)):
        results.add(path, outcome)
    results = ResultFile(table, "model")
    assert results.to_do(["/a", "/b", "/c", "/d"]) == ["/a", "/b", "/d"]
    assert [row["error"] for row in rows(table)] == ["first", "first", ""]
    with open_results(table, "model") as results:
        same = tmp_path / "same.csv"
        same.hardlink_to(table)
        results.add("/a", error("second"))
        results.add("/b", good)
        assert table.samefile(same), "lines are added, the others are not written again"
        killed = tmp_path / "killed.csv"
        shutil.copy(table, killed)
    assert ResultFile(killed, "model").to_do(["/a", "/b", "/c"]) == ["/a"]
    for whole in (table, killed):
        found = sorted((row["path"], row["error"]) for row in rows(whole))
        assert found == [("/a", "second"), ("/b", ""), ("/c", "")]


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such names")
def test_a_name_that_is_not_utf_8(classify, hasty_run, folder, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.avi")
    shutil.copy(folder / "a.avi", odd)
    table = tmp_path / "results.csv"
    result = classify(odd, folder / "a.avi", "--out", table, "--run", hasty_run.folder)
    assert (result.returncode, result.stdout) == (1, f"{table}: 1 video classified\n")
    assert [row["path"] for row in rows(table)] == [
        f"{tmp_path}/caf\\udce9.avi",
        str(folder / "a.avi"),
    ]
    good = Classifier(hasty_run).predict(folder / "a.avi")
    results = ResultFile(tmp_path / "other.csv", "model")
    results.add(odd, good)
    assert ResultFile(tmp_path / "other.csv", "model").to_do([odd]) == []


@pytest.mark.parametrize(
    "content",
    [
        b"name,age\nann,3\n",
        "path,caf\xe9\n".encode("latin-1"),
        b"",
        ",".join(COLUMNS).encode() + b"\n" + b"," * len(COLUMNS) + b"one more\n",
    ],
    ids=["columns", "latin-1", "empty", "cells"],
)
def test_another_table_is_not_overwritten(tmp_path, content):
    mine = tmp_path / "mine.csv"
    mine.write_bytes(content)
    with pytest.raises(ConfigError, match="mine.csv is no table of results, or of another"):
        ResultFile(mine, "model")
    assert mine.read_bytes() == content


def test_a_table_is_for_one_process_at_a_time(classify, hasty_run, folder, hold, tmp_path):
    table = tmp_path / "results.csv"
    process = hold(table)
    result = classify(folder / "a.avi", "--out", table, "--run", hasty_run.folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"clipline: another process is adding results to {table}. Wait until it has ended, or "
        "name another file (--out)\n"
    )
    process.kill()
    result = classify(folder / "a.avi", "--out", table, "--run", hasty_run.folder)
    assert result.stdout == f"{table}: 1 video classified\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--overlap", 0.75), "--overlap is for --timeline"),
        (("--timeline", "--top", 5), "--top is not for a timeline"),
        (("--json", "--out", "t.csv"), "--json is for what is printed"),
        (("--top", 5, "--out", "t.csv"), "--top is for what is printed"),
    ],
)
def test_options_without_effect_are_refused(classify, hasty_run, folder, options, message):
    result = classify(folder, *options, "--run", hasty_run.folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
