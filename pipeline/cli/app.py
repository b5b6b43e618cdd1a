"""Opens pages in the browser to label videos, to train on them, and to see what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pipeline.cli.listening import add_listening, token_of
from pipeline.cli.script import Parser
from pipeline.errors import ConfigError
from pipeline.text import extra


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "app", "VIDEOS")
    parser.add_argument(
        "folder",
        nargs="?",
        default=".",
        help="Folder of recordings, or of folders of them; the pages see nothing outside it.",
    )
    add_listening(parser)
    parser.add_argument(
        "--no-browser", action="store_true", help="Print the address, and open nothing."
    )
    options = parser.parse(arguments)
    token = token_of(options)

    try:
        from pipeline.web.application import application
        from pipeline.web.browser import open_browser
        from pipeline.web.server import serve
        from pipeline.web.workspace import Workspace
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages take the package {error.name}: {extra('web')}") from None

    from pipeline.video import whole_files_only

    workspace = Workspace(options.folder)
    whole_files_only()

    def show(address: str) -> None:
        print(f"{workspace.root}: {token.shown.within(address)} (Ctrl-C ends it)", flush=True)
        if not options.no_browser:
            open_browser(token.within(address))

    ending = threading.Event()
    serve(
        application(workspace, ending.is_set),
        host=options.host,
        port=options.port,
        token=token.value,
        on_start=show,
        on_end=ending.set,
    )
