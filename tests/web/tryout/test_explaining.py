"""Explanations whose process is stopped: nothing stays of it, and nobody waits for ever."""

import asyncio
import sys
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from pipeline.run import Run
from pipeline.web.tryout.explaining import Explainer
from tests.processes import alive

CODE = """
import os, signal, sys
open(sys.argv[1] + str(os.getpid()), "w")
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def asked(tmp_path):
    """Asks an explainer whose process stops, and says which came; meanwhile, something is done."""

    async def ask(times, then=None, **options):
        ending = []
        command = (sys.executable, "-c", CODE, f"{tmp_path}/process-")
        explainer = Explainer(lambda: bool(ending), command=command, **options)
        works = [
            asyncio.ensure_future(explainer.explained(Run(tmp_path), Path("x.mp4")))
            for _ in range(times)
        ]
        while not processes():
            await asyncio.sleep(0.01)
        if then:
            then(works, ending)
        return await asyncio.gather(*works, return_exceptions=True)

    def processes():
        return [int(each.name.partition("-")[2]) for each in tmp_path.glob("process-*")]

    def run(*arguments, **options):
        found = asyncio.run(ask(*arguments, **options))
        assert alive(processes()) == []
        return found, len(processes())

    return run


def test_it_is_given_up_in_time_and_few_wait(asked):
    found, started = asked(40, seconds=0.3)
    assert {type(each) for each in found} == {HTTPException}
    statuses = [each.status_code for each in found]
    assert (statuses.count(504), statuses.count(503)) == (5, 35)
    assert started <= 5
    assert "took more than 0.3 seconds" in found[0].detail


@pytest.mark.parametrize("who", ["client", "server"])
def test_its_process_ends_with_who_waits_for_it(asked, who):
    def end(works, ending):
        if who == "client":
            works[0].cancel()
        else:
            ending.append(True)

    (error,), started = asked(1, end)
    assert started == 1
    assert isinstance(error, asyncio.CancelledError if who == "client" else HTTPException)
