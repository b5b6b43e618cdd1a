"""What runs a model: the same answers as Keras, whoever else asks at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.errors import DataError
from pipeline.inference import litert
from pipeline.inference.classifier import Classifier
from pipeline.inference.litert import LiteRTModel
from pipeline.inference.runtime import Runtime
from pipeline.inference.timeline import make_timeline
from pipeline.models.recognizer import load_recognizer
from pipeline.video import write_video

MEBIBYTE = 2**20
THREADS = 8


class MeanColour(Runtime):
    """The backbone is the mean of each frame and of the one before it."""

    path, num_classes = Path("none"), 2

    def __init__(self):
        self.sizes = []

    def inputs(self, part):
        return {part: ()}

    def run(self, part, inputs):
        assert part == "features"
        self.sizes.append(sum(each.nbytes for each in inputs.values()))
        found = [each.mean(axis=(2, 3, 4)) for each in inputs.values()]
        return {"rgb_features": np.concatenate(found, axis=1, dtype=np.float32)}


@pytest.mark.parametrize(("size", "calls"), [(16, 1), (224, 9), (320, 9)])
def test_frames_go_through_the_backbone_few_at_once(size, calls):
    pairs = np.random.default_rng(0).integers(0, 256, (9, 2, size, size, 3), np.uint8)
    model = MeanColour()
    features = model.features({"frames": pairs, "flow": pairs[::-1]})["rgb_features"]
    both = np.concatenate([pairs, pairs[::-1]], axis=1).mean(axis=(2, 3, 4), dtype=np.float32)
    np.testing.assert_allclose(features, both, rtol=1e-5)
    assert max(model.sizes) <= max(MEBIBYTE, 2 * pairs[0].nbytes)
    assert len(model.sizes) == calls


@pytest.fixture(scope="module")
def clips(hasty_run, blob_store):
    """Clips of all test videos, and what Keras says of them."""
    model, config = load_recognizer(hasty_run.model_file), hasty_run.config()
    batches = [inputs for inputs, _ in evaluation_batches(blob_store, config, "test")]
    return [
        ({"frames": frames, "mask": mask}, logits)
        for inputs in batches
        for frames, mask, logits in zip(
            inputs["frames"].numpy(), inputs["mask"].numpy(), model(inputs).numpy(), strict=True
        )
    ]


def test_logits_are_those_of_keras(hasty_run, clips):
    """What lies in the padding does not count."""
    exported = LiteRTModel(hasty_run.litert_file, num_threads=2)
    assert {bool(inputs["mask"].all()) for inputs, _ in clips} == {True, False}
    for inputs, expected in clips:
        logits = exported.clip_logits(inputs)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        real = inputs["mask"][:, None, None, None]
        spoilt = np.where(real, inputs["frames"], 255).astype(np.uint8)
        logits = exported.clip_logits({**inputs, "frames": spoilt})
        np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_a_file_that_is_replaced_changes_nothing_for_who_opened_it(
    hasty_run, clips, tmp_path, monkeypatch
):
    """Not for threads that come later either, which take an interpreter more."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    model = LiteRTModel(Path(shutil.copy(hasty_run.litert_file, tmp_path)))
    model.path.write_bytes(b"another")
    inputs, expected = clips[0]
    with model._interpreters.borrowed():
        np.testing.assert_allclose(model.clip_logits(inputs), expected, atol=1e-4)
    with pytest.raises(DataError, match="model.tflite: not a LiteRT model, or damaged"):
        LiteRTModel(model.path)


def in_threads(work, items):
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, items))


@pytest.fixture(scope="module")
def arrays():
    """Videos of 3 to 14 frames, of which some are too short for a clip."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(256, size=(3 + number % 12, 32, 32, 3), dtype=np.uint8) for number in range(48)
    ]


def test_threads_have_the_answers_of_one_by_one(hasty_run, arrays, tmp_path):
    wanted = [Classifier(hasty_run).predict(array) for array in arrays]
    assert len({answer.probability for answer in wanted}) > 45, "an answer tells its video"
    assert in_threads(Classifier(hasty_run).predict, arrays) == wanted
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
