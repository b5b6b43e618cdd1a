"""Opens the pages in the browser of who started them."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import webbrowser
from html import escape
from pathlib import Path
from typing import Final

_SNAP: Final = Path("/snap")
"""Browsers that come this way see no temporary files of others."""


def open_browser(address: str) -> None:
    """Opens an address that others must not know.

    The list of processes shows to all users what a browser is told. So it is told of a page that
    only this user can read, which leads to the address, and is there until this process ends.
    """
    folder = Path.home() if _SNAP.is_dir() else None
    with (
        contextlib.suppress(OSError),
        tempfile.NamedTemporaryFile(
            "w", prefix="clipline-", suffix=".html", dir=folder, delete=False
        ) as page,
    ):
        path = Path(page.name)
        atexit.register(path.unlink, missing_ok=True)
        page.write(f'<meta http-equiv="refresh" content="0; url={escape(address)}">')
        page.close()
        webbrowser.open(path.as_uri())
