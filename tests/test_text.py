import html
import re

import pytest
from markdown_it import MarkdownIt

from pipeline.errors import VideoDecodeError
from pipeline.text import code, listed, markdown, visible, without_secrets

HOSTILE = [
    "![x](http://a/b.png)",
    "` ![x](http://a/b.png) `",
    "``` <img src=x> ```",
    "<img src=http://a/b.png>",
    "&lt;<!-- --><b>",
    "[x](http://a) <http://a> **x** _x_ ~~x~~",
    "a|b",
    "a\\",
    "\\`a",
    "a`",
    "a\n\n# b\r<hr>",
    "\x1b]8;;http://a\x07x",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("write", [markdown, code])
def test_a_name_is_text_in_markdown(write, name):
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    line = f"- a {write(name)}: b"
    for page in (line, f"| x | {write(name)} |\n| --- | --- |") if write is markdown else (line,):
        rendered = parser.render(page)
        assert set(re.findall(r"<(\w+)", rendered)) <= {
            *("ul", "li", "code"),
            *("table", "thead", "tr", "th"),
        }
        assert visible(name) in html.unescape(rendered)


def test_the_names_of_a_list_show_what_they_hold():
    assert listed(["a\x1b[1m", "b\nc"]) == "a\\u001b[1m, b\\u000ac"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "0"),
        ("clips/a@b?token=1.mp4", "clips/a@b?token=1.mp4"),
        ("rtsp://camera:554/stream1", "rtsp://camera:554/stream1"),
        ("rtsp://ann:SECRET@camera:554/stream1", "rtsp://***@camera:554/stream1"),
        ("rtsp://ann:SEC/@RE:T?#@camera/1", "rtsp://***@camera/1"),
        ("rtsp://ann@camera/1", "rtsp://***@camera/1"),
        (
            "http://camera/1?user=ann&PWD=SECRET&channel=2",
            "http://camera/1?user=***&PWD=***&channel=2",
        ),
        ("https://host/a.m3u8?access_token=SECRET#t=1", "https://host/a.m3u8?access_token=***#t=1"),
        ("no arguments: rtsp://ann:SECRET@camera/1 left", "no arguments: rtsp://***@camera/1 left"),
    ],
)
def test_what_is_shown_of_a_source(source, shown):
    assert without_secrets(source) == shown
    error = VideoDecodeError(source, "it is gone.")
    assert (error.path, str(error)) == (shown, f"{shown}: it is gone.")
