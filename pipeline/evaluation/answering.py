"""What a run answers for the videos of a split, without all else that evaluation measures."""

from __future__ import annotations

from pipeline.dataset.videos import damage_named
from pipeline.errors import DataError
from pipeline.evaluation.answers import Answers, answers_file, answers_of, write_answers
from pipeline.evaluation.frame_predictions import predict_frames
from pipeline.evaluation.predictions import open_run_data, predict
from pipeline.evaluation.recordings import write_recordings
from pipeline.manifest.rows import Split
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import read_calibration
from pipeline.tasks.frames import Frames
from pipeline.tasks.task import task_of
from pipeline.training.features import on_stored_features


def answer(run: Run, split: Split) -> None:
    """Has a run answer for a split, and keeps that in its report as `evaluate` does.

    Raises:
        DataError: The run or its data set cannot be used, or the split has no videos.
    """
    config, class_names = run.config(), run.class_names()
    videos = open_run_data(run)
    if split not in videos.num_videos:
        raise DataError(f"{videos.path} has no {split} videos. Prepare it with --{split}-fraction")
    calibration, task = read_calibration(run), task_of(config.model)
    model = load_recognizer(run.model_file, config, len(class_names))
    run.report.mkdir(exist_ok=True)
    path = answers_file(run, split, config.model)
    with damage_named():
        part, seen = on_stored_features(model, videos, config)
        if isinstance(task, Frames):
            fps = videos.frames.fps / config.clip.stride
            found = predict_frames(part, seen, config, split)
            write_recordings(path, [each.judged_by(task, calibration, fps) for each in found])
        else:
            predictions = predict(part, seen, config, split)
            answers: Answers = answers_of(predictions, calibration, config.model)
            write_answers(path, answers, config.model, class_names, calibration)
