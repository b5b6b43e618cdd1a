"""Turns, without a network: functions that wait for the test."""

import asyncio
import threading

import pytest
from starlette.exceptions import HTTPException

from pipeline.web.programs.queue import WorkQueue


class Nothing:
    """In place of a decoder."""

    def __init__(self):
        self.is_stopped = self.is_closed = False

    def stop(self):
        self.is_stopped = True

    def close(self):
        self.is_closed = True


@pytest.fixture
def go_on():
    event = threading.Event()
    yield event
    event.set()


def tried(go_on, test):
    """Runs a test with a queue of one worker and the decoders that it made."""
    made = []

    def make():
        made.append(Nothing())
        return made[-1]

    async def run():
        queue = WorkQueue(at_once=1, most_waiting=1, make_decoder=make)
        now = asyncio.get_running_loop().time

        def do(work, seconds=60):
            return queue.do(work, until=now() + seconds)

        try:
            await test(queue, do, made)
        finally:
            go_on.set()
            await asyncio.sleep(0)
            queue.close()

    asyncio.run(run())


async def begun(work):
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def status_of(work):
    with pytest.raises(HTTPException) as refused:
        await work
    return refused.value.status_code


def test_whose_turn_does_not_come_in_time_and_what_goes_wrong_ends_the_turn(go_on):
    async def test(queue, do, made):
        first = await begun(do(lambda _: go_on.wait()))
        assert await status_of(do(lambda _: None, 0.05)) == 503
        assert (queue.waiting, queue.working) == (0, 1)
        go_on.set()
        assert await first is True
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await do(lambda _: 1 // 0)
        assert await do(lambda decoder: decoder) is made[0]
        assert len(made) == 1

    tried(go_on, test)


def test_who_takes_too_long_has_another_decoder_after_it(go_on):
    async def test(queue, do, made):
        assert await status_of(do(lambda _: go_on.wait(), 0.05)) == 504
        assert made[0].is_stopped
        assert queue.working == 1, "the thread still works"
        with pytest.raises(HTTPException):
            await do(lambda _: None, 0.05)
        go_on.set()
        assert await do(lambda decoder: decoder) is made[1]
        assert made[0].is_closed

    tried(go_on, test)


def test_no_more_wait_than_may(go_on):
    async def test(queue, do, made):
        queue.check_room()
        first = await begun(do(lambda _: go_on.wait()))
        queue.check_room()
        second = await begun(do(lambda _: 2))
        assert await status_of(do(lambda _: None)) == 429
        second.cancel()
        await asyncio.wait([second])
        queue.check_room()
        go_on.set()
        assert await first is True

    tried(go_on, test)
