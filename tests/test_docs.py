"""The pages of docs/ and README.md: their commands, links and messages are those of the code."""

import ast
import doctest
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.config.prepare import PrepareConfig
from pipeline.video import write_video
from tests.processes import python_processes

PACKAGE = Path(pipeline.__file__).parent
ROOT = PACKAGE.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data/README.md", *DOCS.rglob("*.md")]
sys.path.insert(0, str(DOCS))

import hooks  # noqa: E402

FENCE = re.compile(r"^(<!-- run -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kinds: tuple[str, ...], *, only_run: bool = False) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [text for run, kind, text in found if kind in kinds and (run or not only_run)]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Names and arguments of the commands of a block, of pipes the last part."""
    lines = (re.sub(r"\s+#.*", "", line) for line in text.splitlines())
    parts = (part.strip() for line in lines for part in re.split(r" \| | && ", line))
    found = (re.match(r"(?:\S*/)?clipline (\w+)\b(.*)", part) for part in parts)
    return [(match[1], shlex.split(match[2])) for match in found if match]


EVERY_COMMAND = [
    pytest.param(name, words, id=f"{named(page)}: {name} {' '.join(words)}"[:100])
    for page in PAGES
    for text in blocks(page, ("", "sh"))
    for name, words in commands(text)
]


class Parsed(Exception):  # noqa: N818
    """The command line was understood."""


@pytest.mark.parametrize(("name", "words"), EVERY_COMMAND)
def test_every_command_of_the_docs_is_understood(name, words, monkeypatch, tmp_path):
    """It parses with the real parser, and its own checks find no mistake in it."""
    from pipeline.cli import parser, script

    def stop(parse):
        def parse_and_stop(self, arguments):
            options = parse(self, arguments)
            if name == "prepare":
                PrepareConfig(**vars(options))
            elif isinstance(self, parser.ConfigParser) and name != "benchmark":
                parser.run_config(options)
            raise Parsed

        return parse_and_stop

    monkeypatch.setattr(script.Parser, "parse", stop(script.Parser.parse))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("[temporal]\nunits = 64\n")
    with pytest.raises(Parsed):
        hooks.main_of(name)(words)


def test_commands_and_links_are_found_and_pages_of_keys_and_commands_made():
    assert len(EVERY_COMMAND) > 60
    assert set(hooks.COMMANDS) == {each.values[0] for each in EVERY_COMMAND}
    assert doctest.testmod(hooks).failed == 0
    link = hooks.links_within_site("[a](../../data/README.md#x)", "how-to/b.md")
    assert link == "[a](../data.md#x)"
    assert hooks.links_within_site("[a](docs/how-to/b.md)", "contributing.md") == "[a](how-to/b.md)"
    page = hooks.keys_page()
    keys = ("data", "clip.num_frames", "augment.crop", "train.precision", "temporal.units")
    for name in (*keys, "--group-regex", "--val-fraction", "--flow"):
        assert f"| `{name}` |" in page
    assert '| `clip.short` | `mask`, `loop`, `hold` | `"mask"` |' in page
    assert all(each.count(" | ") == 3 for each in page.splitlines() if each.startswith("| `"))
    page = hooks.commands_page()
    for text in (*(f"\n## {name}\n" for name in hooks.COMMANDS), "--preflight", "--timeline"):
        assert text in page
    assert "--train.epochs EPOCHS" not in page  # They have a page of their own.


QUICK = {
    "prepare": ["--size", "8", "--fps", "10", "--workers", "1"],
    "train": shlex.split(
        "--train.epochs 1 --backbone.filters [4] --temporal.units 4 --augment.flip 0 "
        "--train.learning_rate 0.02 --train.precision float32 --clip.num_frames 4 --clip.views 1"
    ),
}
"""Options that make a command of the docs quick on tiny videos."""


def test_the_tutorial_runs_and_the_server_of_the_docs_answers(
    blob_videos, capsys, monkeypatch, tmp_path
):
    """In a folder as the tutorial assumes it; a program of the docs asks the server."""
    for path in blob_videos.rglob("g0*.avi"):
        target = tmp_path / "VIDEOS" / path.parent.name / path.name.replace("g", "person", 1)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    noise = np.random.default_rng(0).integers(255, size=(40, 32, 32, 3), dtype=np.uint8)
    for name in ("NEW.mp4", "LONG.mp4"):
        write_video(tmp_path / name, noise, fps=10)
    monkeypatch.chdir(tmp_path)
    for text in blocks(DOCS / "tutorial.md", ("sh",), only_run=True):
        for name, words in commands(text):
            hooks.main_of(name)([*words, *QUICK.get(name, [])])
    made = [
        *("data/VIDEOS/check/data_report.md", "runs/NAME/report/index.html"),
        *("runs/NAME/report/curves.png", "results.csv", "why.png", "LONG.png", "LONG.srt"),
        "data/NAME/quarantine.csv",
    ]
    assert [name for name in made if not Path(name).exists()] == []
    page = DOCS / "how-to/server.md"
    (code,) = blocks(page, ("python",), only_run=True)
    starting = [words for text in blocks(page, ("sh",)) for _, words in commands(text)]
    assert ["runs/NAME"] in starting
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # Killed, it leaves its folder there.
    monkeypatch.setenv("CLIPLINE_TOKEN", "SECRET")
    capsys.readouterr()
    with python_processes() as python:
        process = python("-m", "pipeline.cli", "serve", "runs/NAME", "--port", "0")
        address = process.stdout.readline().partition(" at ")[2].partition("/?")[0]
        code = code.replace("http://127.0.0.1:8000", address)
        exec(compile(code, "client.py", "exec"), {})  # noqa: S102
        for curl in re.findall(r"^curl .*", page.read_text(), re.MULTILINE)[:3]:
            words = shlex.split(curl.replace("http://127.0.0.1:8000", address))
            if shutil.which("curl"):
                answer = subprocess.run(words, capture_output=True, check=True).stdout
                assert "error" not in json.loads(answer), curl
    assert capsys.readouterr().out.strip() in ("left", "right", "unknown")


def printed_texts() -> str:
    """All texts of the package, with … where something is put in."""
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("templates/*.txt")]
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                texts.append("".join(parts))
    return "\n".join(re.sub(r"\{\w+[^}]*\}", "…", " ".join(text.split())) for text in texts)


def test_the_messages_of_troubleshooting_are_printed_and_pages_are_whole():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert len(messages) >= 25
    parts = {part for each in messages for part in re.split(r"\s*…\s*", each) if part}
    texts = printed_texts()
    assert [part for part in parts if part not in texts] == []
    # All rooms are in one, all pictures in some, all pages in the navigation; and one is short.
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| room |")[2].partition("\n\n")[0]
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == rooms
    shown = {
        (page.parent / name).resolve()
        for page in PAGES
        for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    pictures = {path.resolve() for path in (DOCS / "pictures").iterdir()}
    assert pictures == shown
    assert max(path.stat().st_size for path in pictures) < 150_000
    listed = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    here = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    made = {*hooks.OF_REPOSITORY.values(), "reference/keys.md", "reference/commands.md"}
    assert listed == here | made
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files_and_headings(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each).strip().lower() for each in headings}
            assert anchor in {each.replace(" ", "-") for each in slugs}, target
    if page.name in ("architecture.md", "CONTRIBUTING.md"):  # Files of the repository, by name.
        names = re.findall(r"`([\w.]+/[\w./]*)`", text)
        places = [name for name in names if not re.search(r"NAME|^site/|^\.pytest_cache/", name)]
        assert len(places) > 15
        assert [p for p in places if not (ROOT / p).exists() and not (PACKAGE / p).exists()] == []
