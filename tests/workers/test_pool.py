"""Worker processes: real ones, which crash, hang, fail and are killed.

Run as a script, this is a run of its own, whose process can be killed, stopped and interrupted.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.workers.pool import OnVideo, WorkerPool, run_in_workers
from pipeline.workers.process import WorkerProcess
from tests.processes import Start, alive, python_processes, wait_until, workers_of

Task = Sequence[tuple[str | None, str]]  # videos, or None, and what happens there

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


# What happens in the worker processes.


class PickleError(Exception):
    def __reduce__(self) -> str:
        raise TypeError("no")


class UnpickleError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one}\n{two}")


def read(task: Task, on_video: OnVideo) -> list[Any]:
    """Returns what comes of each video: its name, unless something happens."""
    results: list[Any] = []
    for video, event in task:
        if video is not None:
            on_video(video)
        name, _, argument = event.partition(" ")
        result = globals()[f"event_{name}"](argument) if name else None
        results.append(video if result is None else result)
    return results


def event_signal(name: str) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(60)


def event_interrupt(_: str) -> None:
    """Ctrl-C where it cannot be kept away."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.kill(os.getpid(), signal.SIGINT)


def event_exit(code: str) -> None:
    os._exit(int(code))


def event_sleep(seconds: str) -> None:
    time.sleep(float(seconds))


def event_process(_: str) -> int:
    return os.getpid()


def event_mark(path: str) -> int:
    """Returns how often it has been called."""
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


def event_wait(path: str) -> None:
    wait_until(Path(path).exists)


def event_start(path: str) -> None:
    """Ends the process unless it is called for the third time, or the sixth."""
    if event_mark(path) % 3:
        os._exit(3)


def event_crash_once(path: str) -> None:
    if event_mark(path) == 1:
        event_signal("SIGSEGV")


def event_raise(name: str) -> None:
    if name == "decode":
        raise VideoDecodeError("a.avi", "no frame")
    if name == "pickle":
        raise PickleError("over\ntwo lines")
    if name == "unpickle":
        raise UnpickleError("over", "two lines")
    raise ValueError("no value")


def event_lock(_: str) -> Any:
    return threading.Lock()


def event_bytes(number: str) -> bytes:
    return bytes(int(number))


def event_die_after(path: str) -> None:
    """Waits for a file, and ends the process once the result of the task has been sent."""
    main = threading.main_thread().ident or 0

    def die() -> None:
        # The result is sent from where `read` was called, and then the next task is waited for.
        wait_until(lambda: "_recv" in names_of_calls(sys._current_frames()[main]))
        os._exit(3)

    event_wait(path)
    threading.Thread(target=die, daemon=True).start()


def names_of_calls(frame: Any) -> Iterator[str]:
    while frame:
        yield frame.f_code.co_name
        frame = frame.f_back


def event_tear(_: str) -> None:
    """Ends the process in the middle of a message."""
    (connection,) = (thing for thing in gc.get_objects() if isinstance(thing, Connection))
    os.write(connection.fileno(), b"\0\0\0\x10half")
    os._exit(3)


# What starts them.


def run(tasks: Sequence[Task], **options: Any) -> list[list[Any]]:
    work = importlib.import_module("test_pool").read  # where the workers find it as well
    options = {"doing": "reading", "workers": 2, "num_videos": 4} | options
    return run_in_workers(work, tasks, **options)


class Losses(list[tuple[str, str]]):
    """Leaves a video that was lost out of its task, and keeps its name and the reason."""

    def __call__(self, task: Task, video: str, reason: str) -> Task:
        self.append((video, reason))
        rest = [part for part in task if part[0] != video]
        assert len(rest) == len(task) - 1
        return rest


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


OTHERS = [[("c", ""), ("d", "")], [("e", "")], [("f", "")]]
OTHER_RESULTS = [["c", "d"], ["e"], ["f"]]


# Without trouble.


def test_results_are_in_the_order_of_the_tasks(tmp_path: Path) -> None:
    tasks = [[("a", f"wait {tmp_path}/c")], [("b", "")], [("c", f"mark {tmp_path}/c")], []]
    assert run(tasks) == [["a"], ["b"], [1], []]


def test_no_task() -> None:
    assert run([]) == []


def test_as_many_processes_as_workers(tmp_path: Path) -> None:
    tasks = [
        [(None, f"mark {tmp_path}/{here}"), ("a", f"wait {tmp_path}/{there}")]
        for here, there in ("xz", "yz", "zx")
    ]
    assert run(tasks, workers=3) == [[1, "a"]] * 3


@posix
def test_ctrl_c_is_not_for_workers() -> None:
    assert run([[("a", "interrupt")]]) == [["a"]]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_more_than_a_pipe_holds() -> None:
    tasks = [[("x" * 10**6, "bytes 10000000")] for _ in range(4)]
    assert run(tasks) == [[bytes(10**7)]] * 4


UNGUARDED = """
from pipeline.workers.pool import run_in_workers
from test_pool import read

print("the script runs")
for _ in range(2):
    print(run_in_workers(read, [[("a", "")], [("b", "")]], doing="", workers=2, num_videos=2))
print(__file__, __spec__)
"""


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stderr == ""
    results = ["[['a'], ['b']]"] * 2
    assert done.stdout.splitlines() == ["the script runs", *results, f"{script} None"]


# Workers that are lost.


@posix
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("signal SIGSEGV", "its decoder crashed (SIGSEGV)"),
        ("signal SIGKILL", "killed, perhaps for lack of memory (SIGKILL)"),
        ("signal SIGTERM", "killed (SIGTERM)"),
        ("exit 3", "the process ended with exit code 3"),
        ("tear", "the process ended with exit code 3"),
    ],
)
def test_a_lost_worker_costs_its_video(
    event: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    losses = Losses()
    tasks = [[("a", ""), ("b", event), ("z", "")], *OTHERS]

    assert run(tasks, on_loss=losses) == [["a", "z"], *OTHER_RESULTS]
    assert losses == [("b", reason)]
    assert capfd.readouterr() == ("", "")


def test_hanging_worker_costs_its_video() -> None:
    losses = Losses()
    tasks = [[("a", ""), ("b", "sleep 3600"), ("z", "")], *OTHERS]
    assert run(tasks, seconds_per_video=2, on_loss=losses) == [["a", "z"], *OTHER_RESULTS]
    assert losses == [("b", "it took longer than 2 seconds")]


def test_a_video_that_is_named_again_has_its_time_anew_and_is_not_over(bars: list[Any]) -> None:
    task = [("a", "sleep 0.7"), ("a", "sleep 0.7"), ("a", "sleep 0.7"), ("b", "")]
    assert run([task], seconds_per_video=1.4) == [["a", "a", "a", "b"]]
    assert bars[0].n == 2


def test_the_time_of_a_video_begins_with_its_name() -> None:
    many = [(str(number), "sleep 0.01") for number in range(50)]
    tasks = [[(None, "sleep 2"), ("a", "sleep 1")], [(None, "sleep 2"), *many]]
    assert run(tasks, seconds_per_video=1.9)[0] == [None, "a"]


@posix
def test_loss_that_nothing_is_said_about_stops_everything() -> None:
    message = (
        r"^a worker process was lost at work on b: its decoder crashed \(SIGSEGV\)\. Run the same "
        r"command again, with fewer --workers or without that video; what is finished is kept\.$"
    )
    with pytest.raises(PipelineError, match=message):
        run([[("a", ""), ("b", "signal SIGSEGV")], [("c", "sleep 3600")]])


def test_worker_that_never_comes_to_a_video(tmp_path: Path) -> None:
    message = (
        "^a worker process was lost before it began on a video: the process ended with exit code "
        "7. Run the same command again, with fewer --workers; what is finished is kept.$"
    )
    marks = tmp_path / "marks"
    tasks = [[("a", "")], [(None, f"mark {marks}"), (None, "exit 7")], [("b", "")]]
    with pytest.raises(PipelineError, match=message):
        run(tasks, on_loss=Losses())
    assert len(marks.read_text()) == 3
    with pytest.raises(PipelineError, match=message):
        run(tasks)
    assert len(marks.read_text()) == 4


@posix
def test_worker_that_comes_to_a_video_in_the_end(tmp_path: Path) -> None:
    losses = Losses()
    tasks = [[(None, f"start {tmp_path}/starts"), ("a", "signal SIGSEGV"), ("b", "")], *OTHERS]
    assert run(tasks, on_loss=losses) == [[None, "b"], *OTHER_RESULTS]
    assert losses == [("a", "its decoder crashed (SIGSEGV)")]
    assert (tmp_path / "starts").stat().st_size == 6


@linux
def test_worker_that_dies_after_its_result(tmp_path: Path) -> None:
    """Its result counts, although it is seen, and given its next task, only when it is dead."""
    losses = Losses()
    idle = tmp_path / "idle"

    def on_loss(task: Task, video: str, reason: str) -> Task:
        others = set(workers_of(os.getpid()))
        idle.touch()
        wait_until(lambda: alive(others) != sorted(others))
        return losses(task, video, reason)

    tasks = [[("a", f"die_after {idle}")], [("b", "signal SIGSEGV")], [("c", "")], [("d", "")]]

    assert run(tasks, on_loss=on_loss) == [["a"], [], ["c"], ["d"]]
    assert losses == [("b", "its decoder crashed (SIGSEGV)")]


def test_worker_that_nothing_is_heard_from_ends(capfd: pytest.CaptureFixture[str]) -> None:
    WorkerProcess().connection.close()
    wait_until(lambda: not multiprocessing.active_children())
    assert capfd.readouterr() == ("", "")


def test_forgotten_worker_ends_with_the_script() -> None:
    code = "from pipeline.workers.process import WorkerProcess; worker = WorkerProcess()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@linux
def test_nothing_is_left_behind() -> None:
    def mess() -> None:
        tasks = [[("a", "signal SIGSEGV"), ("b", "sleep 3600")], *OTHERS]
        run(tasks, seconds_per_video=0.5, on_loss=Losses())
        with pytest.raises(VideoDecodeError):
            run([[("a", "raise decode")], [("b", "sleep 3600")]])

    def what_is_there() -> tuple[list[Path], str]:
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
        return sorted(Path("/proc/self/fd").iterdir()), children

    mess()  # The first run starts what watches over the resources of all.
    before = what_is_there()
    mess()
    assert what_is_there() == before


# A pool that stays.


def pool(**options: Any) -> WorkerPool[Any, Any]:
    return WorkerPool(importlib.import_module("test_pool").read, **options)


def test_processes_stay_for_the_next_run() -> None:
    with pool() as workers:
        first, second = (workers.run([[("a", "process")]]) for _ in range(2))
        assert first == second
        with pytest.raises(ValueError, match="no value"):
            workers.run([[("a", "raise value")]])
        assert workers.run([[("a", "process")]]) != first, "after an error it is another"
    assert not multiprocessing.active_children()


def test_another_thread_stops_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as thread, pool() as workers:
        running = thread.submit(workers.run, [[("a", f"mark {tmp_path}/a"), ("b", "sleep 3600")]])
        wait_until((tmp_path / "a").exists)
        workers.stop()
        with pytest.raises(PipelineError, match="the worker processes were stopped"):
            running.result()
        assert not multiprocessing.active_children()


@posix
def test_threads_lose_workers_of_their_own() -> None:
    def lose(number: int) -> list[tuple[str, str]]:
        losses = Losses()
        with pool(on_loss=losses) as workers:
            for _ in range(2):
                assert workers.run([[("a", ""), ("b", f"exit {number}")]]) == [["a"]]
        return losses

    with ThreadPoolExecutor(4) as threads:
        for number, losses in enumerate(threads.map(lose, range(4))):
            assert losses == 2 * [("b", f"the process ended with exit code {number}")]


# Exceptions.


def test_exception() -> None:
    with pytest.raises(VideoDecodeError, match="^a.avi: no frame$"):
        run([[("a", "raise decode")], [("b", "sleep 3600")]], on_loss=Losses())


def test_exception_comes_with_its_traceback() -> None:
    with pytest.raises(
        ValueError, match="^no value\nIn a worker process:\n(.*\n)*.*in event_raise"
    ):
        run([[("a", "raise value")]])


@pytest.mark.parametrize(
    ("event", "name"), [("pickle", "PickleError"), ("unpickle", "UnpickleError")]
)
def test_exception_that_cannot_travel(event: str, name: str) -> None:
    with pytest.raises(PipelineError, match="in event_raise") as caught:
        run([[("a", f"raise {event}")]])
    assert str(caught.value) == f"{name} in a worker process: over two lines"


def test_result_that_cannot_travel() -> None:
    with pytest.raises(TypeError, match="cannot pickle '_thread.lock' object"):
        run([[("a", "lock")]])


# The bar.


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    bars = []

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options | {"disable": False, "file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr("tqdm.tqdm", Bar)
    return bars


def test_bar_counts_videos(bars: list[Any]) -> None:
    run([[(None, ""), ("a", ""), ("b", "")], *OTHERS], num_videos=9, done=3)
    (bar,) = bars
    assert (bar.n, bar.total, bar.desc) == (9, 9, "reading")


@posix
def test_bar_counts_lost_videos_once(bars: list[Any], tmp_path: Path) -> None:
    again = [("a", ""), ("b", f"crash_once {tmp_path}/crash"), ("c", "")]
    without = [("d", ""), ("e", "signal SIGSEGV"), ("f", "")]
    losses = Losses()

    def on_loss(task: Task, video: str, reason: str) -> Task:
        return task if video == "b" else losses(task, video, reason)

    assert run([again, without], on_loss=on_loss) == [["a", "b", "c"], ["d", "f"]]
    assert bars[0].n == 6


# Runs of their own.


@pytest.fixture
def start() -> Iterator[Start]:
    def begin(tasks: Sequence[Task], *modules: Path, **options: Any) -> subprocess.Popen[str]:
        places = map(str, [*modules, Path(__file__).parents[2]])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
        return start(__file__, json.dumps(tasks), json.dumps(options), env=environment)

    with python_processes() as start:
        yield begin


def hang(folder: Path) -> tuple[list[Task], list[Path]]:
    """Tasks that do not end, and the files that are there once they are at it."""
    marks = [folder / name for name in "ab"]
    return [[("a", f"mark {mark}"), ("b", "sleep 60")] for mark in marks], marks


@linux
def test_ctrl_c(start: Start, tmp_path: Path) -> None:
    tasks, marks = hang(tmp_path)
    process = start(tasks)
    wait_until(lambda: all(mark.exists() for mark in marks))
    workers = set(workers_of(process.pid))
    assert len(workers) == 2

    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=60)

    assert output == ("", "interrupted\n")
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
def test_ctrl_c_passes_workers_by_while_they_start(start: Start, tmp_path: Path) -> None:
    begun, end = tmp_path / "begun", tmp_path / "end"
    (tmp_path / "sitecustomize.py").write_text(STARTED.format(begun=str(begun), end=str(end)))
    process = start([[("a", "")], [("b", "")]], tmp_path)
    wait_until(lambda: begun.exists() and begun.stat().st_size == 2)

    for worker in workers_of(process.pid):
        os.kill(worker, signal.SIGINT)
    end.touch()

    assert process.communicate(timeout=60) == ("[['a'], ['b']]\n", "")


@linux
def test_workers_end_with_a_killed_parent(start: Start, tmp_path: Path) -> None:
    tasks, marks = hang(tmp_path)
    process = start(tasks)
    wait_until(lambda: all(mark.exists() for mark in marks))
    workers = set(workers_of(process.pid))
    assert len(workers) == 2

    process.kill()
    output = process.communicate(timeout=40)  # until the last worker closed its end, too

    assert output == ("", "")
    wait_until(lambda: not alive(workers))


@posix
def test_time_during_which_all_is_stopped_does_not_count(start: Start, tmp_path: Path) -> None:
    task = [("a", f"mark {tmp_path}/begun"), ("b", f"wait {tmp_path}/end")]
    process = start([task], seconds_per_video=1)
    wait_until((tmp_path / "begun").exists)

    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGCONT)
    time.sleep(0.3)
    (tmp_path / "end").touch()

    assert process.communicate(timeout=60) == ("[[1, 'b']]\n", "")


def main(tasks: str, options: str) -> None:
    try:
        print(run(json.loads(tasks), on_loss=Losses(), **json.loads(options)))
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except PipelineError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
