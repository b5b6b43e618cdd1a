"""Running the tasks that write shards: where, and which of them are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.plan import ShardReport, ShardTask, finished_report
from pipeline.prepare.shard_workers import write_locally


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
        from pipeline.prepare.beam import write_with_beam

        written = iter(write_with_beam(todo, config))
    else:
        done = sum(len(task.sources) for task in tasks) - sum(len(task.sources) for task in todo)
        written = iter(write_locally(todo, config, done=done))
    return [report or next(written) for report in there]


def whole_report(task: ShardTask, folder: Path | None = None) -> ShardReport | None:
    """Returns the report on a finished shard; None if a video of it is worth another try.

    Args:
        task: The shard.
        folder: Where to look; None: where the task writes it.
    """
    report = finished_report(task, folder)
    return report if report and not any(v.problem == "lost" for v in report.videos) else None
