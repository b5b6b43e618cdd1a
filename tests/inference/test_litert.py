import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.errors import DataError
from pipeline.inference.litert import LiteRTModel
from pipeline.models.recognizer import load_recognizer


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


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_logits_are_those_of_keras(hasty_run, clips, padded):
    exported = LiteRTModel(hasty_run.litert_file)
    chosen = [(inputs, expected) for inputs, expected in clips if inputs["mask"].all() != padded]
    assert chosen
    for inputs, expected in chosen:
        logits = exported.clip_logits(inputs)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_what_lies_in_the_padding_does_not_count(hasty_run, clips):
    inputs, expected = next(clip for clip in clips if not clip[0]["mask"].all())
    mask = inputs["mask"]
    spoilt = np.where(mask[:, None, None, None], inputs["frames"], 255).astype(np.uint8)
    model = LiteRTModel(hasty_run.litert_file, num_threads=2)
    logits = model.clip_logits({"frames": spoilt, "mask": mask})
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


def test_a_damaged_model_file(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"TFL3 cut off")
    with pytest.raises(DataError, match="model.tflite: not a LiteRT model, or damaged"):
        LiteRTModel(tmp_path / "model.tflite")
