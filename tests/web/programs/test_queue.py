"""Turns, without a network: functions that wait for the test."""

import asyncio
import threading

import pytest
from starlette.exceptions import HTTPException

from pipeline.web.programs.queue import WorkQueue


class Nothing:
    """In place of a decoder."""

    is_stopped = is_closed = False

    def stop(self):
        self.is_stopped = True

    def close(self):
        self.is_closed = True


async def status_of(work):
    with pytest.raises(HTTPException) as refused:
        await work
    return refused.value.status_code


async def take_turns(make_decoder, made, go_on):
    queue = WorkQueue(at_once=1, most_waiting=1, make_decoder=make_decoder)
    now = asyncio.get_running_loop().time

    async def begun(work, seconds=60):
        task = asyncio.create_task(queue.do(work, until=now() + seconds))
        await asyncio.sleep(0)
        return task

    def wait(_):
        return go_on.wait(20)

    queue.check_room()
    first = await begun(wait)
    queue.check_room()
    second = await begun(lambda _: 2)
    assert await status_of(await begun(lambda _: None)) == 429
    second.cancel()
    await asyncio.wait([second])
    queue.check_room()
    assert await status_of(await begun(lambda _: None, 0.05)) == 503
    assert (queue.waiting, queue.working) == (0, 1)
    go_on.set()
    assert await first is True
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await (await begun(lambda _: 1 // 0))
    assert await (await begun(lambda decoder: decoder)) is made[0]
    # Who takes too long has another decoder after it.
    go_on.clear()
    assert await status_of(await begun(wait, 0.05)) == 504
    assert made[0].is_stopped
    assert queue.working == 1, "the thread still works"
    assert await status_of(await begun(lambda _: None, 0.05)) == 503
    go_on.set()
    assert await (await begun(lambda decoder: decoder)) is made[1]
    assert (made[0].is_closed, len(made)) == (True, 2)
    queue.close()


def test_turns_end_in_time_and_no_more_wait_than_may():
    made, go_on = [], threading.Event()

    def make_decoder():
        made.append(Nothing())
        return made[-1]

    asyncio.run(take_turns(make_decoder, made, go_on))
