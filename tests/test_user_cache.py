"""Where files of a user are kept."""

import sys
from pathlib import Path

import pytest

from pipeline.user_cache import user_cache


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "home/.cache"),
        ("darwin", "home/Library/Caches"),
        ("win32", "home/AppData/Local"),
        ("freebsd", "home/.cache"),
    ],
)
def test_the_cache_of_each_system(monkeypatch, tmp_path, platform, expected):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert user_cache("x") == tmp_path / expected / "clipline" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("x") == tmp_path / "clipline" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert user_cache("x") == tmp_path / expected / "clipline" / "x"


def test_windows_says_where(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert user_cache("x") == tmp_path / "clipline" / "x"
