"""Where the system keeps files of a user that can be had again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_cache(name: str) -> Path:
    """A folder for what is fetched or converted once, in the user's cache; it may not be there yet.

    Args:
        name: Of the folder.

    Returns:
        `clipline/NAME` in what XDG_CACHE_HOME names, else in `~/.cache`, on macOS in
        `~/Library/Caches`, on Windows in what LOCALAPPDATA names.
    """
    home = Path.home()
    usual = {
        "darwin": home / "Library" / "Caches",
        "win32": Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")),
    }
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the standard.
    folder = Path(cache) if Path(cache).is_absolute() else usual.get(sys.platform, home / ".cache")
    return folder / "clipline" / name
