"""Writing or checking shards in worker processes of this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.plan import ShardReport, ShardTask
from pipeline.prepare.shard_writer import check_shard, write_shard
from pipeline.workers.progress import run_in_workers


def write_locally(
    tasks: Sequence[ShardTask], config: PrepareConfig, *, done: int = 0
) -> list[ShardReport]:
    """Writes shards in worker processes of this machine.

    Args:
        tasks: The shards.
        config: Workers and the time that a video may take.
        done: Videos of shards that are there already, for the progress bar.

    Returns:
        The report on each.

    Raises:
        PipelineError: The worker processes cannot be started.
        OSError: A shard cannot be written.
    """
    return _run_locally(write_shard, tasks, config, doing="preparing", done=done)


def check_shards(tasks: Sequence[ShardTask], config: PrepareConfig) -> list[ShardReport]:
    """Reads the videos of the shards, but writes nothing.

    Args:
        tasks: The shards.
        config: Workers and the time that a video may take.

    Returns:
        The report on each.

    Raises:
        PipelineError: The worker processes cannot be started.
    """
    return _run_locally(check_shard, tasks, config, doing="checking")


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
        on_loss=_without_lost,
    )


def _without_lost(task: ShardTask, video: str, reason: str) -> ShardTask:
    """The same task without a video that cost a worker process its life."""
    return dataclasses.replace(task, lost=(*task.lost, (video, f"{reason}.")))
