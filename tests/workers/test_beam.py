"""Options of Apache Beam, and errors that come back from its machines."""

import os
import signal
import time
from argparse import Namespace

import pytest

from pipeline.cli.spread import spread_of
from pipeline.errors import ConfigError, PipelineError
from pipeline.workers.beam import check_options, run_on_beam

DASK = "--runner=apache_beam.runners.dask.dask_runner.DaskRunner"


def test_options_that_beam_knows_and_does_not_know(capsys):
    def spread(options, runner="beam"):
        return spread_of(Namespace(jobs=1, runner=runner, beam_options=options))

    for options, message in (
        ("--nonsense=3 garbage", "unknown --nonsense=3. Leave it out"),
        ("garbage", "unknown garbage. Leave it out"),
        ("--runer=FlinkRunner", r"unknown --runer=FlinkRunner. Did you mean --runner\?"),
        (f"{DASK} --dask_client_adress=a:1", r"Did you mean --dask_client_address\?"),
        ("--runner=FlinkRunner --flink_mastr=a:1", r"Did you mean --flink_master\?"),
        ("--direct_num_workers=x", "argument --direct_num_workers: invalid int value: 'x'$"),
        ("--runner='", "No closing quotation"),
    ):
        with pytest.raises(ConfigError, match=f"^--beam-options: .*{message}"):
            spread(options)
    for options in (
        "",
        f"{DASK} --dask_client_address=HOST:8786 --dask_npartitions=3",
        "--runner=FlinkRunner --flink_master=HOST:8081 --parallelism=2",
        "--runner=FlinkRunner --checkpointing_interval=1000",  # which its job server knows
        "--runner=SparkRunner --spark_master_url=local[2]",
    ):
        check_options(options)
        assert spread(options).beam_options == options
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ConfigError, match="^--beam-options are for --runner beam: add it"):
        spread("--streaming", runner="local")


def fail(number):
    raise PipelineError(f"{number} cannot be done. Do another") from ValueError("inside")


def divide(number):
    return 1 / (number - 7)


def press(number):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


def test_what_work_on_a_piece_ends_in(caplog):
    for work, error, message in (
        (fail, PipelineError, "^on a machine of Beam: 7 cannot be done. Do another$"),
        (divide, PipelineError, "^Beam ended with ZeroDivisionError: .*Run the same"),
        (press, KeyboardInterrupt, "^$"),
    ):
        with pytest.raises(error, match=message):
            run_on_beam(work, [7], "--runner=DirectRunner")
    assert not caplog.records
