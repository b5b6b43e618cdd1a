"""Folders and patterns of files, how they are decoded, their answers in order, and tables."""

import argparse
import dataclasses
import multiprocessing
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.answers import show_predictions
from pipeline.errors import ConfigError, DataError, PipelineError, VideoDecodeError
from pipeline.inference import decoding, decoding_process
from pipeline.inference.bundle import read_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredVideo, clips_of
from pipeline.inference.decoding_process import Means
from pipeline.inference.many import find_videos, predict_here, predict_many
from pipeline.inference.results import COLUMNS, ResultFile, open_results
from pipeline.video import DamagedVideoWarning, write_video
from tests.inference.commands import classify
from tests.inference.videos import BAD, GOOD, NAMES, paths, rows, write_cut


def test_names_stand_for_files(folder, tmp_path):
    for name, found in (
        (folder, NAMES),
        (f"{folder}/*.avi", ["a.avi", "b.avi"]),
        (f"{folder}/**/*.avi", ["a.avi", "b.avi", "inner/d.avi"]),
        (folder / "notes.txt", ["notes.txt"]),
        (folder / "gone.mp4", ["gone.mp4"]),
    ):
        assert find_videos([str(name)]) == paths(folder, found)
    once = [str(folder / "inner" / "d.avi"), str(folder / "inner"), f"{folder}/*/*.avi"]
    assert find_videos(once) == paths(folder, ["inner/d.avi", "inner/c.AVI"])
    odd = shutil.copy(folder / "a.avi", tmp_path / "take [1].avi")
    assert find_videos([str(odd)]) == [str(odd)], "it has the signs of a pattern"
    for name, message in (
        ("", "got an empty one"),
        ("http://ann:secret@camera/a.mp4", r"^http://\*\*\*@camera/a.mp4: an address, for clipli"),
        (str(folder / "inner" / "*.mkv"), "no videos there"),
        (str(folder.parent / "none*"), "no videos there"),
    ):
        with pytest.raises(DataError, match=message):
            find_videos([name])


def test_outcomes_come_in_order_and_are_those_one_by_one(hasty_run, folder, tmp_path):
    classifier = Classifier(hasty_run)
    names = ["b.avi", "text.mp4", "a.avi", "inner/d.avi", "empty.mp4", "b.avi"]
    chosen = [*paths(folder, names), str(write_cut(tmp_path))]
    with pytest.warns(DamagedVideoWarning, match="cut.avi: decoded"):
        outcomes = list(predict_many(classifier, chosen, workers=2))
    assert [path for path, _ in outcomes] == chosen
    (_, cut) = outcomes.pop()
    assert cut.as_json()["damaged"]
    for path, outcome in outcomes:
        if Path(path).name in BAD:
            assert isinstance(outcome, VideoDecodeError)
        else:
            assert outcome == classifier.predict(path)


def test_closing_waits_for_no_decoding(hasty_run, folder, endless):
    before = multiprocessing.active_children()
    chosen = [str(folder / "a.avi"), str(endless.path)]
    outcomes = predict_many(Classifier(hasty_run), chosen, workers=1)
    next(outcomes)
    with endless.hanging():
        outcomes.close()
        assert multiprocessing.active_children() == before


def test_a_decoder_that_crashes_or_hangs_costs_its_file(hasty_run, folder, endless, monkeypatch):
    monkeypatch.setattr("pipeline.inference.decoding.SECONDS_PER_FRAME", 2)
    hung = shutil.copy(endless.path, endless.path.with_name("hung.avi"))
    good = paths(folder, ["a.avi", "b.avi"])
    chosen = [good[0], str(endless.path), *paths(folder, BAD), str(hung), good[1]]
    classifier = Classifier(hasty_run)
    with ThreadPoolExecutor(1) as thread:
        crashed = thread.submit(endless.crash, os.getpid())
        outcomes = dict(predict_many(classifier, chosen, workers=1))
        crashed.result()
    assert list(outcomes) == chosen
    assert outcomes[str(endless.path)].reason == "its decoder crashed (SIGSEGV)."
    assert outcomes[str(hung)].reason == "it gave no new frame for 2 seconds."
    for path in good:
        assert outcomes[path] == classifier.predict(path)


def test_ctrl_c_lists_the_errors_so_far(hasty_run, folder, tmp_path, monkeypatch, capsys):
    def interrupted(classifier, chosen, **_):
        yield chosen[0], classifier.predict(chosen[0])
        yield chosen[1], VideoDecodeError(chosen[1], "it is empty")
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.cli.answers.predict_many", interrupted)
    videos, table = paths(folder, ["a.avi", "empty.mp4", "b.avi"]), str(tmp_path / "results.csv")
    for out, start in (((), videos[0]), ((table,), f"{table}: 1 video classified")):
        options = argparse.Namespace(videos=videos, list=None, out=out, json=None, top=5)
        with pytest.raises(KeyboardInterrupt):
            show_predictions(Classifier(hasty_run), options)
        printed, listed = capsys.readouterr()
        assert listed == f"{videos[1]}: it is empty\n"
        assert printed.startswith(start)


def test_ctrl_c_does_not_wait_for_a_video_that_is_being_decoded(start, hasty_run, folder, endless):
    with start(folder / "a.avi", endless.path, "--run", hasty_run.folder) as process:
        assert process.stdout.readline().startswith(str(folder / "a.avi"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_mistakes_and_options_without_effect(hasty_run, folder, tmp_path):
    for options, message in (
        (("--out", "x.txt"), "--out: expected a name that ends in .csv"),
        (("--out", "/proc/x.csv"), "--out: "),  # No file can be made there.
        (("--timeline", "--out", "x.doc"), "expected names that end in .json, .csv, .srt, .png"),
        (("--timeline", "--out", "x.json"), "write the timeline of one video, got 6"),
        (("--timeline", "--overlap", "1"), "--overlap must be from 0 to below 1"),
        (("--timeline", "--top", 5), "--top is not for a timeline"),
        (("--overlap", 0.75), "--overlap is for --timeline"),
        (("--json", "--out", "t.csv"), "--json is for what is printed"),
        (("--top", 5, "--out", "t.csv"), "--top is for what is printed"),
        (("--top", "few"), "--top: expected a whole number above 0, got few"),
        (("--runtime", "torch"), "--runtime: invalid choice"),
    ):
        result = classify(folder, *options, "--run", hasty_run.folder, cwd=tmp_path)
        assert message in result.mistake


# What worker processes do with one file.


@pytest.fixture(scope="module")
def bundle(hasty_run):
    return read_bundle(hasty_run)


@pytest.fixture
def name(video):
    return str(video)


def at(bundle, fps):
    return dataclasses.replace(bundle, frames=dataclasses.replace(bundle.frames, fps=fps))


def test_it_says_that_it_lives_while_new_frames_come(bundle, name, monkeypatch):
    """Where a frame repeats, it may be that nothing else comes for ever."""
    said = []
    decoding_process.decode((name, [bundle], Means()), said.append)
    assert said == [name], "it says so seldom"
    monkeypatch.setattr(decoding_process, "_SIGN_OF_LIFE_SECONDS", 0)
    decoded = decoding_process.decode((name, [at(bundle, fps=20)], Means()), said.append)
    assert decoded.info.num_frames == 12
    assert said == [name] * (1 + 1 + 12)


def test_whatever_happens_is_the_reason(bundle, name, monkeypatch):
    def fail(error, *_):
        raise error

    for error, reason in (
        (MemoryError(), "there is not enough memory to decode it."),
        (ValueError("over\ntwo lines"), "ValueError: over two lines"),
        (VideoDecodeError("a.avi", "it is empty."), "it is empty."),
    ):
        monkeypatch.setattr(decoding_process, "_WatchedVideo", partial(fail, error))
        for found in (
            decoding_process.decode((name, [bundle], Means()), lambda _: None),
            decoding_process.read_on((name, [bundle.frames], Means()), lambda _: None),
        ):
            assert isinstance(found, VideoDecodeError)
            assert found.reason == reason


def test_another_process_gives_the_same_frames_and_a_clip_holds_its_real_ones(
    bundle, name, monkeypatch
):
    for each, number in ((bundle, 8), (at(bundle, fps=2), 3)):
        (clips,), _ = clips_of(partial(StoredVideo, name), [each])
        assert [len(clip["frames"]) for clip in clips] == [number] * 2
    here = StoredVideo(name, [bundle.frames])
    wanted = list(here)
    for at_once in (4, 5, 100):
        monkeypatch.setattr(decoding_process, "_AT_ONCE", at_once)
        first, *others = parts = list(iter_parts(name, [bundle.frames]))
        assert [frame for part in parts for frame in part.stored] == wanted
        assert [bool(part.info) for part in parts] == [False] * len(others) + [True]
        assert parts[-1].info == here.info
        assert len(first.stored) == min(at_once, 12)


def iter_parts(name, frames):
    while True:
        part = decoding_process.read_on((name, frames, Means()), lambda _: None)
        yield part
        if part.info:
            return
        frames = None


def test_files_one_after_the_other_in_another_process(
    bundle, name, video, blob_videos, endless, tmp_path
):
    """A crash costs its file alone. Of one who was killed, the file may not be to blame."""
    cut = write_cut(tmp_path)
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        for path in (name, blob_videos / "right" / "g01 0.avi"):
            here = StoredVideo(path, [bundle.frames])
            there = decoder.open_video(path, [bundle.frames])
            assert list(there) == list(here)
            assert there.info == here.info
        with pytest.raises(VideoDecodeError, match="none.avi: it cannot be opened"):
            list(decoder.open_video(tmp_path / "none.avi", [bundle.frames]))
        with pytest.warns(DamagedVideoWarning, match="cut.avi: decoded"):
            list(decoder.open_video(cut, [bundle.frames]))
        crashed = thread.submit(endless.crash, os.getpid())
        with pytest.raises(VideoDecodeError, match=r"its decoder crashed \(SIGSEGV\)\.") as error:
            list(decoder.open_video(endless.path, [bundle.frames]))
        crashed.result()
        assert not isinstance(error.value, decoding.DecoderKilledError)
        killed = thread.submit(endless.crash, os.getpid(), signal.SIGKILL)
        with pytest.raises(decoding.DecoderKilledError):
            decoder.clips(endless.path, [bundle])
        killed.result()
        assert decoder.clips(video, [bundle]).info.num_frames == 12


def test_a_decoder_that_is_stopped_ends_what_it_reads(bundle, endless):
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        reading = thread.submit(decoder.clips, endless.path, [bundle])
        with endless.hanging():
            decoder.stop()
            with pytest.raises(PipelineError, match="the worker processes were stopped"):
                reading.result(timeout=60)
        assert decoder.is_stopped


# Tables.


@pytest.fixture
def table(tmp_path):
    return tmp_path / "results.csv"


@pytest.fixture
def fill(hasty_run, table, monkeypatch):
    """Classifies files into the table, all in this process; gives what it said."""
    monkeypatch.setattr("pipeline.cli.answers.predict_many", predict_here)
    return partial(classify, "--out", table, "--run", hasty_run.folder)


def test_a_table_holds_every_file_and_the_bad_ones_are_listed(hasty_run, folder, table):
    result = classify(folder, "--out", table, "--run", hasty_run.folder)
    assert (result.code, result.output) == (1, f"{table}: 4 videos classified\n")
    errors = result.errors.splitlines()
    assert [line.split(": ")[0] for line in errors] == paths(folder, BAD)
    found = {row["path"]: row for row in rows(table)}
    assert sorted(found) == paths(folder, NAMES)
    classifier = Classifier(hasty_run)
    for path in paths(folder, GOOD):
        row, answer = found[path], classifier.predict(path)
        assert (row["label"], row["damaged"], row["error"]) == (answer.label, "False", "")
        for name in ("probability", "max_logit"):
            assert float(row[name]) == pytest.approx(getattr(answer, name), abs=1e-4)
    assert all(found[path]["error"] and not found[path]["label"] for path in paths(folder, BAD))


def test_every_mutant_has_a_row(hasty_run, blob_videos, table, tmp_path):
    clips, rng = tmp_path / "clips", np.random.default_rng(0)
    clips.mkdir()
    write_video(tmp_path / "a.mp4", rng.integers(256, size=(20, 32, 32, 3), dtype=np.uint8), fps=10)
    sources = [*sorted(blob_videos.rglob("*.avi"))[:3], tmp_path / "a.mp4"]
    for number in range(40):
        source = sources[number % 4]
        content = bytearray(source.read_bytes())
        start = int(rng.integers(len(content)))
        content[start : start + 500] = rng.bytes(500) if number % 3 else b""
        (clips / f"mutant {number:02}{source.suffix}").write_bytes(content)
    for number, source in enumerate(sources):
        shutil.copy(source, clips / f"good {number}{source.suffix}")
    assert classify(clips, "--out", table, "--run", hasty_run.folder).code == 1
    found = {Path(row["path"]).name: row for row in rows(table)}
    assert found.keys() == {path.name for path in clips.iterdir()}
    assert all(bool(row["label"]) != bool(row["error"]) for row in found.values())
    assert all(found[name]["label"] for name in found if name.startswith("good"))
    assert 5 < sum(bool(row["error"]) for row in found.values()) < 40


def test_a_table_goes_on_where_it_was_stopped_in_any_folder(fill, folder, table, tmp_path):
    """Two files of one relative name are two, and one file of two names is one."""
    fill(folder / "inner", folder / "text.mp4")
    within = f"{folder / 'a.avi'},leä".encode()[:-1]  # killed within a character of a line
    table.write_bytes(table.read_bytes() + within)
    result = fill(folder)
    assert result.output == f"{table}: 2 videos done before\n{table}: 2 videos classified\n"
    assert sorted(row["path"] for row in rows(table)) == paths(folder, NAMES)
    table.unlink()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(folder / "a.avi", tmp_path / name)
        result = fill("a.avi", cwd=tmp_path / name)
        assert result.output == f"{table}: 1 video classified\n"
    result = fill("../one/a.avi", cwd=tmp_path / "two")
    assert "1 video done before" in result.output
    assert [row["path"] for row in rows(table)] == paths(tmp_path, ["one/a.avi", "two/a.avi"])


def test_a_table_is_of_one_model_and_for_one_process_at_a_time(fill, blob_run, folder, hold, table):
    """Another one is not overwritten."""
    process = hold(table)
    assert fill(folder / "a.avi").mistake == (
        f"clipline: another process is adding results to {table}. Wait until it has ended, or "
        "name another file (--out)"
    )
    process.kill()
    process.wait()
    assert fill(folder / "a.avi").output == f"{table}: 1 video classified\n"
    content = table.read_bytes()
    result = classify(folder / "b.avi", "--out", table, "--run", blob_run.folder)
    assert result.mistake == (
        f"clipline: --out: {table} holds results of another model. Name another file"
    )
    assert table.read_bytes() == content
    for content in (
        b"name,age\nann,3\n",
        "path,caf\xe9\n".encode("latin-1"),
        b"",
        ",".join(COLUMNS).encode() + b"\n" + b"," * len(COLUMNS) + b"one more\n",
    ):
        table.write_bytes(content)
        with pytest.raises(ConfigError, match="results.csv is no table of results, or of another"):
            ResultFile(table, "model")
        assert table.read_bytes() == content


def error(reason):
    return VideoDecodeError("", reason)


def test_an_error_stays_until_its_video_has_another_outcome(hasty_run, folder, table, tmp_path):
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
        killed = Path(shutil.copy(table, tmp_path / "killed.csv"))
    assert ResultFile(killed, "model").to_do(["/a", "/b", "/c"]) == ["/a"]
    for whole in (table, killed):
        found = sorted((row["path"], row["error"]) for row in rows(whole))
        assert found == [("/a", "second"), ("/b", ""), ("/c", "")]


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such names")
def test_a_name_that_is_not_utf_8(fill, hasty_run, folder, table, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.avi")
    shutil.copy(folder / "a.avi", odd)
    result = fill(odd, folder / "a.avi")
    assert (result.code, result.output) == (1, f"{table}: 1 video classified\n")
    found = [f"{tmp_path}/caf\\udce9.avi", str(folder / "a.avi")]
    assert [row["path"] for row in rows(table)] == found
    results = ResultFile(tmp_path / "other.csv", "model")
    results.add(odd, Classifier(hasty_run).predict(folder / "a.avi"))
    assert ResultFile(tmp_path / "other.csv", "model").to_do([odd]) == []
