"""Turns, more than it can do at once, decoders that hang or are killed, and clients that go."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ClassVar

import pytest
from starlette.exceptions import HTTPException

from pipeline.inference.decoding import DecoderKilledError
from pipeline.video import iter_frames, write_video
from pipeline.web.programs.application import _again
from pipeline.web.programs.mistakes import explained
from pipeline.web.programs.queue import WorkQueue
from tests.processes import alive, wait_until, workers_of

CLASSIFY = "/v1/classify"
UNEXPECTED = """
from pipeline.web.programs import options
from pipeline.web.programs.models import Model
options._QUOTA = 1
def fail(*_, **__):
    raise ZeroDivisionError("of two\\nlines")
Model.timeline = fail
"""


@pytest.fixture(scope="module")
def small(start, served_runs):
    """Starts one with one run and one worker, which has a decoder."""
    return partial(start, served_runs["videos"], "--workers", "1")


@pytest.fixture(scope="module")
def impatient(small):
    """A server which gives up soon."""
    patches = "from pipeline.web import bodies\nbodies.SECONDS_FOR_MORE = 0.3"
    return small("--timeout", "1.5", patches=patches)


@pytest.fixture(scope="module")
def patient(small):
    """A server which waits, and whose log says nothing but that decoders were killed."""
    server = small("--most-waiting", "1")
    yield server
    assert all("WorkerLostError" in line for line in server.ended().splitlines())


def warm(server, video):
    """Gives it a decoder."""
    wait_until(lambda: server.json(CLASSIFY, video)[0] == 200)


def test_who_comes_when_too_many_wait_is_sent_away_and_the_others_are_answered(patient, video):
    warm(patient, video)
    with patient.hanging():
        worked_on = patient.begin(CLASSIFY, video)
        patient.wait_for("working", 1)
        waits = patient.begin(CLASSIFY, video)
        patient.wait_for("waiting", 1)
        status, headers, body = patient.ask(CLASSIFY, video)
        assert (status, headers["retry-after"]) == (429, "2"), body
        with patient.sent(["Content-Length: 9", "Expect: 100-continue"]) as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 429 ")
        assert patient.json("/v2/health/live") == (200, {"live": True})
    for each in (worked_on, waits):
        assert patient.end(each)[0] == 200


def test_told_to_end_it_finishes_what_it_took_and_its_log_is_empty(small, clips, video, tmp_path):
    server = small()
    uploads = server.uploads
    write_video(tmp_path / "a.avi", [*iter_frames(clips / "0.avi")] * 4, fps=10, codec="MJPG")
    data = (tmp_path / "a.avi").read_bytes()
    for kind in ("classify", "timeline"):
        status, answer = server.json(f"/v1/{kind}", data[: len(data) // 2])
        assert (status, answer["damaged"]) == (200, True)
    with server.hanging() as workers:
        taken = [server.begin(CLASSIFY, video) for _ in range(3)]
        server.wait_for("waiting", 2)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(server.port))
    assert [server.end(each)[0] for each in taken] == [200] * 3
    out, errors = server.process.communicate(timeout=30)
    assert (server.process.returncode, out, errors) == (0, "", "")
    assert alive(workers) == []
    assert not uploads.exists()


def listens(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_a_killed_decoder_is_replaced_and_one_killed_ever_again_costs_a_request(patient, video):
    warm(patient, video)
    wanted = patient.json(CLASSIFY, video)
    with patient.hanging() as (worker,):
        asked = patient.begin(CLASSIFY, video)
        patient.wait_for("working", 1)
        time.sleep(0.1)
        os.kill(worker, signal.SIGKILL)
        assert patient.end(asked) == wanted
    assert worker not in workers_of(patient.process.pid)
    with patient.hanging():
        asked = patient.begin(CLASSIFY, video)
        patient.wait_for("working", 1)
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(patient.end, asked)
            while not answer.done():
                for worker in workers_of(patient.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                time.sleep(0.01)
    status, content = answer.result()
    assert (status, "try again" in content["error"]) == (503, True)
    warm(patient, video)
    tries = []  # of which the second is the last

    def answer(*given):
        tries.append(given)
        raise DecoderKilledError("a.mp4", "killed (SIGKILL).")

    with pytest.raises(DecoderKilledError) as killed:
        _again(answer, None, "a.mp4", "a")
    assert tries == [(None, "a.mp4", "a")] * 2
    assert explained(killed.value).status_code == 503


def test_a_video_that_hangs_is_given_up_and_so_is_who_waited_behind_it(impatient, video):
    warm(impatient, video)
    with impatient.hanging() as (worker,):
        hangs = impatient.begin(CLASSIFY, video)
        impatient.wait_for("working", 1)
        status, answer = impatient.end(hangs)
        assert (status, "it took too long" in answer["error"]) == (504, True)
        wait_until(lambda: alive([worker]) == [])
    assert list(impatient.uploads.iterdir()) == []
    warm(impatient, video)
    with impatient.hanging():
        # Of two that came nearly at once, one is worked on until both are given up.
        asked = [impatient.begin(CLASSIFY, video) for _ in range(2)]
        assert 504 in [impatient.end(each)[0] for each in asked]
    warm(impatient, video)


def test_who_goes_leaves_nothing_behind(patient, video):
    warm(patient, video)
    with patient.hanging() as (worker,):
        asked = [patient.begin(CLASSIFY, video)]
        patient.wait_for("working", 1)
        asked.append(patient.begin(CLASSIFY, video))
        patient.wait_for("waiting", 1)
        for each in asked:
            each.close()
        patient.wait_for("waiting", 0)
        patient.wait_for("working", 0)
        wait_until(lambda: list(patient.uploads.iterdir()) == [])
        assert alive([worker]) == []
    warm(patient, video)
    with patient.sent(["Content-Length: 9"], b"a"):  # in the middle of a body
        wait_until(lambda: len(list(patient.uploads.iterdir())) == 1)
    wait_until(lambda: list(patient.uploads.iterdir()) == [])


def slowly(pause, *parts):
    """Parts of a body that come after each other."""
    for part in parts:
        yield part
        time.sleep(pause)


def test_a_body_has_no_longer_for_its_next_byte_and_as_a_whole_than_it_may(impatient, video):
    assert impatient.json(CLASSIFY, slowly(0.05, video[:100], video[100:]))[0] == 200
    with impatient.sent(["Content-Length: 9"], b"a") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert list(impatient.uploads.iterdir()) == []
    with impatient.sent(["Content-Length: 9999"], timeout=0.1) as connection:
        answer = b""
        for _ in range(300):
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(4096)
                break
            connection.sendall(b"a")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_many_bytes_at_once_are_too_many_and_what_nobody_expected_is_one_line(small, video):
    """All uploads together have a quota; it is that of one of them here."""
    most = len(video)
    server = small("--most-bytes", str(most), patches=UNEXPECTED)
    with server.sent([f"Content-Length: {most}"], bytes(most - 100)):
        wait_until(lambda: server.gauge("clipline_received_bytes_total") == most - 100)
        status, headers, _ = server.ask(CLASSIFY, bytes(200))
        assert (status, headers["retry-after"]) == (503, "5")
    wait_until(lambda: list(server.uploads.iterdir()) == [])
    assert server.json(CLASSIFY, bytes(200))[0] == 422
    reason = "something went wrong in the server; its log says what"
    assert server.json("/v1/timeline", video) == (500, {"error": reason})
    assert list(server.uploads.iterdir()) == []
    assert server.ended() == "clipline: POST /v1/timeline: ZeroDivisionError: of two lines\n"


class Nothing:
    """In place of a decoder; all that were made are in `made`."""

    made: ClassVar = []
    is_stopped = is_closed = False

    def __init__(self):
        self.made.append(self)

    def stop(self):
        self.is_stopped = True

    def close(self):
        self.is_closed = True


async def status_of(work):
    with pytest.raises(HTTPException) as refused:
        await work
    return refused.value.status_code


async def take_turns():
    made, go_on = Nothing.made, threading.Event()
    queue = WorkQueue(at_once=1, most_waiting=1, make_decoder=Nothing)
    now = asyncio.get_running_loop().time

    async def begun(work, seconds=60):
        task = asyncio.create_task(queue.do(work, until=now() + seconds))
        await asyncio.sleep(0)
        return task

    def wait(_):
        return go_on.wait(20)

    queue.check_room()
    first = await begun(wait)
    queue.check_room()
    second = await begun(lambda _: 2)
    assert await status_of(await begun(lambda _: None)) == 429
    second.cancel()
    await asyncio.wait([second])
    queue.check_room()
    assert await status_of(await begun(lambda _: None, 0.05)) == 503
    assert (queue.waiting, queue.working) == (0, 1)
    go_on.set()
    assert await first is True
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await (await begun(lambda _: 1 // 0))
    assert await (await begun(lambda decoder: decoder)) is made[0]
    # Who takes too long has another decoder after it.
    go_on.clear()
    assert await status_of(await begun(wait, 0.05)) == 504
    assert made[0].is_stopped
    assert queue.working == 1, "the thread still works"
    assert await status_of(await begun(lambda _: None, 0.05)) == 503
    go_on.set()
    assert await (await begun(lambda decoder: decoder)) is made[1]
    assert (made[0].is_closed, len(made)) == (True, 2)
    queue.close()


def test_turns_end_in_time_and_no_more_wait_than_may():
    asyncio.run(take_turns())
