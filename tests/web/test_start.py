"""Starting the pages: who is let in, and what others of the machine can see."""

import os
import re
import signal
import stat
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.web.application import application
from pipeline.web.workspace import Workspace
from tests.processes import python_processes, wait_until
from tests.web.asgi import asked_of
from tests.web.browser import NEEDS_CHROMIUM
from tests.web.conftest import SCRIPT, App


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
