"""Decoding many files, in worker processes of this machine or of a cluster's.

A cluster runs the same tasks by Apache Beam, on Flink, Spark, Dataflow, ...
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pipeline.atomic import write_json
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import PipelineError
from pipeline.frames.decoding import DecodeTask, FileReport, decode_file
from pipeline.prepare.plan import as_json, from_json
from pipeline.workers.beam import run_on_beam
from pipeline.workers.pool import run_in_workers

_REPORTS = "reports"
"""Folder beside the frames for what machines of a cluster report."""


def decode_all(
    tasks: Sequence[DecodeTask], config: PrepareConfig, *, doing: str, done: int = 0
) -> Mapping[str, FileReport]:
    """Decodes what is needed of files and not there.

    Args:
        tasks: The files.
        config: Runner, workers and the time that a video may take.
        doing: What the progress bar says is being done.
        done: How many files there is nothing to do for, which the bar counts as well.

    Returns:
        The report on each, by its name.

    Raises:
        ConfigError: Beam is not installed, or its options are none.
        PipelineError: The worker processes cannot be started, or Beam could not do the work.
        OSError: Frames cannot be written.
    """
    if config.runner == "beam" and tasks:
        reports = _decode_with_beam(tasks, config)
    else:
        reports = decode_locally(tasks, config, doing=doing, done=done)
    for number in _shared(reports):  # Two files of the same content: each may have missed a part.
        tasks = [
            *tasks[:number],
            dataclasses.replace(tasks[number], looks={}),
            *tasks[number + 1 :],
        ]
        again = decode_file(tasks[number])
        changed = again.num_decoded or reports[number].num_decoded
        reports[number] = dataclasses.replace(again, num_decoded=changed)
    return {task.name: report for task, report in zip(tasks, reports, strict=True)}


def decode_locally(
    tasks: Sequence[DecodeTask], config: PrepareConfig, *, doing: str = "preparing", done: int = 0
) -> list[FileReport]:
    """Decodes files on this machine, see `decode_all`."""
    return run_in_workers(
        decode_file,
        tasks,
        doing=doing,
        workers=config.workers,
        num_videos=done + len(tasks),
        done=done,
        seconds_per_video=config.seconds_per_video,
        on_loss=lambda task, _, reason: dataclasses.replace(task, lost=reason),
        fatal=(PipelineError, OSError),
    )


def _shared(reports: Sequence[FileReport]) -> list[int]:
    """Numbers of the files whose content another one has, too."""
    numbers: dict[str, list[int]] = {}
    for number, report in enumerate(reports):
        if report.key:
            numbers.setdefault(report.key, []).append(number)
    return [number for same in numbers.values() if len(same) > 1 for number in same]


def _decode_with_beam(tasks: Sequence[DecodeTask], config: PrepareConfig) -> list[FileReport]:
    """Decodes on a cluster, whose machines see videos and data set under the same paths."""
    # In a worker process there, too: a decoder that crashes or hangs costs one video only.
    alone = dataclasses.replace(config, workers=1)
    folder = Path(tasks[0].folder) / _REPORTS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run_on_beam(partial(_decode_one, config=alone), tasks, config.beam_options, made=_report_file)
    reports = [from_json(json.loads(_report_file(task).read_bytes())) for task in tasks]
    shutil.rmtree(folder, ignore_errors=True)
    return reports


def _decode_one(task: DecodeTask, config: PrepareConfig) -> None:
    (report,) = decode_locally([task], config)
    write_json(_report_file(task), {**as_json(report), "num_decoded": report.num_decoded})


def _report_file(task: DecodeTask) -> Path:
    name = hashlib.sha256(task.name.encode()).hexdigest()
    return Path(task.folder) / _REPORTS / f"{name}.json"
