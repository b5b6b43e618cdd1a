"""Pictures of what an answer depends on, made one after the other, each in its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException

from pipeline.errors import DataError
from pipeline.run import Run
from pipeline.web.child import child_environment

_MOST_WAITING: Final = 4
_TICK: Final = 0.1


class Explainer:
    """Explains one answer at a time, in a process of its own, since it takes TensorFlow.

    Args:
        is_ending: Says whether the server is about to end.
        seconds: How long an explanation may take.
        command: What makes one.
    """

    def __init__(
        self,
        is_ending: Callable[[], bool],
        *,
        seconds: float = 300.0,
        command: Sequence[str] = (sys.executable, "-m", "pipeline.cli", "explain"),
    ) -> None:
        self._is_ending, self._seconds, self._command = is_ending, seconds, command
        self._turn, self._waiting = asyncio.Lock(), 0

    async def explained(self, run: Run, path: Path) -> bytes:
        """A picture, PNG, of what the answer of a run depends on; who is cancelled ends its making.

        Raises:
            DataError: It cannot be made.
            HTTPException: 503, too many wait, or the server ends; 504, it took too long.
        """
        if self._waiting > _MOST_WAITING:
            raise HTTPException(
                503,
                "too many explanations are wanted already; try again soon",
                {"Retry-After": "30"},
            )
        self._waiting += 1
        try:
            async with self._turn:
                with tempfile.TemporaryDirectory() as folder:
                    out = Path(folder) / "why.png"
                    words = (str(path.absolute()), "--run", str(run.folder), "--out", str(out))
                    await self._made(words)
                    return out.read_bytes()
        finally:
            self._waiting -= 1

    async def _made(self, words: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *words,
            env=child_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        end = asyncio.ensure_future(process.communicate())
        try:
            await self._wait_for(end)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):  # It ended just now.
                    os.killpg(process.pid, signal.SIGKILL)
            await asyncio.wait([end])
        if process.returncode:
            said = end.result()[1].decode(errors="replace").strip().splitlines() or ["it failed"]
            raise DataError(said[-1].removeprefix("clipline: "))

    async def _wait_for(self, end: asyncio.Future[tuple[bytes, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() + self._seconds
        while not end.done():
            if self._is_ending():
                raise HTTPException(503, "the server ends")
            if loop.time() > last:
                raise HTTPException(
                    504,
                    f"the explanation took more than {self._seconds:g} seconds and was given up",
                )
            await asyncio.wait([end], timeout=_TICK)
