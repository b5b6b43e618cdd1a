"""A server as a process of its own, who may ask, and how the pages are started."""

import contextlib
import os
import re
import signal
import socket
import stat
import time
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import expect
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from pipeline.errors import ConfigError
from pipeline.web.application import application
from pipeline.web.guard import Guard
from pipeline.web.pages import answer_error
from pipeline.web.server import serve
from pipeline.web.workspace import Workspace
from tests.processes import python_processes, wait_until
from tests.web import asgi
from tests.web.asgi import asked_of, scope_of
from tests.web.browser import NEEDS_CHROMIUM
from tests.web.conftest import SCRIPT, App

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
    return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def test_who_does_not_say_what_is_wanted_is_not_waited_for_and_what_is_slow_not_cut_off(address):
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
    # Neither an answer nor a body is cut off, though each takes longer than saying what is wanted.
    with connected(address) as connection:
        for _ in range(2):
            say(connection, "GET /slow HTTP/1.1\nHost: localhost\n\n")
            parts = iter(lambda: connection.recv(4096), b"")
            assert any(part.endswith(b"done") for part in parts), "it has closed"
        say(connection, "POST /body HTTP/1.1\nHost: localhost\nContent-Length: 4\n")
        say(connection, "Connection: close\n\nab")
        time.sleep(0.7)
        say(connection, "cd")
        assert heard(connection).endswith("\r\n\r\n4")


def test_a_port_that_is_taken_and_what_went_wrong_are_told_on_the_terminal(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port}: Address already in use.*{port + 1}"):
            serve(None, host="127.0.0.1", port=port, token="", on_start=print)
    with pytest.raises(ConfigError, match="--port: expected 0 to 65535, got 65536"):
        serve(None, host="127.0.0.1", port=65_536, token="", on_start=print)
    found = answer_error(Request(scope_of()), RuntimeError("of this file"))
    assert found.status_code == 500
    assert b"something went wrong in the server; its terminal says what" in found.body
    assert capsys.readouterr().err == "clipline: RuntimeError: of this file\n"
    found = answer_error(Request(scope_of()), OSError(28, "No space left"))
    assert b"No space left" in found.body
    assert capsys.readouterr().err == ""


# Who may ask, without a network.

OWN = "127.0.0.1:8000"
SECRET = "s+cret/&"  # noqa: S105


async def inside(scope, receive, send):
    await PlainTextResponse("inside")(scope, receive, send)


def ask(guard, path="/", *, method="GET", host=OWN, query="", **headers):
    """The status, headers and text that come back; of `headers`, _ stands for -."""
    pairs = [("host", each) for each in ([host] if isinstance(host, str) else host)]
    pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return asgi.ask(guard, path, method=method, query=query, headers=pairs)


guarded = partial(ask, Guard(inside, token="", loopback=True))
"""Asks what answers this machine alone."""

locked = partial(ask, Guard(inside, token=SECRET, loopback=False, open_paths=("/v2/health/live",)))
"""Asks what wants a token."""


def test_this_machine_is_let_in_by_any_of_its_names_and_no_other_host_or_page_but_by_a_link():
    for host in (OWN, "localhost", "LOCALHOST:80", "[::1]:8000", "127.0.0.2"):
        status, headers, text = guarded(host=host)
        assert (status, text) == (200, "inside")
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    others = (
        "evil.example evil.example:8000 127.0.0.1.evil.example localhost.evil.example:8000 "
        "10.0.0.1:8000 0.0.0.0:8000"
    )
    for host in others.split():
        assert guarded(host=host)[0] == 421, host
    none = ("127.0.0.1@evil.example", "127.0.0.1:8000/evil", "", "a" * 300)
    for host in (*none, [], [OWN, "evil.example"]):
        assert guarded(host=host)[0] == 400, host
    pages = (
        "http://evil.example http://127.0.0.1:9000 http://localhost:8000 null "
        "http://127.0.0.1:8000.evil.example http://evil.example/127.0.0.1:8000 "
        "http://a@127.0.0.1:8000"
    )
    own = {"origin": f"http://{OWN}", "sec_fetch_site": "same-origin"}
    for method in ("POST", "PUT", "DELETE", "GET"):
        for origin in (*pages.split(), ""):
            assert guarded(method=method, origin=origin)[0] == 403, origin
        assert guarded(method=method, **own)[0] == 200
        assert guarded(method=method)[0] == 200, "a program says no origin"
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert guarded(**link, sec_fetch_dest="document")[0] == 200
    assert guarded(**link, sec_fetch_dest="iframe")[0] == 403
    assert guarded(**link, sec_fetch_dest="document", method="POST")[0] == 403
    for site in ("cross-site", "same-site"):
        picture = {"sec_fetch_site": site, "sec_fetch_mode": "no-cors"}
        assert guarded(**picture, sec_fetch_dest="image")[0] == 403


def test_a_token_opens_and_an_address_with_it_is_left_for_one_without():
    for headers in (
        {},
        *({"authorization": each} for each in ("Bearer wrong", "Bearer ", f"Basic {SECRET}")),
        *({"cookie": f"clipline-{each}"} for each in ("8000=wrong", "8000", f"9000={SECRET}")),
        {"cookie": "\x00;=;"},
    ):
        status, answer, text = locked(**headers)
        assert (status, answer["www-authenticate"]) == (401, "Bearer")
        assert "inside" not in text
    assert locked(query="token=wrong")[0] == 401
    assert locked(query="token=")[0] == 401
    # Such an address may be in a page of another site.
    assert locked(method="POST", query=f"token={quote(SECRET)}")[0] == 401
    assert locked("/v2/health/live")[0] == 200
    assert locked("/v2/health/live/")[0] == 401
    # Who knows it comes in.
    assert locked(authorization=f"Bearer {SECRET}")[0] == 200
    assert locked(host="lab.example:8000", authorization=f"bearer {SECRET}")[0] == 200
    status, headers, _ = locked("/label/a b", query=f"a=1&token={quote(SECRET)}&b=%26")
    assert (status, headers["location"]) == (303, "/label/a%20b?a=1&b=%26")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert locked(cookie=cookie.partition("; ")[0])[0] == 200
    for path in ("//evil.example", "/\\evil.example", "///evil.example"):  # never another host
        _, headers, _ = locked(path, query=f"token={quote(SECRET)}")
        assert headers["location"] == "/evil.example"


def test_programs_are_told_in_json_what_people_read_and_which_tokens_there_can_be():
    for asked, headers, status in ((locked, {}, 401), (guarded, {"origin": "null"}, 403)):
        for accept, kind, begin in (
            ("*/*", "application/json", '{"error":"this '),
            ("text/html,*/*;q=0.8", "text/plain; charset=utf-8", "this "),
        ):
            found, about, text = asked(**headers, accept=accept)
            assert (found, about["content-type"]) == (status, kind)
            assert text.startswith(begin)
    for token in ("schlüssel", "two words", "two\nlines"):
        with pytest.raises(ConfigError, match="expected a token of letters, digits and signs"):
            Guard(inside, token=token, loopback=True)
    with pytest.raises(ConfigError, match="needs a token"):
        Guard(inside, token="", loopback=False)


@pytest.fixture
def start(tmp_path):
    """Starts the app on an empty folder, with a browser that writes what it is told."""
    (tmp_path / "work").mkdir()
    told = tmp_path / "told"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$@" > {told}.new; mv {told}.new {told}\n')
    (tmp_path / "browser").chmod(0o700)
    environment = {**os.environ, "BROWSER": f"{tmp_path / 'browser'} %s"}
    environment.pop("CLIPLINE_TOKEN", None)
    with python_processes() as python:

        def start(*options):
            words = (SCRIPT, tmp_path / "work", "--port", 0, *options)
            process = python(*words, env=environment)
            address = process.stdout.readline().split(": ")[1].split(" ")[0]
            return App(process, address.partition("/?")[0].rstrip("/"), tmp_path), address

        yield start


def test_without_the_token_nothing_answers_unless_there_is_none(start, tmp_path):
    def statuses(app):
        routes = application(Workspace(tmp_path / "work"), lambda: False).routes
        known = {"headers": {"Authorization": ""}}
        return {each: app.ask(each[1], method=each[0], **known)[0] for each in asked_of(routes)}

    app, address = start("--no-browser")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", address)
    found = statuses(app)
    assert len(found) > 40
    assert set(found.values()) == {401}
    who_keeps_cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    assert who_keeps_cookies.open(address).status == 200
    commands = Path(f"/proc/{app.process.pid}/cmdline").read_text()
    assert address.rpartition("=")[2] not in commands
    app, address = start("--no-browser", "--no-token")
    assert "token" not in address
    assert 401 not in statuses(app).values()


@NEEDS_CHROMIUM
def test_the_browser_is_told_of_a_page_that_others_cannot_read(start, browser, tmp_path):
    app, address = start()
    wait_until((tmp_path / "told").exists)
    url = (tmp_path / "told").read_text().strip()
    page = Path(urllib.parse.urlsplit(url).path)
    assert url.startswith("file://")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    opened = browser.new_page()
    opened.goto(url)
    expect(opened).to_have_url(address.partition("?")[0])
    expect(opened.get_by_role("heading", level=1)).to_be_visible()
    opened.close()
    app.process.send_signal(signal.SIGINT)
    assert app.process.wait(30) == 0
    assert not page.exists()
