"""Worker processes, which crash, hang, fail and are killed; and work that is spread over many."""

import gc
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from pipeline.cli.executor import executor_of
from pipeline.errors import ConfigError, PipelineError, VideoDecodeError
from pipeline.video import VideoInfo, write_video
from pipeline.workers.beam import check_options, run_on_beam
from pipeline.workers.pool import WorkerLostError, probe_each
from pipeline.workers.process import WorkerProcess
from pipeline.workers.shares import run_in_shares, share_of, take_share
from tests.processes import alive, python_processes, wait_until, workers_of
from tests.workers.deeds import Losses, pool, run

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

OTHERS = [[("c", ""), ("d", "")], [("e", "")], [("f", "")]]
OTHER_RESULTS = [["c", "d"], ["e"], ["f"]]


def test_results_are_in_the_order_of_the_tasks_and_processes_as_many_as_workers(tmp_path):
    tasks = [[("a", f"wait {tmp_path}/c")], [("b", "")], [("c", f"mark {tmp_path}/c")], []]
    assert run(tasks) == [["a"], ["b"], [1], []]
    assert run([]) == []
    each_waits_for_another = [
        [(None, f"mark {tmp_path}/{here}"), ("a", f"wait {tmp_path}/{there}")]
        for here, there in ("xz", "yz", "zx")
    ]
    assert run(each_waits_for_another, workers=3) == [[1, "a"]] * 3
    # More than a pipe holds.
    assert run([[("x" * 10**6, "bytes 10000000")]] * 2, workers=1) == [[bytes(10**7)]] * 2


UNGUARDED = """
from pipeline.workers.process import WorkerProcess
from pipeline.workers.shares import run_in_shares, share_of, take_share
from tests.workers.deeds import run

print("the script runs")
for _ in range(2):
    print(run([[("a", "")], [("b", "")]]))
print(__file__, __spec__)
forgotten = WorkerProcess()
"""


def test_a_script_needs_no_guard_and_a_forgotten_worker_ends_with_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    results = ["[['a'], ['b']]"] * 2
    assert done.stdout.splitlines() == ["the script runs", *results, f"{script} None"]


def test_a_lost_worker_costs_its_video_or_stops_everything_where_nothing_is_said(capfd):
    reasons = {
        "signal SIGSEGV": "its decoder crashed (SIGSEGV).",
        "signal SIGKILL": "killed, perhaps for lack of memory (SIGKILL).",
        "signal SIGTERM": "killed (SIGTERM).",
        "exit 3": "the process ended with exit code 3.",
        "tear": "the process ended with exit code 3.",
        "sleep 3600": "it took longer than 2 seconds.",
        "kill_on_the_way": "killed, perhaps for lack of memory (SIGKILL).",
        "raise decode": "no frame",
        "raise memory": "there is not enough memory to decode it.",
        "raise value": "ValueError: no value",
    }
    losses = Losses()
    tasks = [[("a", ""), (event, event)] for event in [*reasons, "raise cv2"]]
    found = run([*tasks, *OTHERS], seconds_per_video=2, on_loss=losses, fatal=())
    assert found == [*[["a"]] * len(tasks), *OTHER_RESULTS]
    assert len(losses) == len(tasks)
    assert dict(losses).pop("raise cv2").startswith("error: OpenCV")
    assert dict(losses) == reasons | {"raise cv2": dict(losses)["raise cv2"]}
    assert capfd.readouterr() == ("", "")
    message = (
        r"^a worker process was lost at work on b: its decoder crashed \(SIGSEGV\)\. Run the same "
        r"command again, with fewer --workers or without that video; what is finished is kept\.$"
    )
    with pytest.raises(PipelineError, match=message):
        run([[("a", ""), ("b", "signal SIGSEGV")], [("c", "sleep 3600")]])


def test_the_time_of_a_video_begins_with_its_name_and_anew_whenever_it_is_named(bars):
    again = [*[("a", "sleep 0.7")] * 3, ("b", "")]
    many = [(str(number), "sleep 0.01") for number in range(20)]
    late = [(None, "sleep 1.5"), ("c", "sleep 0.7"), *many]
    first, second = run([again, late], seconds_per_video=1.4)
    assert first == ["a", "a", "a", "b"]
    assert second[:2] == [None, "c"]
    assert bars[0].n == 2 + 21


def test_worker_that_never_comes_to_a_video_or_in_the_end(tmp_path):
    message = (
        "^a worker process was lost before it began on a video: the process ended with exit code "
        "7. Run the same command again, with fewer --workers; what is finished is kept.$"
    )
    marks, losses = tmp_path / "marks", Losses()
    tasks = [[("a", "")], [(None, f"mark {marks}"), (None, "exit 7")], [("b", "")]]
    for options, number in (({"on_loss": losses}, 3), ({}, 6)):
        with pytest.raises(PipelineError, match=message):
            run(tasks, **options)
        assert len(marks.read_text()) == number
    tasks = [[(None, f"start {tmp_path}/starts"), ("a", "signal SIGSEGV"), ("b", "")], *OTHERS]
    assert run(tasks, on_loss=losses) == [[None, "b"], *OTHER_RESULTS]
    assert losses == [("a", "its decoder crashed (SIGSEGV).")]
    assert (tmp_path / "starts").stat().st_size == 6


@linux
def test_worker_that_dies_after_its_result(tmp_path):
    """Its result counts, although it is seen, and given its next task, only when it is dead."""
    losses = Losses()
    idle = tmp_path / "idle"

    def on_loss(task, video, reason):
        others = set(workers_of(os.getpid()))
        idle.touch()
        wait_until(lambda: alive(others) != sorted(others))
        return losses(task, video, reason)

    first = [(None, f"mark {tmp_path}/begun"), ("a", f"die_after {idle}")]
    second = [(None, f"wait {tmp_path}/begun"), ("b", "signal SIGSEGV")]
    results = run([first, second, [("c", "")], [("d", "")]], on_loss=on_loss)
    assert results == [[1, "a"], [None], ["c"], ["d"]]
    assert losses == [("b", "its decoder crashed (SIGSEGV).")]


@linux
def test_nothing_is_left_behind(capfd):
    def mess():
        tasks = [[("a", "signal SIGSEGV"), ("b", "sleep 3600")], *OTHERS]
        run(tasks, seconds_per_video=0.5, on_loss=Losses())
        with pytest.raises(VideoDecodeError):
            run([[("a", "raise decode")], [("b", "sleep 3600")]])

    def what_is_there():
        gc.collect()
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
        return {*Path("/proc/self/fd").iterdir(), *children.split()}

    run([[("a", "")]])  # The first run starts what watches over the resources of all.
    before = what_is_there()
    mess()
    assert not what_is_there() - before
    # One that nothing is heard from ends.
    WorkerProcess().connection.close()
    wait_until(lambda: not multiprocessing.active_children())
    assert capfd.readouterr() == ("", "")


def test_processes_stay_for_the_next_run_until_another_thread_stops_them(tmp_path):
    with ThreadPoolExecutor(1) as thread, pool() as workers:
        first, second = (workers.run([[("a", "process")]]) for _ in range(2))
        assert first == second
        os.kill(first[0][0], signal.SIGKILL)
        wait_until(lambda: not alive({first[0][0]}))
        assert workers.run([[("a", "process")]]) != first, "one that was killed while it waited"
        with pytest.raises(ValueError, match="no value"):
            workers.run([[("a", "raise value")]])
        assert workers.run([[("a", "process")]]) != first, "after an error it is another"
        running = thread.submit(workers.run, [[("a", f"mark {tmp_path}/a"), ("b", "sleep 3600")]])
        wait_until((tmp_path / "a").exists)
        workers.stop()
        with pytest.raises(PipelineError, match="the worker processes were stopped"):
            running.result()
        assert not multiprocessing.active_children()
    with pool() as workers:
        workers.run([[("a", "")]])
    assert not multiprocessing.active_children()

    # Threads lose workers of their own.
    def lose(number):
        losses = Losses()
        with pool(on_loss=losses) as workers:
            for _ in range(2):
                assert workers.run([[("a", ""), ("b", f"exit {number}")]]) == [["a"]]
        return losses

    with ThreadPoolExecutor(4) as threads:
        for number, losses in enumerate(threads.map(lose, range(4))):
            assert losses == 2 * [("b", f"the process ended with exit code {number}.")]


def test_exceptions_what_cannot_travel_and_ctrl_c_which_is_not_for_workers():
    told = "Error in a worker process: over two lines\n(.*\n)*.*in event_raise"
    for event, error, message in (
        ("raise decode", VideoDecodeError, "^a.avi: no frame$"),
        ("raise value", ValueError, "^no value\nIn a worker process:\n(.*\n)*.*in event_raise"),
        ("raise pickle", PipelineError, f"^Pickle{told}"),
        ("raise unpickle", PipelineError, f"^Unpickle{told}"),
        ("lock", TypeError, "cannot pickle '_thread.lock' object"),
    ):
        with pytest.raises(error, match=message):
            run([[("a", event)], [("b", "sleep 3600")]], on_loss=Losses())
    assert run([[("a", "interrupt")]]) == [["a"]]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def bars(monkeypatch):
    bars = []

    class Bar(tqdm):
        def __init__(self, **options):
            super().__init__(**options | {"disable": False, "file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr("tqdm.tqdm", Bar)
    return bars


def test_bar_counts_videos_and_lost_ones_once(bars, tmp_path):
    again = [(None, ""), ("a", ""), ("b", f"crash_once {tmp_path}/crash"), ("c", "")]
    without = [("d", ""), ("e", "signal SIGSEGV"), ("f", "")]
    losses = Losses()

    def on_loss(task, video, reason):
        return task if video == "b" else losses(task, video, reason)

    found = run([again, without], on_loss=on_loss, num_videos=9, done=3)
    assert found == [[None, "a", "b", "c"], ["d", "f"]]
    (bar,) = bars
    assert (bar.n, bar.total, bar.desc) == (9, 9, "reading")


@pytest.fixture
def start():
    def begin(tasks, *modules, **options):
        places = map(str, [*modules, Path(__file__).parents[2]])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
        deeds = Path(__file__).with_name("deeds.py")
        return start(deeds, json.dumps(tasks), json.dumps(options), env=environment)

    with python_processes() as start:
        yield begin


@linux
@pytest.mark.parametrize("is_killed", [False, True])
def test_workers_end_with_ctrl_c_and_with_a_killed_parent(start, tmp_path, is_killed):
    marks = [tmp_path / name for name in "ab"]
    process = start([[("a", f"mark {mark}"), ("b", "sleep 60")] for mark in marks])
    wait_until(lambda: all(mark.exists() for mark in marks))
    workers = set(workers_of(process.pid))
    assert len(workers) == 2
    if is_killed:
        process.kill()
        output = process.communicate(timeout=40)  # until the last worker closed its end, too
        wait_until(lambda: not alive(workers))
    else:
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)
    assert output == ("", "" if is_killed else "interrupted\n")
    assert not alive(workers)


STARTED = """
import os, sys, time

if "--multiprocessing-fork" in sys.orig_argv:
    with open({begun!r}, "a") as file:
        file.write("x")
    while not os.path.exists({end!r}):
        time.sleep(0.01)
"""
"""What a worker does before it imports anything."""


@linux
def test_ctrl_c_passes_workers_by_while_they_start_and_time_when_all_is_stopped_does_not_count(
    start, tmp_path
):
    begun, end = tmp_path / "begun", tmp_path / "end"
    (tmp_path / "sitecustomize.py").write_text(STARTED.format(begun=str(begun), end=str(end)))
    process = start([[("a", "")], [("b", "")]], tmp_path)
    wait_until(lambda: begun.exists() and begun.stat().st_size == 2)
    for worker in (workers := workers_of(process.pid)):
        os.kill(worker, signal.SIGINT)
    assert workers
    end.touch()
    assert process.communicate(timeout=60) == ("[['a'], ['b']]\n", "")
    for path in (begun, end):
        path.unlink()
    process = start([[("a", f"mark {begun}"), ("b", f"wait {end}")]], seconds_per_video=1)
    wait_until(begun.exists)
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGCONT)
    time.sleep(0.3)
    end.touch()
    assert process.communicate(timeout=60) == ("[[1, 'b']]\n", "")


def test_files_that_cannot_be_read_or_hang_cost_only_themselves(tmp_path):
    good, broken, hangs = (str(tmp_path / name) for name in ("good.avi", "broken.avi", "hang.avi"))
    write_video(good, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=7, codec="FFV1")
    Path(broken).write_text("no video")
    os.mkfifo(tmp_path / "pipe")  # into which nobody writes
    Path(hangs).write_text("ffconcat version 1.0\nfile pipe\n")
    found = probe_each([good, hangs, broken, good], workers=1, seconds_per_video=1)
    assert list(found) == [good, hangs, broken]
    info, *errors = found.values()
    assert isinstance(info, VideoInfo)
    assert info.fps == 7
    assert all(isinstance(error, VideoDecodeError) for error in errors)
    assert "it took longer than 1 second" in str(found[hangs])


# Processes, GPUs and machines that share work.


def note_cores(folder, on_piece):
    on_piece("cores")
    (folder / f"{os.getpid()}").write_text(json.dumps(sorted(os.sched_getaffinity(0))))
    while len(list(folder.iterdir())) < 2:  # so that none does both
        time.sleep(0.05)


def test_each_job_has_its_share_of_the_cores(tmp_path):
    assert [share_of("abcde", number, 2) for number in range(2)] == [["a", "b"], ["c", "d", "e"]]
    assert [share_of("ab", number, 3) for number in range(3)] == [["a"], ["b"], ["a"]]
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    run_in_shares(note_cores, tmp_path, 2, on_loss=print)
    first, second = (set(json.loads(file.read_text())) for file in tmp_path.iterdir())
    assert first | second == os.sched_getaffinity(0)
    assert not first & second


@pytest.mark.parametrize(
    ("shown", "devices", "expected"),
    [(None, "01", "1"), ("4,7", "", "7"), (None, "", None), ("", "0", "")],
)
def test_each_job_has_one_of_the_gpus(tmp_path, monkeypatch, shown, devices, expected):
    for name in ("ctl", *devices):
        (tmp_path / f"nvidia{name}").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown or "")
    if shown is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    cores = os.sched_getaffinity(0)
    try:
        take_share(1, 2, tmp_path)
    finally:
        os.sched_setaffinity(0, cores)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == expected


def die(asked, on_piece):
    """Ends its process at the piece, as often as there are files to take."""
    on_piece("fold 1")
    for file in sorted(asked.glob("dies-*")):
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    (asked / "done").touch()


def test_a_job_that_is_lost_is_replaced_once(tmp_path):
    told = []
    (tmp_path / "dies-1").touch()
    run_in_shares(die, tmp_path, 1, on_loss=told.append)
    assert (tmp_path / "done").exists()
    (line,) = told
    assert line.startswith("fold 1: a process was lost at it: killed")
    for number in range(2):
        (tmp_path / f"dies-{number}").touch()
    with pytest.raises(WorkerLostError, match="fold 1: a process was lost at it twice"):
        run_in_shares(die, tmp_path, 1, on_loss=told.append)


DASK = "--runner=apache_beam.runners.dask.dask_runner.DaskRunner"


def test_options_that_beam_knows_and_does_not_know(capsys, monkeypatch, tmp_path):
    def spread(options, runner="beam"):
        return executor_of(Namespace(jobs=1, runner=runner, beam_options=options))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for options, message in (
        ("--nonsense=3 garbage", "unknown --nonsense=3. Leave it out"),
        ("garbage", "unknown garbage. Leave it out"),
        ("--runer=FlinkRunner", r"unknown --runer=FlinkRunner. Did you mean --runner\?"),
        (f"{DASK} --dask_client_adress=a:1", r"Did you mean --dask_client_address\?"),
        ("--runner=FlinkRunner --flink_mastr=a:1", r"Did you mean --flink_master\?"),
        ("--direct_num_workers=x", "argument --direct_num_workers: invalid int value: 'x'$"),
        ("--runner='", "No closing quotation"),
    ):
        with pytest.raises(ConfigError, match=f"^--beam-options: .*{message}"):
            spread(options)
    for options in (
        "",
        f"{DASK} --dask_client_address=HOST:8786 --dask_npartitions=3",
        "--runner=FlinkRunner --flink_master=HOST:8081 --parallelism=2",
        "--runner=FlinkRunner --checkpointing_interval=1000",  # which its job server knows
        "--runner=SparkRunner --spark_master_url=local[2]",
    ):
        check_options(options)
        assert spread(options).beam_options == options
    assert capsys.readouterr() == ("", "")
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ConfigError, match="^--beam-options are for --runner beam: add it"):
        spread("--streaming", runner="local")


def fail(number):
    raise PipelineError(f"{number} cannot be done. Do another") from ValueError("inside")


def divide(number):
    return 1 / (number - 7)


def press(number):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


def test_what_work_on_a_piece_ends_in(caplog):
    for work, error, message in (
        (fail, PipelineError, "^on a machine of Beam: 7 cannot be done. Do another$"),
        (divide, PipelineError, "^Beam ended with ZeroDivisionError: .*Run the same"),
        (press, KeyboardInterrupt, "^$"),
    ):
        with pytest.raises(error, match=message):
            run_on_beam(work, [7], "--runner=DirectRunner")
    assert not caplog.records
