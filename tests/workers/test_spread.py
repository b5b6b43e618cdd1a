"""Work that is spread over processes, GPUs and machines: shares, and options of Apache Beam."""

import json
import os
import signal
import time
from argparse import Namespace

import pytest

from pipeline.cli.spread import spread_of
from pipeline.errors import ConfigError, PipelineError
from pipeline.workers.beam import check_options, run_on_beam
from pipeline.workers.pool import WorkerLostError
from pipeline.workers.shares import run_in_shares, share_of, take_share


def note_cores(folder, on_piece):
    on_piece("cores")
    (folder / f"{os.getpid()}").write_text(json.dumps(sorted(os.sched_getaffinity(0))))
    while len(list(folder.iterdir())) < 2:  # so that none does both
        time.sleep(0.05)


def test_each_job_has_its_share_of_the_cores(tmp_path):
    assert [share_of("abcde", number, 2) for number in range(2)] == [["a", "b"], ["c", "d", "e"]]
    assert [share_of("ab", number, 3) for number in range(3)] == [["a"], ["b"], ["a"]]
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    run_in_shares(note_cores, tmp_path, 2, on_loss=print)
    first, second = (set(json.loads(file.read_text())) for file in tmp_path.iterdir())
    assert first | second == os.sched_getaffinity(0)
    assert not first & second


@pytest.mark.parametrize(
    ("shown", "devices", "expected"),
    [(None, "01", "1"), ("4,7", "", "7"), (None, "", None), ("", "0", "")],
)
def test_each_job_has_one_of_the_gpus(tmp_path, monkeypatch, shown, devices, expected):
    for name in ("ctl", *devices):
        (tmp_path / f"nvidia{name}").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown or "")
    if shown is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    cores = os.sched_getaffinity(0)
    try:
        take_share(1, 2, tmp_path)
    finally:
        os.sched_setaffinity(0, cores)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == expected


def die(asked, on_piece):
    """Ends its process at the piece, as often as there are files to take."""
    on_piece("fold 1")
    for file in sorted(asked.glob("dies-*")):
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    (asked / "done").touch()


def test_a_job_that_is_lost_is_replaced_once(tmp_path):
    told = []
    (tmp_path / "dies-1").touch()
    run_in_shares(die, tmp_path, 1, on_loss=told.append)
    assert (tmp_path / "done").exists()
    (line,) = told
    assert line.startswith("fold 1: a process was lost at it: killed")
    for number in range(2):
        (tmp_path / f"dies-{number}").touch()
    with pytest.raises(WorkerLostError, match="fold 1: a process was lost at it twice"):
        run_in_shares(die, tmp_path, 1, on_loss=told.append)


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
