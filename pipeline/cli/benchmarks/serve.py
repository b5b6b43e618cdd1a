"""The server under load: many clients at once, against `clipline classify` on the same files."""

import contextlib
import http.client
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from pipeline.cli.listening import VARIABLE
from pipeline.cli.script import Parser, named_run, positive
from pipeline.errors import DataError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import find_videos
from pipeline.run import Run
from pipeline.workers.pool import num_cores

EXPLANATION = """\
{number} files, asked of one server for {minutes:g} minutes by {clients} clients at once, on {cores}
CPU cores; each answer is compared with that of Classifier.predict for the file.

  classify  files a second by clipline classify, before and after; its start is left out
  server    requests a second; the clients take their share of the cores, too
"""
_TOKEN = secrets.token_urlsafe()
_SAME = 1e-4
_FEWEST = 4
_TICK = 1e-3
_MEMORY_SAMPLES = 5


@dataclass
class Load:
    """What came of requests; for threads.

    Attributes:
        seconds: How long each took that was answered.
        wrong: Answers that are not those of their files.
        lost: Requests without an answer, and why.
        megabytes: Memory of the server and its decoders, now and then.
        killed: Decoders that were killed.
        elapsed_seconds: From the first request to the last answer.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    killed: int = 0
    elapsed_seconds: float = 0.0


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser(
        "The server under load, against clipline classify.",
        "benchmark serve",
        "VIDEO VIDEO --run runs/NAME",
    )
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="Video files, folders of them, or patterns."
    )
    parser.add_run()
    parser.add_argument("--clients", type=positive, default=16, help="How many ask at once.")
    parser.add_argument("--minutes", type=float, default=1.0, help="How long they ask.")
    parser.add_argument(
        "--kill", type=float, default=0.0, help="Kill a decoder every so many seconds; 0: none."
    )
    options = parser.parse(arguments)
    run, paths = named_run(options), find_videos(options.videos)
    if len(paths) < _FEWEST:
        raise DataError(f"expected {_FEWEST} files or more, got {len(paths)}")
    about = {"number": len(paths), "cores": num_cores(), "minutes": options.minutes}
    print(EXPLANATION.format(clients=options.clients, **about), flush=True)
    wanted = truth_of(run, paths)
    before = classified_a_second(run, paths)
    seconds = 60 * options.minutes
    load = measure(run, wanted, clients=options.clients, seconds=seconds, kill=options.kill)
    after = classified_a_second(run, paths)
    _show(load, (before, after))


def truth_of(run: Run, paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By file, the answer of `Classifier.predict`, or why there is none."""
    classifier = Classifier(run, num_threads=1)

    def answer(path: str) -> dict[str, Any]:
        try:
            return {**classifier.predict(path).as_json(), "path": Path(path).name}
        except VideoDecodeError as error:
            return {"error": error.reason}

    with ThreadPoolExecutor(num_cores()) as threads:
        return dict(zip(paths, threads.map(answer, paths), strict=True))


def classified_a_second(run: Run, paths: Sequence[str]) -> float:
    """Files a second by `clipline classify`, its start and that of its decoders left out."""
    started, all_of_them = (_classify(run, some) for some in (paths[:2], paths))
    return (len(paths) - 2) / max(all_of_them - started, _TICK)


def _classify(run: Run, paths: Sequence[str]) -> float:
    """Seconds that it takes."""
    command = [sys.executable, "-m", "pipeline.cli", "classify", "--json", "--run", str(run.folder)]
    start = time.perf_counter()
    subprocess.run(  # noqa: S603
        [*command, "--", *paths], check=False, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def measure(
    run: Run, wanted: dict[str, dict[str, Any]], *, clients: int, seconds: float, kill: float = 0.0
) -> Load:
    """What comes of requests that clients make one after the other, each for the next file."""
    load = Load()
    bodies = {path: Path(path).read_bytes() for path in wanted}
    order = itertools.cycle(wanted)
    with _server(run) as (process, port), ThreadPoolExecutor(clients) as threads:
        start = time.monotonic()
        end = start + seconds
        over = threading.Event()
        watches = [threading.Thread(target=_watch, args=(load, process, seconds, over))]
        if kill:
            watches.append(threading.Thread(target=_kill, args=(load, process, kill, over)))
        for watch in watches:
            watch.start()
        asked = [
            threads.submit(_client, load, port, order, bodies, wanted, end) for _ in range(clients)
        ]
        for each in asked:
            each.result()
        load.elapsed_seconds = time.monotonic() - start
        over.set()
        for watch in watches:
            watch.join()
    return load


@contextlib.contextmanager
def _server(run: Run) -> Iterator[tuple[int, int]]:
    """The numbers of the process and of the port of a server."""
    command = [sys.executable, "-m", "pipeline.cli", "serve", str(run.folder), "--port", "0"]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, VARIABLE: _TOKEN}
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise DataError("the server did not start")
        try:
            yield process.pid, int(line.partition("/?")[0].rpartition(":")[2])
        finally:
            process.terminate()
            process.communicate()


def _client(
    load: Load,
    port: int,
    order: Iterator[str],
    bodies: dict[str, bytes],
    wanted: dict[str, dict[str, Any]],
    end: float,
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.monotonic() < end:
        path = next(order)
        start = time.perf_counter()
        try:
            headers = {
                "Content-Type": "application/octet-stream",
                "Authorization": f"Bearer {_TOKEN}",
            }
            target = f"/v1/classify?name={quote(Path(path).name)}"
            connection.request("POST", target, bodies[path], headers)
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            load.lost.append(f"{path}: {type(error).__name__}")
            connection.close()
            continue
        load.seconds.append(time.perf_counter() - start)
        if not is_same(answer, wanted[path]):
            load.wrong.append(f"{path}: {answer.get('error', answer.get('label'))}")
    connection.close()


def is_same(found: Any, wanted: Any) -> bool:
    """Whether JSON types are the same, numbers nearly: of files with other threads.

    Example:
        >>> is_same({"a": [0.5]}, {"a": [0.500001]}), is_same({"a": [0.5]}, {"a": [0.6]})
        (True, False)
    """
    if isinstance(wanted, dict):
        both = isinstance(found, dict) and found.keys() == wanted.keys()
        return both and all(is_same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        both = isinstance(found, list) and len(found) == len(wanted)
        return both and all(map(is_same, found, wanted))
    if isinstance(wanted, float):
        return isinstance(found, int | float) and abs(found - wanted) < _SAME
    return bool(found == wanted)


def _watch(load: Load, process: int, seconds: float, over: threading.Event) -> None:
    """Looks at the memory of a server, where the system tells of it."""
    while not over.wait(seconds / _MEMORY_SAMPLES):
        resident = sum(map(_resident_megabytes, [process, *_decoders(process)]))
        load.megabytes += [resident] if resident else []


def _kill(load: Load, process: int, every: float, over: threading.Event) -> None:
    while not over.wait(every):
        for decoder in _decoders(process)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(decoder, signal.SIGKILL)
                load.killed += 1


def _decoders(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for each in lists for child in each.read_text().split()]
    return [child for child in children if b"spawn_main" in _read(f"/proc/{child}/cmdline")]


def _resident_megabytes(process: int) -> float:
    for line in _read(f"/proc/{process}/status").decode().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1e3
    return 0.0


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _show(load: Load, by_classify: tuple[float, float]) -> None:
    classify, server = sum(by_classify) / 2, len(load.seconds) / load.elapsed_seconds
    middle, most = np.quantile(load.seconds or [0.0], (0.5, 0.95))
    memory = ", ".join(f"{each:.0f}" for each in load.megabytes) or "unknown"
    print(f"classify       {by_classify[0]:6.1f} and {by_classify[1]:.1f} files a second")
    print(f"server         {server:6.1f} requests a second, {server / classify:.2f} of classify")
    print(f"answered after {middle:6.2f} s in the middle, 95 % after {most:.2f} s")
    print(f"memory         {memory} MB, with its decoders")
    counts = f"{len(load.wrong)} of another file or wrong, {len(load.lost)} lost"
    print(f"answers        {len(load.seconds):6,}; {counts}; {load.killed} decoders killed")
    for each in (load.wrong + load.lost)[:10]:
        print(f"  {each}")
