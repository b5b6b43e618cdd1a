"""Folders, patterns and tables of results."""

import argparse
import csv
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import pytest

from pipeline.data.frames import encode_video
from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import COLUMNS, ResultFile, find_videos, predict_many
from pipeline.inference.terminal import show_predictions

SCRIPT = Path(__file__).parents[2] / "scripts" / "classify.py"


@pytest.fixture(scope="module")
def folder(blob_videos, tmp_path_factory):
    """Four good videos, nested, and files that are none."""
    root = tmp_path_factory.mktemp("many") / "clips"
    (root / "inner").mkdir(parents=True)
    for number, name in enumerate(("b.avi", "a.avi", "inner/c.AVI", "inner/d.avi")):
        shutil.copy(blob_videos / "left" / f"g0{number} 0.avi", root / name)
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("no video")
    (root / "notes.txt").write_text("not named as a video")
    (root / ".hidden.avi").write_text("hidden")
    return root


GOOD = ["a.avi", "b.avi", "inner/c.AVI", "inner/d.avi"]
BAD = ["empty.mp4", "text.mp4"]


def paths(folder, names):
    return [str(folder / name) for name in names]


def test_names_stand_for_files(folder):
    everything = paths(folder, ["a.avi", "b.avi", "empty.mp4", *GOOD[2:], "text.mp4"])
    assert find_videos([str(folder)]) == everything
    assert find_videos([f"{folder}/*.avi"]) == paths(folder, ["a.avi", "b.avi"])
    assert find_videos([f"{folder}/**/*.avi"]) == paths(folder, ["a.avi", "b.avi", "inner/d.avi"])
    assert find_videos(["gone.mp4", str(folder / "notes.txt")])[0] == "gone.mp4"
    with pytest.raises(DataError, match="got an empty one"):
        find_videos([""])
    with pytest.raises(DataError, match=r"^http://\*\*\*@camera/a.mp4: an address; scripts/stream"):
        find_videos(["http://ann:secret@camera/a.mp4"])
    for nothing in (str(folder / "inner" / "*.mkv"), str(folder.parent / "none*")):
        with pytest.raises(DataError, match="no videos there"):
            find_videos([nothing])


def test_each_file_is_named_once(folder):
    names = [str(folder / "inner" / "d.avi"), str(folder / "inner"), f"{folder}/*/*.avi"]
    assert find_videos(names) == paths(folder, ["inner/d.avi", "inner/c.AVI"])


def test_a_name_with_signs_of_a_pattern_is_that_file(folder, tmp_path):
    odd = tmp_path / "take [1].avi"
    shutil.copy(folder / "a.avi", odd)
    assert find_videos([str(odd)]) == [str(odd)]


@pytest.mark.parametrize("workers", [1, 3])
def test_outcomes_come_in_order_and_are_those_one_by_one(hasty_run, folder, workers):
    classifier = Classifier(hasty_run)
    chosen = paths(folder, ["b.avi", "text.mp4", "a.avi", "inner/d.avi", "empty.mp4", "b.avi"])
    outcomes = list(predict_many(classifier, chosen, workers=workers))
    assert [path for path, _ in outcomes] == chosen
    for path, outcome in outcomes:
        if Path(path).name in BAD:
            assert isinstance(outcome, VideoDecodeError)
        else:
            assert outcome == classifier.predict(path)


def test_closing_waits_for_no_decoding(hasty_run, folder, monkeypatch):
    begun, may_end = [], threading.Event()

    def decode(path, frames):
        begun.append(path)
        if len(begun) > 1:
            may_end.wait(60)
        return encode_video(path, frames)

    monkeypatch.setattr("pipeline.inference.many.encode_video", decode)
    outcomes = predict_many(Classifier(hasty_run), paths(folder, GOOD), workers=1)
    start = time.monotonic()
    try:
        next(outcomes)
        outcomes.close()
        assert time.monotonic() - start < 30
    finally:
        may_end.set()
    assert len(begun) <= 2


@pytest.mark.parametrize("out", [(), ("results.csv",)], ids=["printed", "table"])
def test_ctrl_c_lists_the_errors_so_far(hasty_run, folder, tmp_path, monkeypatch, capsys, out):
    def interrupted(classifier, chosen, **_):
        yield chosen[0], classifier.predict(chosen[0])
        yield chosen[1], VideoDecodeError(chosen[1], "it is empty")
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.inference.terminal.predict_many", interrupted)
    videos = paths(folder, ["a.avi", "empty.mp4", "b.avi"])
    options = argparse.Namespace(videos=videos, out=out, json=None, top=5)
    with pytest.raises(KeyboardInterrupt):
        show_predictions(Classifier(hasty_run), options)
    printed, listed = capsys.readouterr()
    assert listed == f"{videos[1]}: it is empty\n"
    assert printed.startswith("results.csv: 1 video classified" if out else videos[0])


def classify(*arguments, cwd=None):
    command = [sys.executable, SCRIPT, *map(os.fspath, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, timeout=120
    )


def rows(table):
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_holds_every_file_and_the_bad_ones_are_listed(hasty_run, folder, tmp_path):
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
        assert float(found[path]["evidence"]) == pytest.approx(answer.evidence, abs=1e-4)
        assert (found[path]["damaged"], found[path]["error"]) == ("False", "")
    for path in paths(folder, BAD):
        assert found[path]["label"] == ""
        assert found[path]["error"]


def test_twenty_good_ones_among_broken_ones(hasty_run, blob_videos, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    videos = sorted(blob_videos.rglob("*.avi"))[:20]
    for number, video in enumerate(videos):
        shutil.copy(video, clips / f"{number:02}.avi")
    (clips / "corrupt.avi").write_bytes(videos[0].read_bytes()[:300] + bytes(range(256)) * 40)
    (clips / "empty.mkv").touch()
    (clips / "text.mov").write_text("Meeting notes\n")
    with wave.open(str(clips / "sound.mp4"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    result = classify(clips, "--run", hasty_run.folder)
    assert result.returncode == 1
    answered = [line.split(": ")[0] for line in result.stdout.splitlines() if ".avi: " in line]
    assert answered == [str(clips / f"{number:02}.avi") for number in range(20)]
    listed = [line.split(": ")[0] for line in result.stderr.splitlines()]
    bad = ("corrupt.avi", "empty.mkv", "sound.mp4", "text.mov")
    assert listed == [str(clips / name) for name in bad]


@pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")
def test_ctrl_c_does_not_wait_for_a_video_that_is_being_decoded(hasty_run, folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it
    shutil.copy(folder / "b.avi", tmp_path / "b.avi")
    (tmp_path / "endless.avi").write_text("ffconcat version 1.0\nfile b.avi\nfile pipe\n")
    command = [sys.executable, SCRIPT, folder / "a.avi", tmp_path / "endless.avi"]
    with subprocess.Popen(
        [*map(str, command), "--run", str(hasty_run.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().startswith(str(folder / "a.avi"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_a_table_goes_on_where_it_was_stopped(hasty_run, folder, tmp_path):
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


def test_the_current_folder_does_not_matter(hasty_run, folder, tmp_path):
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


def test_a_table_is_of_one_model(hasty_run, blob_run, folder, tmp_path):
    table = tmp_path / "results.csv"
    classify(folder / "a.avi", "--out", table, "--run", hasty_run.folder)
    content = table.read_bytes()
    result = classify(folder / "b.avi", "--out", table, "--run", blob_run.folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"classify.py: --out: {table} holds results of another model. Name another file\n"
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
    results.add("/a", error("second"))
    results.add("/b", good)
    found = sorted((row["path"], row["error"]) for row in rows(table))
    assert found == [("/a", "second"), ("/b", ""), ("/c", "")]


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such names")
def test_a_name_that_is_not_utf_8(hasty_run, folder, tmp_path):
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


def test_mistakes(hasty_run, folder, tmp_path):
    run = ("--run", hasty_run.folder)
    for arguments, message in [
        (("--out", tmp_path / "x.txt"), "--out: expected a name that ends in .csv"),
        (("--annotate", "x.mp4"), "--annotate is for --timeline"),
        (("--timeline", "--out", "x.doc"), "expected names that end in .json, .csv, .srt, .png"),
        (("--timeline", "--out", "x.json"), "--out and --annotate are for one video, got 6"),
        (("--timeline", "--overlap", "1"), "--overlap must be from 0 to below 1"),
        (("--top", "few"), "--top: invalid int value: 'few'"),
        (("--runtime", "torch"), "--runtime: invalid choice"),
    ]:
        result = classify(folder, *arguments, *run)
        assert (result.returncode, result.stdout) == (2, ""), arguments
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
