"""Checkpoints are written here byte by byte, as `torch.save` wrote them before its zip format."""

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

from pipeline.errors import DataError
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


@pytest.fixture(autouse=True)
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
def path(tmp_path):
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


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (Tensor(offset=1), "does not fit its storage"),
        (Tensor(size=(10**12,), stride=(0,)), "does not fit its storage"),
        (Tensor(offset=-1), "expected a count, received -1"),
        (Tensor(size=("3", 4)), "expected a count, received '3'"),
        (Tensor(size=(3,)), "a tensor of an unknown kind"),
        (Tensor(storage=("7", "<f4", 12)), "a tensor of an unknown kind"),
        (Tensor(storage=Storage(kind="O")), "a storage of an unknown kind"),
        (Tensor(storage=Storage(id_kind="module")), "a storage of an unknown kind"),
        (Tensor(storage=Storage(view=("8", 0, 4))), "a storage of an unknown kind"),
        (Tensor(storage=Storage(length=13)), "a storage of 12 numbers, not 13"),
        (Tensor(storage=Storage(kind="DoubleStorage")), "it is cut off"),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(path, tensor, reason):
    write(path, {"bad": tensor})
    with pytest.raises(DataError, match=f"not a PyTorch checkpoint, or damaged: .*{reason}"):
        read_checkpoint(path)


STATE, NO_STATE = {"a": Tensor()}, "expected the state of a model"
TWO_TYPES = {**STATE, "b": Tensor(storage=Storage(kind="LongStorage"))}
OTHER_STORAGES = "its storages are not those"


@pytest.mark.parametrize(
    ("state", "options", "reason"),
    [
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
def test_anything_but_a_state_of_tensors_is_refused(path, state, options, reason):
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
