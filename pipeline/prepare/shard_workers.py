"""Writing or checking shards, in worker processes of this machine or of a cluster's.

A cluster runs the same tasks by Apache Beam, on Flink, Spark, Dataflow, ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import PipelineError
from pipeline.prepare.plan import ShardReport, ShardTask, finished_report, read_report
from pipeline.prepare.shard_writer import check_shard, write_shard
from pipeline.workers.beam import run_on_beam
from pipeline.workers.pool import run_in_workers


def write_shards(tasks: Sequence[ShardTask], config: PrepareConfig, out: Path) -> list[ShardReport]:
    """Writes the shards that are not there yet.

    Args:
        tasks: The shards.
        config: Runner, workers and the time that a video may take.
        out: Folder of the data set, where shards that were finished before lie.

    Returns:
        The report on each.

    Raises:
        ConfigError: Beam is not installed, or its options are none.
        PipelineError: The worker processes cannot be started, or Beam could not write the shards.
        OSError: A shard cannot be written.
    """
    there = [
        finished_report(task, retry=True) or finished_report(task, out, retry=True)
        for task in tasks
    ]
    todo = [task for task, report in zip(tasks, there, strict=True) if not report]
    if config.runner == "beam":
        written = iter(_write_with_beam(todo, config))
    else:
        done = sum(len(task.sources) for task in tasks) - sum(len(task.sources) for task in todo)
        written = iter(write_locally(todo, config, done=done))
    return [report or next(written) for report in there]


def write_locally(
    tasks: Sequence[ShardTask], config: PrepareConfig, *, done: int = 0
) -> list[ShardReport]:
    """Writes shards on this machine, see `write_shards`; the progress bar begins at `done`."""
    return _run_locally(write_shard, tasks, config, doing="preparing", done=done)


def check_shards(tasks: Sequence[ShardTask], config: PrepareConfig) -> list[ShardReport]:
    """Reads the videos of the shards as `write_shards` does, but writes nothing."""
    return _run_locally(check_shard, tasks, config, doing="checking")


def _write_with_beam(tasks: Sequence[ShardTask], config: PrepareConfig) -> list[ShardReport]:
    """Writes shards on a cluster, whose machines see videos and data set under the same paths."""
    # In a worker process there, too: a decoder that crashes or hangs costs one video only.
    alone = dataclasses.replace(config, workers=1)
    work = partial(_write_one, config=alone)
    run_on_beam(work, tasks, config.beam_options, made=lambda task: task.report_path)
    return [read_report(task.report_path) for task in tasks]


def _write_one(task: ShardTask, config: PrepareConfig) -> None:
    write_locally([task], config)


def _run_locally(
    work: Callable[..., ShardReport],
    tasks: Sequence[ShardTask],
    config: PrepareConfig,
    *,
    doing: str,
    done: int = 0,
) -> list[ShardReport]:
    return run_in_workers(
        work,
        tasks,
        doing=doing,
        workers=config.workers,
        num_videos=done + sum(len(task.sources) for task in tasks),
        done=done,
        seconds_per_video=config.seconds_per_video,
        on_loss=_skipping,
        fatal=(PipelineError, OSError),
    )


def _skipping(task: ShardTask, video: str, reason: str) -> ShardTask:
    """The same task without a video that cost a worker process its life, or raised an error."""
    return dataclasses.replace(task, skip=(*task.skip, (video, reason)))
