"""External backbones: what they are given, and what is taken of what they give."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.external import Reading, open_backbone, said_by
from tests.networks import features_of, write_onnx, write_tflite

HALF = Reading(mean=(127.5,), std=(127.5,), grid=4)


def frames(number=3, size=32):
    return np.random.default_rng(5).integers(256, size=(number, size, size, 3), dtype=np.uint8)


def opened(path, reading=HALF, size=32, num_threads=1):
    return open_backbone(path, reading, size=size, num_threads=num_threads)


def flat(maps):
    return maps.reshape(len(maps), -1)


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    return write_tflite(tmp_path_factory.mktemp("networks") / "any.tflite")


def test_files_of_both_kinds_give_the_features_also_of_other_types_and_in_a_row(tmp_path):
    """Of any batch, or of one that the file fixes."""
    for batch in (None, 1, 4):
        onnx = write_onnx(tmp_path / "a.onnx", (batch or "n", 3, 32, 32))
        lite = write_tflite(tmp_path / "a.tflite", (batch, 32, 32, 3))
        for path in (onnx, lite):
            network = opened(path)
            assert network.num_features == 4 * 4 * 5
            found = network(frames(21))  # in more than one call
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, flat(features_of(frames(21))), atol=1e-5)
    half = opened(write_onnx(tmp_path / "half.onnx", dtype=np.float16))
    np.testing.assert_allclose(half(frames()), flat(features_of(frames())), atol=1e-2)
    pixels = opened(write_onnx(tmp_path / "pixels.onnx", dtype=np.uint8), Reading())
    wanted = flat(features_of(frames(), 0, 1))
    np.testing.assert_allclose(pixels(frames()), wanted, rtol=1e-4, atol=1e-3)
    network = opened(write_onnx(tmp_path / "a.onnx", mean_over=(2, 3)))
    np.testing.assert_allclose(network(frames()), features_of(frames()).mean((1, 2)), atol=1e-5)


def test_frames_are_made_as_large_as_the_file_says_and_of_its_range(tflite, tmp_path):
    large = frames(2, 32).repeat(2, 1).repeat(2, 2)
    wanted = flat(features_of(frames(2, 32)))
    np.testing.assert_allclose(opened(tflite, size=64)(large), wanted, atol=1e-5)
    anything = opened(write_onnx(tmp_path / "a.onnx", ("n", 3, "h", "w")), size=64)
    assert anything.num_features == 4 * 4 * 5
    cells = features_of(large).reshape(2, 4, 2, 4, 2, 5).mean((2, 4))
    np.testing.assert_allclose(anything(large), flat(cells), atol=1e-5)
    path = tmp_path / "said.tflite"
    path.write_bytes(with_metadata(tflite.read_bytes(), [10.0, 20.0, 30.0], [64.0, 64.0, 32.0]))
    values = (frames() - np.array([10, 20, 30])) / np.array([64, 64, 32])
    wanted = flat(features_of(values, 0, 1))
    np.testing.assert_allclose(opened(path, Reading())(frames()), wanted, atol=1e-4)


def test_maps_are_averaged_as_those_of_keras_are(tmp_path):
    import keras

    from pipeline.models.backbones import _on_grid

    onnx = write_onnx(tmp_path / "a.onnx", ("n", 3, "h", "w"))
    for size, grid in ((32, 4), (32, 3), (56, 4), (56, 2), (56, 1), (40, 2)):
        network = opened(onnx, Reading(mean=(0.0,), std=(1.0,), grid=grid), size=size)
        maps = features_of(frames(2, size), 0, 1)
        wanted = keras.ops.convert_to_numpy(_on_grid(keras.ops.cast(maps, "float32"), grid))
        np.testing.assert_allclose(network(frames(2, size)), wanted, rtol=1e-4)


def test_order_and_range_of_each_channel_are_given_or_said_by_an_onnx_file(tmp_path):
    path = write_onnx(tmp_path / "a.onnx")
    reading = Reading(mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0), channels="bgr")
    values = (frames() - np.array([10, 20, 30])) / np.array([1, 2, 4])
    wanted = flat(features_of(values[..., ::-1], 0, 1))
    np.testing.assert_allclose(opened(path, reading)(frames()), wanted, rtol=1e-4, atol=1e-4)
    said = {"Image.NominalPixelRange": "Normalized_0_1", "Image.BitmapPixelFormat": "Bgr8"}
    path = write_onnx(tmp_path / "a.onnx", said=said)
    wanted = flat(features_of(frames()[..., ::-1], 0, 255))
    np.testing.assert_allclose(opened(path, Reading())(frames()), wanted, atol=1e-5)
    given = opened(path, Reading(mean=(127.5,), std=(127.5,), channels="rgb"))
    np.testing.assert_allclose(given(frames()), flat(features_of(frames())), atol=1e-5)
    assert said_by({"Image.NominalPixelRange": b"Normalized_1_1"}).std == (127.5,)


def with_metadata(content, mean, std):
    """A LiteRT file that says how it was normalised, as `tflite_support` writes it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder(256)

    def vector(values, prepend):
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return builder.EndVector()

    def table(kind=0, **fields):
        """Of fields `_NUMBER`, which are offsets; `kind` is a byte, the first one."""
        builder.StartObject(8)
        if kind:
            builder.PrependUint8Slot(0, kind, 0)
        for name, value in fields.items():
            builder.PrependUOffsetTRelativeSlot(int(name.strip("_")), value, 0)
        return builder.EndObject()

    def tables(*each):
        return vector(each, builder.PrependUOffsetTRelative)

    first, second = (vector(values, builder.PrependFloat32) for values in (mean, std))
    options = table(_0=first, _1=second)
    other = table(kind=2)  # the calibration of a score
    units = tables(other, table(kind=1, _1=options))
    graphs = tables(table(_2=tables(table(_4=units))))
    builder.Finish(table(_3=graphs), b"M001")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(bytes(builder.Output()), np.uint8)
    entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [entry]
    packed = flatbuffers.Builder(len(content))
    packed.Finish(model.Pack(packed), b"TFL3")
    return bytes(packed.Output())


def test_networks_of_8_bits_and_threads_that_get_what_each_would_get_alone(tflite, tmp_path):
    wanted = flat(features_of(frames()))
    for kind, reading in itertools.product(("uint8", "int8"), (Reading(), HALF)):
        path = write_tflite(tmp_path / "a.tflite", (1, 32, 32, 3), kind)
        found = opened(path, reading)(frames())
        assert np.abs(found - wanted).max() < 0.05 * wanted.max()
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.995
    network, given = opened(tflite), frames(64)

    def work(number):
        return [network(given[number : number + 1])[0] for _ in range(5)][-1]

    with ThreadPoolExecutor(64) as threads:
        found = list(threads.map(work, range(64)))
    np.testing.assert_allclose(found, network(given), atol=1e-5)


def test_files_that_are_no_network_of_frames_or_do_not_say_enough(tflite, tmp_path):
    for options, message in (
        ({"inputs": 2}, "expected one input. Received: 2"),
        ({"outputs": 2}, "expected one output. Received: 2"),
        ({"shape": ("n", 1, 32, 32)}, r"or \(N, 3, H, W\). Received: \(any, 1, 32, 32\)"),
        ({"mean_over": (3,)}, r"features \(N, F\) or .* Received: \(1, 5, 4\) for 1"),
        ({"dtype": np.float64}, "expected an input of float32, float16, uint8. Received: float64"),
        ({"shape": ("n", 3, 2, 2)}, "cannot be run: "),
    ):
        with pytest.raises(DataError, match=f"a.onnx: .*{message}"):
            assert opened(write_onnx(tmp_path / "a.onnx", **options)).num_features
    with pytest.raises(ConfigError, match=r"backbone.name .*none.onnx: there is no such file"):
        opened(tmp_path / "none.onnx")
    for suffix, kind in ((".onnx", "an ONNX"), (".tflite", "a LiteRT")):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(tflite.read_bytes()[:500])
        with pytest.raises(DataError, match=rf"cut{suffix}: not {kind} network, or damaged: ") as e:
            opened(path)
        assert "\n" not in str(e.value)
    with pytest.raises(ConfigError, match=r"does not say which values .* --backbone.mean '\[127.5"):
        opened(tflite, Reading())
