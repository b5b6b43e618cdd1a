"""Pages of the site that do not lie in docs/: some of the repository, and those made of the code.

MkDocs calls `on_files` and `on_page_markdown`; the rest needs no MkDocs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import docstring_parser

from pipeline.cli.__main__ import COMMANDS
from pipeline.config import Change, RunConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.config.values import described
from pipeline.text import one_line

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OF_REPOSITORY = {
    "data/README.md": "data.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files outside of docs/ and the pages that they become."""

_HOW_TO_SET = (
    "Made of the code. [Settings of a run](../configuration.md) says how to set one: in a file, "
    "or as an option such as `--clip.num_frames 24`."
)
_RUN_KEYS = "\nthe run:"
"""From here on a command's help is of the keys, which have a page of their own."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    from mkdocs.structure.files import File

    pages = {page: (ROOT / file).read_text("utf-8") for file, page in OF_REPOSITORY.items()}
    pages |= {"reference/keys.md": keys_page(), "reference/commands.md": commands_page()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links between files of the repository to the pages that they have become."""
    del config, files
    return links_within_site(markdown, page.file.src_uri)


def links_within_site(markdown: str, page: str) -> str:
    """The text of a page with its links to other files of the repository as links to pages.

    Args:
        markdown: The text.
        page: Where it is in the site, such as `how-to/camera.md`.
    """
    at = {to: of for of, to in OF_REPOSITORY.items()}.get(page, f"docs/{page}")

    def link(match: re.Match[str]) -> str:
        target, anchor = match.groups(default="")
        file = os.path.normpath(PurePosixPath(at).parent / target).replace(os.sep, "/")
        to = OF_REPOSITORY.get(file, file.removeprefix("docs/"))
        return f"]({os.path.relpath(to, PurePosixPath(page).parent)}{anchor})"

    return re.sub(r"\]\(((?:[\w./-]+/)?[\w.-]+\.md)(#[\w-]+)?\)", link, markdown)


def keys_page() -> str:
    """Every key of a run, and every option of `prepare`, as Markdown."""
    parts = ["# Every key", _HOW_TO_SET]
    config = RunConfig()
    for section in dataclasses.fields(config):
        value = getattr(config, section.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            title = f"`{section.name}`"
            parts += [f"## {title}", _opening(value), _table(value, f"{section.name}.")]
    top = _table(config, "", only=lambda each: isinstance(each, str | int))
    parts[2:2] = ["## The run", top]
    prepare = PrepareConfig()
    parts += ["## Options of `prepare`", _opening(prepare), _table(prepare, "--")]
    return "\n\n".join(parts) + "\n"


def _opening(value: Any) -> str:
    return one_line(docstring_parser.parse(type(value).__doc__ or "").short_description or "")


def _table(value: Any, prefix: str, only: Callable[[Any], bool] = lambda _: True) -> str:
    lines = ["| key | is | default | meaning |", "| --- | --- | --- | --- |"]
    for name, kind, text in described(type(value)):
        default = getattr(value, name)
        if only(default):
            shown = name.replace("_", "-") if prefix == "--" else name
            cells = (f"`{prefix}{shown}`", _kind(kind), _shown(default), text)
            lines.append(f"| {' | '.join(cells)} |".replace("\n", " "))
    return "\n".join(lines)


def _kind(hint: Any) -> str:
    """A type in words, for a cell of a table.

    Example:
        >>> _kind(int), _kind(Literal["a", "b"]), _kind(tuple[int, ...])
        ('whole number', '`a`, `b`', 'list of whole number')
    """
    words = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    words |= {Change: "`.probability`, `.strength`"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is Union or type(hint).__name__ == "UnionType":
        return " or ".join(map(_kind, arguments))
    if origin in (tuple, list):
        return f"list of {_kind(arguments[0])}" if origin is tuple else "list"
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(default: Any) -> str:
    if isinstance(default, Change):
        return f"`{default.probability:g}`, `{default.strength:g}`"
    plain = dataclasses.asdict(default) if dataclasses.is_dataclass(default) else default
    return f"`{json.dumps(plain)}`" if plain not in ("", (), None) else ""


def commands_page() -> str:
    """What each command says of itself, as Markdown."""
    parts = ["# Commands", "What each says with `clipline COMMAND --help`."]
    for name, summary in COMMANDS.items():
        text, has_keys, _ = help_of(name).partition(_RUN_KEYS)
        parts += [f"## {name}", f"To {summary}.", f"```text\n{text.strip()}\n```"]
        if has_keys:
            parts.append("And [every key](keys.md) of a run, such as `--train.epochs 100`.")
    return "\n\n".join(parts) + "\n"


def help_of(name: str) -> str:
    """The help of a command."""
    printed = io.StringIO()
    with _as_clipline(), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main_of(name)(["--help"])
    return printed.getvalue()


def main_of(name: str) -> Callable[[Sequence[str]], int | None]:
    """The main function of a command."""
    main: Callable[[Sequence[str]], int | None] = importlib.import_module(
        f"pipeline.cli.{name}"
    ).main
    return main


@contextlib.contextmanager
def _as_clipline() -> Iterator[None]:
    """As if the installed command had been started, on a terminal of 80 columns."""
    before, columns = sys.argv, os.environ.get("COLUMNS")
    sys.argv, os.environ["COLUMNS"] = ["clipline"], "80"
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop("COLUMNS") if columns is None else os.environ.update(COLUMNS=columns)
