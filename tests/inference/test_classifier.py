"""Classifying files, one or many: the answers of evaluation, in their order, and tables of them."""

import argparse
import dataclasses
import json
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
from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.config.file import save_config
from pipeline.errors import ConfigError, DataError, PipelineError, VideoDecodeError
from pipeline.evaluation.predict import predict_split
from pipeline.inference import decoding, decoding_process
from pipeline.inference.bundle import bundle_of, read_bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredVideo, clips_of
from pipeline.inference.decoding_process import Means
from pipeline.inference.many import find_videos, predict_here, predict_many
from pipeline.inference.results import COLUMNS, ResultFile, open_results
from pipeline.inference.timeline import make_timeline
from pipeline.run import Run
from pipeline.training.run_folder import open_run
from pipeline.video import DamagedVideoWarning, iter_frames, write_video
from tests.inference.commands import classify, start
from tests.inference.videos import BAD, GOOD, NAMES, paths, predictions_of, rows, write_cut
from tests.runs import changed, drawn_run


def copy_of(run, folder):
    return Run(shutil.copytree(run.folder, folder))


def with_bundle(run, folder, **changes):
    """A copy of a run whose bundle is another."""
    copy = copy_of(run, folder)
    write_bundle(dataclasses.replace(read_bundle(copy), **changes), copy)
    return copy


def with_calibration(run, folder, **values):
    calibration = dataclasses.replace(read_bundle(run).calibration, **values)
    return with_bundle(run, folder, calibration=calibration)


@pytest.fixture(scope="module")
def flow_run(flow_store, small_config, made):
    streams = {"model.streams": ["rgb", "flow"], "clip.num_frames": 8}
    config = changed(small_config, {"data": str(flow_store.path), **streams})
    return Run(
        made(
            "run of flow", lambda folder: predict_split(open_run(drawn_run(config, folder)), "test")
        )
    )


def test_every_video_gets_the_answer_of_evaluation(answered_run, flow_run, blob_videos, tmp_path):
    """Optical flow is computed as it was stored, also that of a table, which stores none."""
    for run in (answered_run, flow_run):
        lines, classifier = predictions_of(run), Classifier(run)
        assert len(lines) == 16
        assert len({line["probability"] for line in lines}) > 8
        for line in lines:
            found = classifier.predict(blob_videos / line["video"])
            assert found.label == line["predicted"]
            assert found.probability == pytest.approx(float(line["probability"]), abs=1e-3)
    copy = copy_of(flow_run, tmp_path / "run")
    save_config(changed(flow_run.config(), {"frames.flow": False}), copy.config_file)
    write_bundle(bundle_of(copy), copy)
    assert Classifier(copy).predict(found.path) == found


def test_two_files_are_enough_and_both_are_of_one_model(hasty_run, video, tmp_path):
    run = Run(tmp_path)
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(hasty_run.folder / name, tmp_path / name)
    assert Classifier(run).predict(video) == Classifier(hasty_run).predict(video)
    run.litert_file.unlink()
    with pytest.raises(DataError, match="model.tflite is missing. Export it: clipline export"):
        Classifier(run)
    for number, changes in enumerate(
        (
            {"class_names": ("left",)},
            {"clip": ClipConfig(num_frames=5)},
            {"model": ModelConfig(streams=("rgb", "flow"))},
            {"frames": FramesConfig(fps=10, size=48, jpeg_quality=95)},
        )
    ):
        run = with_bundle(hasty_run, tmp_path / str(number), **changes)
        with pytest.raises(DataError, match="does not fit the bundle.json beside it"):
            Classifier(run)


def test_answers_are_calibrated(hasty_run, video, tmp_path):
    plain = Classifier(hasty_run).predict(video)
    run = with_calibration(hasty_run, tmp_path / "at", logit_threshold=plain.max_logit)
    assert Classifier(run).predict(video) == plain
    just_above = np.nextafter(plain.max_logit, np.inf)
    run = with_calibration(hasty_run, tmp_path / "above", logit_threshold=just_above)
    unknown = Classifier(run).predict(video)
    assert (unknown.label, unknown.known) == ("unknown", False)
    assert (unknown.probability, unknown.top) == (plain.probability, plain.top)
    run = with_calibration(hasty_run, tmp_path / "run", temperature=2.0)
    calibrated = Classifier(run).predict(video)
    odds, half = (each.probability / (1 - each.probability) for each in (plain, calibrated))
    assert half == pytest.approx(np.sqrt(odds))


def test_an_array_is_classified_and_described_as_the_file_that_holds_it(hasty_run, video):
    classifier = Classifier.load(hasty_run.folder)
    frames = np.stack(list(iter_frames(video)))
    found, wanted = classifier.predict(frames, fps=10), classifier.predict(str(video))
    assert found.top == wanted.top
    assert wanted.path == str(video)
    for each in (found, wanted):
        assert (each.num_frames, each.fps, each.damaged) == (12, 10, False)
        assert each.duration_seconds == pytest.approx(1.2)
    assert wanted.top[0] == (wanted.label, wanted.probability)
    assert {label for label, _ in wanted.top} == {"left", "right"}
    first, second = (probability for _, probability in wanted.top)
    assert first > second
    assert first + second == pytest.approx(1)
    assert classifier.predict(frames).top == wanted.top, "10 is what it was trained on"
    twice = classifier.predict(np.repeat(frames, 2, axis=0), fps=np.float32(20))
    assert twice.top == wanted.top
    assert json.loads(json.dumps(twice.as_json()))["fps"] == 20
    assert classifier.predict(frames[:6], fps=10).top != wanted.top


def test_a_saved_model_is_looked_for_in_its_export(hasty_run, tmp_path):
    run = copy_of(hasty_run, tmp_path / "run")
    export = Run(run.exports / "savedmodel")
    first = "clipline export .*run --format savedmodel, then "
    with pytest.raises(DataError, match=f"no SavedModel here. Next: {first}--run .*savedmodel$"):
        Classifier(run, runtime="savedmodel")
    export.saved_model.mkdir(parents=True)
    with pytest.raises(DataError, match=r"no SavedModel here. Next: --run .*savedmodel$"):
        Classifier(run, runtime="savedmodel")
    shutil.copy(run.bundle_file, export.bundle_file)
    with pytest.raises(DataError, match="an export, .* Name the run that it came from"):
        Classifier(export, runtime="keras")


def test_what_cannot_be_classified(hasty_run, video):
    """Nor is it unknown where a model gives no numbers."""
    frames, classifier = np.zeros((3, 32, 32, 3), np.uint8), Classifier(hasty_run)
    no_frames = r"expected frames as uint8 \(N, H, W, 3\), RGB, got"
    for given, options, message in (
        ("a.avi", {"fps": 10}, "fps is for arrays: a file has its own"),
        (frames, {"top": 0}, "top must be at least 1. Received: 0"),
        (frames, {"fps": 0}, "expected frames per second from 0.1 to 1000, got 0"),
        *((each, {}, no_frames) for each in (frames * 1.0, frames[0], frames[..., :1], frames[:0])),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            classifier.predict(given, **options)
    with pytest.raises(ConfigError, match="runtime must be one of auto, savedmodel, keras"):
        Classifier(hasty_run, runtime="onnx")
    with pytest.raises(ConfigError, match="num_threads must be at least 0. Received: -3"):
        Classifier(hasty_run, num_threads=-3)
    for value, use in ((np.nan, classifier.predict), (np.inf, partial(make_timeline, classifier))):
        logits = np.array([0, value], np.float32)
        classifier.members[0].runtime.logits = lambda *_, found=logits: found
        with pytest.raises(DataError, match="the model gives logits that are no numbers"):
            use(video)


def test_a_fingerprint_is_that_of_all_that_an_answer_depends_on(exports, hasty_run, tmp_path):
    run = exports["litert"].run
    mark = Classifier(run).fingerprint
    assert Classifier(with_bundle(run, tmp_path / "moved")).fingerprint == mark
    assert Classifier(exports["onnx"].run).fingerprint == mark, "exported once more"
    assert Classifier(run, runtime="keras").fingerprint == mark
    calibrated = with_calibration(run, tmp_path / "calibrated", temperature=2.0)
    others = (hasty_run, calibrated, exports["litert-float16"].run)
    assert len({mark, *(Classifier(each).fingerprint for each in others)}) == 4


# The command.


def test_the_command_says_a_line_a_video_in_json_or_text(answered_run, video, tmp_path):
    """As many classes as it is asked for."""
    copy = shutil.copy(video, tmp_path / "copy.avi")
    done = classify(video, copy, "--json", "--run", answered_run.folder)
    assert (done.code, done.errors) == (0, "")
    first, second = map(json.loads, done.output.splitlines())
    assert first | {"path": str(copy)} == second
    assert list(first) == [
        *("path", "label", "known", "holding", "probability", "max_logit", "top"),
        *("num_frames", "fps", "duration_seconds", "damaged"),
    ]
    assert first["path"] == str(video)
    assert [list(entry) for entry in first["top"]] == [["label", "probability"]] * 2
    (expected,) = (x for x in predictions_of(answered_run) if x["video"] == "left/g00 0.avi")
    assert first["label"] == expected["predicted"]
    assert first["probability"] == pytest.approx(float(expected["probability"]), abs=1e-3)
    answer = Classifier(answered_run).predict(video)
    (_, _), (other, other_probability) = answer.top
    assert classify(video, "--run", answered_run.folder).output == (
        f"{video}: {answer.label} {answer.probability:.2f}   ({other} {other_probability:.2f})\n"
    )
    run = with_calibration(answered_run, tmp_path / "run", logit_threshold=99.0)
    shown = ", ".join(f"{name} {value:.2f}" for name, value in answer.top)
    assert classify(video, "--run", run.folder).output == f"{video}: unknown   ({shown})\n"
    for top, number in ((1, 1), (9, 2)):
        done = classify(video, "--json", "--top", top, "--run", answered_run.folder)
        assert len(json.loads(done.output)["top"]) == number


def test_a_bad_file_among_good_ones(hasty_run, video, tmp_path):
    bad, missing = tmp_path / "bad.mp4", tmp_path / "missing.mp4"
    bad.write_text("no video")
    copy = shutil.copy(video, tmp_path / "copy.avi")
    words = (video, bad, missing, copy, "--run", hasty_run.folder)
    done = classify(*words, "--json")
    assert (done.code, done.errors) == (1, "")
    first, *errors, last = map(json.loads, done.output.splitlines())
    assert first | {"path": str(copy)} == last
    assert first["label"]
    assert [entry["path"] for entry in errors] == [str(bad), str(missing)]
    assert all(list(entry) == ["path", "error"] and entry["error"] for entry in errors)
    done = classify(*words)
    assert done.code == 1
    first, last = done.output.splitlines()
    assert first.replace(str(video), str(copy)) == last
    for line, path in zip(done.errors.splitlines(), (bad, missing), strict=True):
        assert line.startswith(f"{path}: ")


def test_the_names_of_files_command_no_terminal(hasty_run, video, tmp_path):
    strange = shutil.copy(video, tmp_path / "a\x1b[2J\n\u009b.avi")
    done = classify(strange, tmp_path / "gone\n.avi", "--run", hasty_run.folder)
    (line,) = done.output.splitlines()
    assert line.startswith(f"{tmp_path}/a\\u001b[2J\\u000a\\u009b.avi: ")
    assert done.errors.startswith(f"{tmp_path}/gone\\u000a.avi: ")
    done = classify(strange, "--json", "--run", hasty_run.folder)
    assert json.loads(done.output)["path"] == str(strange)


# Many files.


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


def test_closing_waits_for_no_decoding(hasty_run, bundle, folder, endless):
    """Nor does stopping a decoder, which ends what it reads."""
    before = multiprocessing.active_children()
    chosen = [str(folder / "a.avi"), str(endless.path)]
    outcomes = predict_many(Classifier(hasty_run), chosen, workers=1)
    next(outcomes)
    with endless.hanging():
        outcomes.close()
        assert multiprocessing.active_children() == before
    with decoding.Decoder() as decoder, ThreadPoolExecutor(1) as thread:
        reading = thread.submit(decoder.clips, endless.path, [bundle])
        with endless.hanging():
            decoder.stop()
            with pytest.raises(PipelineError, match="the worker processes were stopped"):
                reading.result(timeout=60)
        assert decoder.is_stopped


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
    for out, first in (((), videos[0]), ((table,), f"{table}: 1 video classified")):
        options = argparse.Namespace(videos=videos, list=None, out=out, json=None, top=5)
        with pytest.raises(KeyboardInterrupt):
            show_predictions(Classifier(hasty_run), options)
        printed, listed = capsys.readouterr()
        assert listed == f"{videos[1]}: it is empty\n"
        assert printed.startswith(first)


def test_ctrl_c_does_not_wait_for_a_video_that_is_being_decoded(hasty_run, folder, endless):
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


def test_it_says_that_it_lives_and_what_is_raised_costs_the_file(bundle, name, monkeypatch):
    """Where a frame repeats, it may be that nothing else comes for ever."""
    said = []
    decoding_process.decode((name, [bundle], Means()), said.append)
    assert said == [name], "it says so seldom"
    monkeypatch.setattr(decoding_process, "_SIGN_OF_LIFE_SECONDS", 0)
    decoded = decoding_process.decode((name, [at(bundle, fps=20)], Means()), said.append)
    assert decoded.info.num_frames == 12
    assert said == [name] * (1 + 1 + 12)

    # Whatever is raised is the fault of the file, and the process goes on.
    with decoding.Decoder() as decoder:
        with pytest.raises(VideoDecodeError, match=f"^{name}: AttributeError: "):
            decoder.clips(name, [None])
        assert len(decoder.clips(name, [bundle]).clips) == 1


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


def test_an_error_stays_until_its_video_has_another_outcome(hasty_run, folder, table, tmp_path):
    good = Classifier(hasty_run).predict(folder / "a.avi")
    error = partial(VideoDecodeError, "")
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
