"""A real browser for tests, and what is expected of every page in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from urllib.parse import urljoin

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS_CHROMIUM = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
MOST_BYTES = 300_000
TOKEN = "of-the-tests"  # noqa: S105
"""Of the apps that tests start."""

HASTY = """
    const wait = window.setTimeout;
    window.setTimeout = (action, milliseconds, ...others) =>
        wait(action, milliseconds === 2000 ? 100 : milliseconds, ...others);
"""
"""For pages that ask every two seconds what has changed: they ask at once."""

# For machines that are slow, or busy with other tests.
expect.set_options(timeout=30_000)

_SEVERE = ("serious", "critical")


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        words = ["--no-sandbox", *arguments]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=words)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, *, script: str = "", **options: object) -> Iterator[Page]:
    """A page whose console says nothing until it is closed; a script runs in it before its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(60_000)
    context.add_init_script(script)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.said = said
    context.request.get(urljoin(url, f"/?token={TOKEN}"), max_redirects=0)  # makes a cookie
    page.goto(url)
    yield page
    context.close()
    assert not said, said


def findings(page: Page) -> list[str]:
    """What axe finds of a page that keeps somebody out."""
    page.evaluate(files(axe_playwright_python).joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run()")
    return [
        f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']])}"
        for each in found["violations"]
        if each["impact"] in _SEVERE
    ]
