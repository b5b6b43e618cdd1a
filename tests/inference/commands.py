"""Commands, run as their scripts do it, but in the process of the tests."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.cli.script import run_command

SCRIPTS = Path(__file__).parents[2] / "scripts"


class Done(NamedTuple):
    """A command that has ended: its exit code, and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def mistake(self) -> str:
        """The one line that a command ends in which did nothing."""
        assert (self.code, self.output) == (2, "")
        (line,) = self.errors.splitlines()
        return line


def run(name: str, *words: object, cwd: Path | None = None) -> Done:
    """Runs the command of that name with some words."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in (UserWarning, RuntimeWarning):
            warnings.simplefilter("default", kind)
        patch.setattr(warnings, "showwarning", _show)
        patch.setattr(warnings, "formatwarning", warnings.formatwarning)
        for stream, place in zip(streams, ("stdout", "stderr"), strict=True):
            patch.setattr(sys, place, stream)
        patch.setattr(sys, "argv", ["clipline", *map(str, words)])
        patch.chdir(cwd or Path.cwd())
        with pytest.raises(SystemExit) as end:
            run_command(name)
    output, errors = (stream.buffer.getvalue().decode() for stream in streams)
    return Done(end.value.code, output, errors)


def _show(*about: Any) -> None:
    sys.stderr.write(warnings.formatwarning(*about))


def classify(*words: object, cwd: Path | None = None) -> Done:
    """Runs `clipline classify`."""
    return run("classify", *words, cwd=cwd)


def start(*words: object) -> subprocess.Popen[str]:
    """Starts `classify.py` as a process; a context manager."""
    command = [sys.executable, SCRIPTS / "classify.py", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
