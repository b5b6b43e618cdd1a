"""Where a server listens, and the token without which it answers nobody."""

from __future__ import annotations

import os
import secrets
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from pipeline.cli.script import Parser
from pipeline.errors import ConfigError

VARIABLE: Final = "CLIPLINE_TOKEN"


class Token(NamedTuple):
    """What requests must know.

    Attributes:
        value: The token; empty: there is none.
        is_given: Who started the server knows it already, so it stays out of terminals and logs.
    """

    value: str
    is_given: bool

    @property
    def shown(self) -> Token:
        """What a terminal says of it."""
        return self._replace(value="TOKEN") if self.is_given else self

    def within(self, address: str) -> str:
        """An address that opens with it."""
        return f"{address}?token={quote(self.value)}" if self.value else address


def add_listening(parser: Parser) -> None:
    """Adds the options that both servers have; `--token` is for the one that adds it, too."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="The address to listen at; 0.0.0.0: others, too."
    )
    parser.add_argument("--port", type=int, default=8000, help="The port; 0: any that is free.")
    parser.add_argument(
        "--no-token",
        action="store_true",
        help="Answer every user of this machine. Default: those alone who know the token, which is "
        f"in the variable {VARIABLE}, or made and printed.",
    )
    parser.set_defaults(token="")


def token_of(options: Any) -> Token:
    """The token that is wanted by the options of `add_listening`: one that was given, or is made.

    Raises:
        ConfigError: There is to be one and none.
    """
    if options.no_token and options.token:
        raise ConfigError("--token and --no-token contradict each other: leave one of them out")
    given = options.token or os.environ.get(VARIABLE, "")
    if options.no_token:
        return Token("", is_given=False)
    return Token(given or secrets.token_urlsafe(24), is_given=bool(given))
