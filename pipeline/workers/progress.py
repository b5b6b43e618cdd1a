"""Work on videos in parallel worker processes, with a progress bar."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tqdm import tqdm

from pipeline.workers.pool import OnLoss, Result, Task, Work, WorkerPool, num_cores


def run_in_workers(
    work: Work[Task, Result],
    tasks: Sequence[Task],
    *,
    doing: str,
    workers: int,
    num_videos: int,
    done: int = 0,
    seconds_per_video: float = math.inf,
    on_loss: OnLoss[Task] | None = None,
) -> list[Result]:
    """Works on tasks in processes, with a progress bar that counts videos.

    Args:
        work: A function of a module, which is called with a task and with what is to be called
            with the name of each video before it is worked on. The names within a task differ.
        tasks: What to work on, in about this order.
        doing: What the bar says is being done.
        workers: Processes; 0 is one per processor core. They are spawned: a script that calls
            this needs `if __name__ == "__main__":`.
        num_videos: What the bar counts up to.
        done: Where it starts.
        seconds_per_video: A worker that is at one video for longer is killed.
        on_loss: Called when a worker died or was killed, with the task, the name of the video that
            it was at, and the reason; returns the task to work on instead, which must not come to
            that video again. None: the loss of a worker stops everything.

    Returns:
        What `work` returned for each task, in the order of the tasks.

    Raises:
        PipelineError: A worker process was lost and there is no `on_loss`, or three in a row were
            before they began on a video of a task; or what `work` raised cannot be pickled.
        Exception: What `work` raised; the other tasks are stopped.
    """
    # Without a terminal there is no bar, so that log files stay readable.
    with (
        tqdm(
            desc=doing, total=num_videos, initial=done, unit="video", leave=False, disable=None
        ) as bar,
        WorkerPool(
            work, seconds_per_video=seconds_per_video, on_loss=on_loss, on_done=bar.update
        ) as pool,
    ):
        return pool.run(tasks, workers=workers or num_cores())
