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


@pytest.mark.parametrize("who_ends", ["nobody", "client", "server"])
def test_it_is_given_up_in_time_and_few_wait_and_it_ends_with_who_waits(tmp_path, who_ends):
    ending, is_patient = [], who_ends != "nobody"

    def processes():
        return [int(each.name.partition("-")[2]) for each in tmp_path.glob("process-*")]

    async def ask():
        command = (sys.executable, "-c", CODE, f"{tmp_path}/process-")
        seconds = 300.0 if is_patient else 0.3
        explainer = Explainer(lambda: bool(ending), command=command, seconds=seconds)
        works = [
            asyncio.ensure_future(explainer.explained(Run(tmp_path), Path("x.mp4")))
            for _ in range(1 if is_patient else 40)
        ]
        while not processes():
            await asyncio.sleep(0.01)
        if who_ends == "client":
            works[0].cancel()
        elif who_ends == "server":
            ending.append(True)
        return await asyncio.gather(*works, return_exceptions=True)

    found = asyncio.run(ask())
    assert alive(processes()) == []
    if who_ends == "client":
        assert isinstance(found[0], asyncio.CancelledError)
    elif who_ends == "server":
        assert [(each.status_code, each.detail) for each in found] == [(503, "the server ends")]
    else:
        assert {type(each) for each in found} == {HTTPException}
        statuses = [each.status_code for each in found]
        assert (statuses.count(504), statuses.count(503)) == (5, 35)
        assert len(processes()) <= 5
        assert "took more than 0.3 seconds" in found[0].detail
