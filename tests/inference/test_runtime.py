"""What all runtimes do alike."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.inference.runtime import Runtime

MEBIBYTE = 2**20


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


@pytest.mark.parametrize("size", [16, 224, 700])
def test_frames_go_through_the_backbone_few_at_once(size):
    pairs = np.random.default_rng(0).integers(0, 256, (9, 2, size, size, 3), np.uint8)
    model = MeanColour()
    features = model.features({"frames": pairs, "flow": pairs[::-1]})["rgb_features"]
    both = np.concatenate([pairs, pairs[::-1]], axis=1).mean(axis=(2, 3, 4), dtype=np.float32)
    np.testing.assert_allclose(features, both, rtol=1e-5)
    assert max(model.sizes) <= max(MEBIBYTE, 2 * pairs[0].nbytes)
    assert len(model.sizes) == {16: 1, 224: 9, 700: 9}[size]
