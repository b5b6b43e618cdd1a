"""Requests wait for their turn, and so many are worked on at once, each with a decoder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from starlette.exceptions import HTTPException

from pipeline.inference.decoding import Decoder

T = TypeVar("T")

_SOON: Final = {"Retry-After": "2"}


class WorkQueue:
    """Threads that each work on one request after the other; for the thread of the event loop.

    Clips are computed one by one, each by one core, as many at once as there are threads. They are
    not joined to batches: a model that was exported to LiteRT takes one clip a call, and the frames
    of several clips in one call of the backbone are no faster. On 2 cores, 16 frames of 64 x 64 and
    1, 2, 4 and 8 clips at once: 5.5, 5.7, 6.0 and 6.3 ms a clip by one thread; 1, 4 and 8 at once
    by two threads that share the cores with other work: 5.7, 6.5 and 6.6 ms.

    Args:
        at_once: How many are worked on at once.
        most_waiting: How many more may wait.
        make_decoder: Makes what reads the files of a thread.

    Attributes:
        waiting: How many wait.
        working: How many are worked on.
    """

    def __init__(
        self, *, at_once: int, most_waiting: int, make_decoder: Callable[[], Decoder]
    ) -> None:
        self.waiting = self.working = 0
        self._most_waiting, self._make_decoder = most_waiting, make_decoder
        self._threads = ThreadPoolExecutor(at_once, "work")
        self._decoders = [make_decoder() for _ in range(at_once)]
        self._turns = asyncio.Semaphore(at_once)

    def check_room(self) -> None:
        """Makes sure that one more may wait.

        Raises:
            HTTPException: 429, it may not.
        """
        if self._turns.locked() and self.waiting >= self._most_waiting:
            raise HTTPException(429, "too many requests wait already; try again soon", _SOON)

    async def do(self, work: Callable[[Decoder], T], *, until: float) -> T:
        """What a function returns that is called in a thread, with the decoder of its turn.

        Who is cancelled while it works has its decoder stopped, so that the turn is soon over.

        Args:
            work: The function.
            until: When it must have answered, by the clock of the event loop.

        Raises:
            HTTPException: 429, too many wait; 503, its turn did not come in time; 504, it took too
                long.
            Exception: What the function raises.
        """
        await self._turn(until)
        decoder = self._decoders.pop()
        self.working += 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, work, decoder)
        done.add_done_callback(lambda _: self._end_turn(done, decoder))
        try:
            async with asyncio.timeout_at(until):
                return await asyncio.shield(done)
        except TimeoutError:
            decoder.stop()
            raise HTTPException(
                504, "it took too long; send a shorter video, or raise --timeout of the server"
            ) from None
        except asyncio.CancelledError:
            decoder.stop()
            raise

    def close(self) -> None:
        """Ends threads and decoders; waits for what is worked on."""
        self._threads.shutdown()
        for decoder in self._decoders:
            decoder.close()

    async def _turn(self, until: float) -> None:
        self.check_room()
        self.waiting += 1
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
        except TimeoutError:
            raise HTTPException(503, "its turn did not come in time; try again", _SOON) from None
        finally:
            self.waiting -= 1

    def _end_turn(self, done: asyncio.Future[T], decoder: Decoder) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            done.exception()  # Where nobody waits for it any more, it is not to be told.
        if decoder.is_stopped:
            decoder.close()
            decoder = self._make_decoder()
        self._decoders.append(decoder)
        self.working -= 1
        self._turns.release()
