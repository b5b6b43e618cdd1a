"""One classifier, many threads: each has the answers that it would have alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.inference import litert
from pipeline.inference.classifier import Classifier
from pipeline.inference.timeline import make_timeline
from pipeline.video import write_video

THREADS = 8


def in_threads(work, items):
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, items))


@pytest.fixture(scope="module")
def arrays():
    """Videos of 3 to 14 frames, of which some are too short for a clip."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(256, size=(3 + number % 12, 32, 32, 3), dtype=np.uint8) for number in range(96)
    ]


def test_threads_have_the_answers_of_one_by_one(hasty_run, arrays):
    wanted = [Classifier(hasty_run).predict(array) for array in arrays]
    assert len({answer.probability for answer in wanted}) > 90, "an answer tells its video"
    assert in_threads(Classifier(hasty_run).predict, arrays) == wanted


def test_timelines_of_threads_are_those_of_one_by_one(hasty_run, arrays, tmp_path):
    paths = [tmp_path / f"{number}.avi" for number in range(THREADS)]
    for number, path in enumerate(paths):
        write_video(path, np.concatenate(arrays[number::THREADS]), fps=10, codec="FFV1")

    def logits(path):
        windows = make_timeline(classifier, path, window_seconds=0.8).windows
        return np.stack([window.logits for window in windows]).tolist()

    classifier = Classifier(hasty_run)
    wanted = [logits(path) for path in paths]
    classifier = Classifier(hasty_run)
    assert in_threads(logits, paths) == wanted


@pytest.mark.parametrize("cores", [1, 2])
def test_there_are_no_more_interpreters_than_cores(hasty_run, arrays, monkeypatch, cores):
    started = []

    class Counted(litert.Interpreter):
        def __init__(self, *arguments, **options):
            started.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(litert, "Interpreter", Counted)
    monkeypatch.setattr("pipeline.spares.os.cpu_count", lambda: cores)
    classifier = Classifier(hasty_run)
    for array in arrays[:3]:
        classifier.predict(array)
    assert len(started) == 1, "one thread takes one"
    in_threads(classifier.predict, arrays)
    assert len(started) == cores
