"""A server as a process of its own, over real connections."""

import contextlib
import socket
import time

import pytest
from starlette.requests import Request

from pipeline.errors import ConfigError
from pipeline.web.pages import answer_error
from pipeline.web.server import serve
from tests.processes import python_processes
from tests.web.asgi import scope_of

CODE = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from pipeline.web import server

async def slow(request):
    await asyncio.sleep(0.7)
    return PlainTextResponse("done")

async def body(request):
    return PlainTextResponse(str(len(await request.body())))

app = Starlette(routes=[Route("/slow", slow), Route("/body", body, methods=["POST"])])
server._SECONDS_FOR_HEADERS = 0.5
server.serve(
    app, host="127.0.0.1", port=0, token="", on_start=lambda address: print(address, flush=True)
)
"""


@pytest.fixture(scope="module")
def address():
    with python_processes() as python:
        yield python("-c", CODE).stdout.readline().strip()


def connected(address):
    port = int(address.rstrip("/").rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def say(connection, text):
    connection.sendall(text.replace("\n", "\r\n").encode())


def heard(connection):
    """Everything until the other end closes."""
    parts = []
    while part := connection.recv(4096):
        parts.append(part)
    return b"".join(parts).decode()


def test_who_does_not_say_what_is_wanted_is_not_waited_for(address):
    begun = "GET /slow HTTP/1.1\nHost: localh"
    texts = ("", begun, "GET /none HTTP/1.1\nHost: localhost\n\nGET ")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(address)) for _ in texts]
        for connection, text in zip(connections, texts, strict=True):
            say(connection, text)
        for connection in connections:
            assert "200 OK" not in heard(connection)
    assert time.monotonic() - began < 15, "no more than the default of any library"


def test_what_is_slow_is_not_cut_off(address):
    """Neither an answer nor a body, though they take longer than saying what is wanted may."""
    with connected(address) as connection:
        for _ in range(2):
            say(connection, "GET /slow HTTP/1.1\nHost: localhost\n\n")
            answer = connection.recv(4096).decode()
            while not answer.endswith("done"):
                answer += connection.recv(4096).decode()
        say(connection, "POST /body HTTP/1.1\nHost: localhost\nContent-Length: 4\n")
        say(connection, "Connection: close\n\nab")
        time.sleep(0.7)
        say(connection, "cd")
        assert heard(connection).endswith("\r\n\r\n4")


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port}: Address already in use.*{port + 1}"):
            serve(None, host="127.0.0.1", port=port, token="", on_start=print)
    with pytest.raises(ConfigError, match="--port: expected 0 to 65535, got 65536"):
        serve(None, host="127.0.0.1", port=65_536, token="", on_start=print)


def test_what_went_wrong_is_on_the_terminal_and_not_in_the_answer(capsys):
    found = answer_error(Request(scope_of()), RuntimeError("of this file"))
    assert found.status_code == 500
    assert b"something went wrong in the server; its terminal says what" in found.body
    assert capsys.readouterr().err == "clipline: RuntimeError: of this file\n"
    found = answer_error(Request(scope_of()), OSError(28, "No space left"))
    assert b"No space left" in found.body
    assert capsys.readouterr().err == ""
