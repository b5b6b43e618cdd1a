"""Opens pages in the browser to label videos, to train on them, and to see what comes of it."""

from __future__ import annotations

import os
import threading
import webbrowser
from collections.abc import Sequence

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
    parser.add_argument("--port", type=int, default=8000, help="Port to listen at; 0: any.")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="Address to listen at. With one that others can reach, a token is demanded.",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="Print the address, and open nothing."
    )
    options = parser.parse(arguments)

    try:
        from pipeline.web.application import application
        from pipeline.web.server import serve
        from pipeline.web.workspace import Workspace
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages take the package {error.name}: {extra('web')}") from None

    from pipeline.video import whole_files_only

    workspace = Workspace(options.folder)
    whole_files_only()

    def show(address: str) -> None:
        print(f"{workspace.root}: {address} (Ctrl-C ends it)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)

    ending = threading.Event()
    serve(
        application(workspace, ending.is_set),
        host=options.host,
        port=options.port,
        token=os.environ.get("CLIPLINE_TOKEN", ""),
        on_start=show,
        on_end=ending.set,
    )
