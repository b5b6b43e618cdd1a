"""Names and addresses as they are shown, and what libraries write beside it."""

import html
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pipeline.errors import VideoDecodeError
from pipeline.native_log import silent_native_log
from pipeline.text import code, listed, markdown, visible, without_secrets

HOSTILE = [
    "![x](http://a/b.png)",
    "` ![x](http://a/b.png) `",
    "``` <img src=x> ```",
    "<img src=http://a/b.png>",
    "&lt;<!-- --><b>",
    "[x](http://a) <http://a> **x** _x_ ~~x~~",
    *("a|b", "a\\", "\\`a", "a`"),
    "a\n\n# b\r<hr>",
    "\x1b]8;;http://a\x07x",
]


def test_a_name_is_text_in_markdown_and_in_a_list_and_a_source_shows_no_secret():
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tags = {"ul", "li", "code", "table", "thead", "tr", "th"}
    for name in HOSTILE:
        table = f"| x | {markdown(name)} |\n| --- | --- |"
        for page in (f"- a {markdown(name)}: b", f"- a {code(name)}: b", table):
            rendered = parser.render(page)
            assert set(re.findall(r"<(\w+)", rendered)) <= tags
            assert visible(name) in html.unescape(rendered)
    assert listed(["a\x1b[1m", "b\nc"]) == "a\\u001b[1m, b\\u000ac"
    for source, shown in (
        ("0", "0"),
        ("clips/a@b?token=1.mp4", "clips/a@b?token=1.mp4"),
        ("rtsp://camera:554/stream1", "rtsp://camera:554/stream1"),
        ("rtsp://ann:SECRET@camera:554/stream1", "rtsp://***@camera:554/stream1"),
        ("rtsp://ann:SEC/@RE:T?#@camera/1", "rtsp://***@camera/1"),
        ("rtsp://ann@camera/1", "rtsp://***@camera/1"),
        ("http://camera/1?user=ann&PWD=SECRET&n=2", "http://camera/1?user=***&PWD=***&n=2"),
        ("https://host/a.m3u8?access_token=SECRET#t=1", "https://host/a.m3u8?access_token=***#t=1"),
        ("no arguments: rtsp://ann:SECRET@camera/1 left", "no arguments: rtsp://***@camera/1 left"),
    ):
        assert without_secrets(source) == shown
        error = VideoDecodeError(source, "it is gone.")
        assert (error.path, str(error)) == (shown, f"{shown}: it is gone.")


def place(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def next_descriptor():
    descriptor = os.dup(2)
    os.close(descriptor)
    return descriptor


def test_what_libraries_write_is_dropped_and_the_descriptor_left_as_it_was(capfd):
    before, free = place(2), next_descriptor()

    def fail():
        os.write(2, b"a note")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"), silent_native_log():
        fail()
    os.write(2, b"an error")
    assert capfd.readouterr().err == "an error"
    assert place(2) == before
    assert next_descriptor() == free
    # Of threads that overlap, the first leaves first: what it brought back was taken away for good.
    entered, left = threading.Event(), threading.Event()

    def enter_second():
        with silent_native_log():
            entered.set()
            left.wait()

    thread = threading.Thread(target=enter_second)
    with silent_native_log():
        silenced = place(2)
        thread.start()
        entered.wait()
    still = place(2)
    left.set()
    thread.join()
    with Path(os.devnull).open() as nowhere:
        assert silenced == still == place(nowhere.fileno()) != before
    assert place(2) == before
    # What Python writes is left.
    dropped = """
import os, sys
from pipeline.native_log import drop_native_log
drop_native_log()
os.write(2, b"a note")
print("an error", file=sys.stderr)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", dropped], capture_output=True)
    assert done.stderr == b"an error\n"
