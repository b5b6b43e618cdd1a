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


def tried(most_waiting, go_on, test):
    """Runs a test with a queue of one worker and the decoders that it made."""
    made = []

    def make():
        made.append(Nothing())
        return made[-1]

    async def run():
        queue = WorkQueue(at_once=1, most_waiting=most_waiting, make_decoder=make)
        try:
            await test(queue, asyncio.get_running_loop().time, made)
        finally:
            go_on.set()
            await asyncio.sleep(0)
            queue.close()

    asyncio.run(run())


async def status_of(work):
    with pytest.raises(HTTPException) as refused:
        await work
    return refused.value.status_code


def test_whose_turn_does_not_come_in_time(go_on):
    async def test(queue, now, made):
        first = asyncio.create_task(queue.do(lambda _: go_on.wait(), until=now() + 60))
        await asyncio.sleep(0)
        assert await status_of(queue.do(lambda _: None, until=now() + 0.05)) == 503
        assert (queue.waiting, queue.working) == (0, 1)
        go_on.set()
        assert await first is True
        await asyncio.sleep(0)
        assert await queue.do(lambda decoder: decoder, until=now() + 60) is made[0]
        assert len(made) == 1

    tried(1, go_on, test)


def test_who_takes_too_long_has_another_decoder_after_it(go_on):
    async def test(queue, now, made):
        assert await status_of(queue.do(lambda _: go_on.wait(), until=now() + 0.05)) == 504
        assert made[0].is_stopped
        assert queue.working == 1, "the thread still works"
        with pytest.raises(HTTPException):
            await queue.do(lambda _: None, until=now() + 0.05)
        go_on.set()
        assert await queue.do(lambda decoder: decoder, until=now() + 60) is made[1]
        assert made[0].is_closed

    tried(1, go_on, test)


def test_no_more_wait_than_may(go_on):
    async def test(queue, now, made):
        queue.check_room()
        taken = [asyncio.create_task(queue.do(lambda _: go_on.wait(), until=now() + 60))]
        await asyncio.sleep(0)
        queue.check_room()
        taken.append(asyncio.create_task(queue.do(lambda _: 2, until=now() + 60)))
        await asyncio.sleep(0)
        assert await status_of(queue.do(lambda _: None, until=now() + 60)) == 429
        taken[1].cancel()
        await asyncio.wait([taken[1]])
        queue.check_room()
        go_on.set()
        assert await taken[0] is True

    tried(1, go_on, test)


def test_what_goes_wrong_ends_the_turn(go_on):
    async def test(queue, now, made):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await queue.do(lambda _: 1 // 0, until=now() + 60)
        assert await queue.do(lambda _: 1, until=now() + 60) == 1

    tried(0, go_on, test)
