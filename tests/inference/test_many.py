"""Folders, patterns and tables of results."""

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.answers import show_predictions
from pipeline.errors import DataError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import find_videos, predict_many
from pipeline.video import DamagedVideoWarning, write_video

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

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
    with pytest.raises(DataError, match=r"^http://\*\*\*@camera/a.mp4: an address, for clipline"):
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


@linux
def test_closing_waits_for_no_decoding(hasty_run, folder, endless):
    before = multiprocessing.active_children()
    chosen = [str(folder / "a.avi"), str(endless.path)]
    outcomes = predict_many(Classifier(hasty_run), chosen, workers=1)
    next(outcomes)
    with endless.hanging():
        outcomes.close()
        assert multiprocessing.active_children() == before


@linux
def test_a_decoder_that_crashes_costs_its_file(hasty_run, folder, endless):
    chosen = [str(folder / "a.avi"), str(endless.path), *paths(folder, BAD), str(folder / "b.avi")]
    classifier = Classifier(hasty_run)
    with ThreadPoolExecutor(1) as thread:
        crashed = thread.submit(endless.crash, os.getpid())
        outcomes = dict(predict_many(classifier, chosen, workers=1))
        crashed.result()
    assert list(outcomes) == chosen
    assert outcomes[str(endless.path)].reason == "its decoder crashed (SIGSEGV)."
    for path in (chosen[0], chosen[-1]):
        assert outcomes[path] == classifier.predict(path)


@linux
def test_a_decoder_that_hangs_costs_its_file(hasty_run, folder, endless, monkeypatch):
    monkeypatch.setattr("pipeline.inference.decoding.SECONDS_PER_FRAME", 3)
    chosen = [str(folder / "a.avi"), str(endless.path), str(folder / "b.avi")]
    first, hung, last = (each for _, each in predict_many(Classifier(hasty_run), chosen, workers=1))
    assert hung.reason == "it gave no new frame for 3 seconds."
    assert {Path(first.path).name, Path(last.path).name} == {"a.avi", "b.avi"}


def test_a_damaged_file_is_told_by_the_process_that_asked(hasty_run, tmp_path):
    cut = tmp_path / "cut.avi"
    noise = np.random.default_rng(0).integers(256, size=(60, 32, 32, 3), dtype=np.uint8)
    write_video(cut, noise, fps=10)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.warns(DamagedVideoWarning, match="cut.avi: decoded"):
        ((_, outcome),) = predict_many(Classifier(hasty_run), [str(cut)])
    assert outcome.damaged


@pytest.mark.parametrize("out", [(), ("results.csv",)], ids=["printed", "table"])
def test_ctrl_c_lists_the_errors_so_far(hasty_run, folder, tmp_path, monkeypatch, capsys, out):
    def interrupted(classifier, chosen, **_):
        yield chosen[0], classifier.predict(chosen[0])
        yield chosen[1], VideoDecodeError(chosen[1], "it is empty")
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.cli.answers.predict_many", interrupted)
    videos = paths(folder, ["a.avi", "empty.mp4", "b.avi"])
    options = argparse.Namespace(videos=videos, list=None, out=out, json=None, top=5)
    with pytest.raises(KeyboardInterrupt):
        show_predictions(Classifier(hasty_run), options)
    printed, listed = capsys.readouterr()
    assert listed == f"{videos[1]}: it is empty\n"
    assert printed.startswith("results.csv: 1 video classified" if out else videos[0])


@pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")
def test_ctrl_c_does_not_wait_for_a_video_that_is_being_decoded(start, hasty_run, folder, endless):
    with start(folder / "a.avi", endless.path, "--run", hasty_run.folder) as process:
        assert process.stdout.readline().startswith(str(folder / "a.avi"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_mistakes(classify, hasty_run, folder, tmp_path):
    run = ("--run", hasty_run.folder)
    for arguments, message in [
        (("--out", tmp_path / "x.txt"), "--out: expected a name that ends in .csv"),
        (("--out", "/proc/x.csv"), "--out: "),  # No file can be made there.
        (("--timeline", "--out", "x.doc"), "expected names that end in .json, .csv, .srt, .png"),
        (("--timeline", "--out", "x.json"), "write the timeline of one video, got 6"),
        (("--timeline", "--overlap", "1"), "--overlap must be from 0 to below 1"),
        (("--top", "few"), "--top: expected a whole number above 0, got few"),
        (("--runtime", "torch"), "--runtime: invalid choice"),
    ]:
        result = classify(folder, *arguments, *run)
        assert (result.returncode, result.stdout) == (2, ""), arguments
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
