"""Starting the pages: who is let in, and what others of the machine can see."""

import os
import re
import signal
import stat
import urllib.error
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
from tests.web.conftest import SCRIPT


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
            return process, process.stdout.readline().split(": ")[1].split(" ")[0], told

        yield start


def status_of(base, method, path):
    request = urllib.request.Request(urllib.parse.urljoin(base, path), method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_without_the_token_nothing_answers_unless_there_is_none(start, tmp_path):
    process, address, _ = start("--no-browser")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", address)
    base = address.partition("?")[0]
    routes = application(Workspace(tmp_path / "work"), lambda: False).routes
    statuses = {each: status_of(base, *each) for each in asked_of(routes)}
    assert len(statuses) > 40
    assert set(statuses.values()) == {401}
    who_keeps_cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    assert who_keeps_cookies.open(address).status == 200
    assert address.rpartition("=")[2] not in Path(f"/proc/{process.pid}/cmdline").read_text()
    _, address, _ = start("--no-browser", "--no-token")
    assert "token" not in address
    assert status_of(address, "GET", "/") == 200


@NEEDS_CHROMIUM
def test_the_browser_is_told_of_a_page_that_others_cannot_read(start, browser):
    process, address, told = start()
    wait_until(told.exists)
    url = told.read_text().strip()
    page = Path(urllib.parse.urlsplit(url).path)
    assert url.startswith("file://")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    opened = browser.new_page()
    opened.goto(url)
    expect(opened).to_have_url(address.partition("?")[0])
    expect(opened.get_by_role("heading", level=1)).to_be_visible()
    opened.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert not page.exists()
