"""Running the tasks that write shards: where, and which of them are needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.config.prepare import PrepareConfig
from pipeline.data.shards.tasks import ShardReport, ShardTask, finished_report
from pipeline.data.shards.writer import check_shard, write_shard
from pipeline.data.workers import run_in_workers


def write_shards(tasks: Sequence[ShardTask], config: PrepareConfig, out: Path) -> list[ShardReport]:
    """Writes the shards that are not there yet.

    Args:
        tasks: The shards.
        config: Runner, workers and the time that a video may take.
        out: Folder of the data set, where shards that were finished before lie.

    Returns:
        The report on each.

    Raises:
        PipelineError: The worker processes cannot be started.
        OSError: A shard cannot be written.
    """
    there = [whole_report(task) or whole_report(task, out) for task in tasks]
    todo = [task for task, report in zip(tasks, there, strict=True) if not report]
    if config.runner == "beam":
        from pipeline.data.shards.beam import write_with_beam

        written = iter(write_with_beam(todo, config))
    else:
        done = sum(len(task.sources) for task in tasks) - sum(len(task.sources) for task in todo)
        written = iter(write_locally(todo, config, done=done))
    return [report or next(written) for report in there]


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


def whole_report(task: ShardTask, folder: Path | None = None) -> ShardReport | None:
    """Returns the report on a finished shard; None if a video of it is worth another try.

    Args:
        task: The shard.
        folder: Where to look; None: where the task writes it.
    """
    report = finished_report(task, folder)
    return report if report and not any(v.problem == "lost" for v in report.videos) else None


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
