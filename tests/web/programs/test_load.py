"""More than it can do at once, decoders that hang or are killed, and clients that go."""

import contextlib
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.inference.decoding import DecoderKilledError
from pipeline.web.programs.application import _again
from pipeline.web.programs.mistakes import explained
from tests.processes import alive, wait_until, workers_of
from tests.web.programs.conftest import slowly

CLASSIFY = "/v1/classify"


@pytest.fixture
def video(clips):
    return (clips / "0.avi").read_bytes()


@pytest.fixture(scope="module")
def impatient(start, served_runs):
    """A server with one worker, which gives up soon."""
    return start(served_runs["videos"], "--workers", "1", "--timeout", "1.5")


@pytest.fixture(scope="module")
def patient(start, served_runs):
    """A server with one worker, which waits."""
    return start(served_runs["videos"], "--workers", "1")


def warm(server, video):
    """Gives it a decoder."""
    wait_until(lambda: server.json(CLASSIFY, video)[0] == 200)


def test_who_comes_when_too_many_wait_is_sent_away_and_the_others_are_answered(small, video):
    server = small("--most-waiting", "1")
    warm(server, video)
    with server.hanging():
        worked_on = server.begin(CLASSIFY, video)
        server.wait_for("clipline_working_requests", 1)
        waits = server.begin(CLASSIFY, video)
        server.wait_for("clipline_waiting_requests", 1)
        status, headers, body = server.ask(CLASSIFY, video)
        assert (status, headers["retry-after"]) == (429, "2"), body
        assert before_body(server.port, CLASSIFY).startswith(b"HTTP/1.1 429 ")
        assert server.json("/v2/health/live") == (200, {"live": True})
    for each in (worked_on, waits):
        assert server.end(each)[0] == 200


def before_body(port, path):
    """What a client hears that waits for leave to send."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = "Host: localhost\r\nContent-Length: 9\r\nExpect: 100-continue"
        connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        return connection.recv(4096)


def test_told_to_end_it_finishes_what_it_took(small, video):
    server = small()
    uploads = server.uploads
    warm(server, video)
    with server.hanging() as workers:
        taken = [server.begin(CLASSIFY, video) for _ in range(3)]
        server.wait_for("clipline_waiting_requests", 2)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(server.port))
    assert [server.end(each)[0] for each in taken] == [200] * 3
    out, errors = server.process.communicate(timeout=30)
    assert (server.process.returncode, out, errors) == (0, "", "")
    assert alive(workers) == []
    assert not uploads.exists()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("path", [CLASSIFY, "/v1/timeline"])
def test_a_decoder_that_is_killed_is_replaced_and_the_video_tried_again(patient, video, path):
    warm(patient, video)
    wanted = patient.json(path, video)
    with patient.hanging() as (worker,):
        asked = patient.begin(path, video)
        patient.wait_for("clipline_working_requests", 1)
        time.sleep(0.1)
        os.kill(worker, signal.SIGKILL)
        assert patient.end(asked) == wanted
    assert worker not in workers_of(patient.process.pid)


def test_decoders_that_are_killed_again_and_again_cost_one_request(patient, video):
    warm(patient, video)
    with patient.hanging():
        asked = patient.begin(CLASSIFY, video)
        patient.wait_for("clipline_working_requests", 1)
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


def test_a_second_try_is_the_last():
    tries = []

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
        impatient.wait_for("clipline_working_requests", 1)
        status, answer = impatient.end(hangs)
        assert (status, "it took too long" in answer["error"]) == (504, True)
        wait_until(lambda: alive([worker]) == [])
    assert list(impatient.uploads.iterdir()) == []
    warm(impatient, video)


def test_whose_turn_does_not_come_is_told(impatient, video):
    warm(impatient, video)
    with impatient.hanging():
        # Of two that came nearly at once, one is worked on until both are given up.
        asked = [impatient.begin(CLASSIFY, video) for _ in range(2)]
        found = sorted(impatient.end(each)[0] for each in asked)
    assert 504 in found
    warm(impatient, video)


def test_who_goes_leaves_nothing_behind(small, video):
    server = small("--most-waiting", "1")
    warm(server, video)
    with server.hanging() as (worker,):
        asked = [server.begin(CLASSIFY, video)]
        server.wait_for("clipline_working_requests", 1)
        asked.append(server.begin(CLASSIFY, video))
        server.wait_for("clipline_waiting_requests", 1)
        for each in asked:
            each.close()
        server.wait_for("clipline_waiting_requests", 0)
        server.wait_for("clipline_working_requests", 0)
        wait_until(lambda: list(server.uploads.iterdir()) == [])
        assert alive([worker]) == []
    warm(server, video)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.communicate(timeout=30)[1] == ""


def test_who_goes_in_the_middle_of_a_body_leaves_nothing_behind(server, video):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/classify?run=videos HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 9\r\n\r\na"
        )
        wait_until(lambda: len(list(server.uploads.iterdir())) == 1)
    wait_until(lambda: list(server.uploads.iterdir()) == [])


def test_a_body_that_comes_too_slowly_is_given_up(small, video):
    patches = "from pipeline.web import bodies\nbodies.SECONDS_FOR_MORE = 0.3"
    server = small(patches=patches)
    assert server.json(CLASSIFY, slowly(0.05, video[:100], video[100:]))[0] == 200
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na"
        )
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert list(server.uploads.iterdir()) == []


def test_a_body_that_comes_steadily_has_no_longer_than_the_request(impatient):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=0.1) as connection:
        connection.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
        )
        answer = b""
        for _ in range(300):
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(4096)
                break
            connection.sendall(b"a")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_what_nobody_expected_is_one_line_in_the_log(small, video):
    patches = """
from pipeline.web.programs.models import Model
def fail(*_, **__):
    raise ZeroDivisionError("of two\\nlines")
Model.classify = fail
"""
    server = small(patches=patches)
    status, answer = server.json(CLASSIFY, video)
    assert (status, answer) == (
        500,
        {"error": "something went wrong in the server; its log says what"},
    )
    assert list(server.uploads.iterdir()) == []
    server.process.send_signal(signal.SIGTERM)
    errors = server.process.communicate(timeout=30)[1]
    assert errors == "clipline: POST /v1/classify: ZeroDivisionError: of two lines\n"


def test_many_bytes_at_once_are_too_many(start, served_runs, video):
    """All uploads together have a quota."""
    server = start(
        served_runs["videos"],
        "--most-bytes",
        "1K",
        patches="from pipeline.web.programs import options\noptions._QUOTA = 1",
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as other:
        head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        other.sendall(head + bytes(900))
        wait_until(lambda: server.gauge("clipline_received_bytes_total") == 900)
        status, headers, _ = server.ask(CLASSIFY, bytes(200))
        assert (status, headers["retry-after"]) == (503, "5")
    wait_until(lambda: list(server.uploads.iterdir()) == [])
    assert server.json(CLASSIFY, bytes(200))[0] == 422
