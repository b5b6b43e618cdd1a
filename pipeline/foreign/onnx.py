"""Networks in files of ONNX."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.errors import ConfigError
from pipeline.foreign.file import Floats, Input, NetworkFile, NoFrameNetworkError, Values, only
from pipeline.foreign.reading import Channels, Reading
from pipeline.text import extra

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}

_RANGES = {
    "NominalRange_0_255": Reading(mean=(0.0,), std=(1.0,)),
    "Normalized_0_1": Reading(mean=(0.0,), std=(255.0,)),
    "Normalized_1_1": Reading(mean=(127.5,), std=(127.5,)),
}


class ONNXFile(NetworkFile):
    """See `NetworkFile`.

    Args:
        content: Of the file, with the weights in it.
        num_threads: For one call.

    Raises:
        ValueError: It is no network of ONNX, or not one of frames.
        ConfigError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, num_threads: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ConfigError(f"ONNX needs onnxruntime: {extra('onnx')}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options)
        except Exception as error:  # onnxruntime's errors have no class of their own in common
            raise ValueError(str(error)) from None
        given = only(self._session.get_inputs(), "input")
        only(self._session.get_outputs(), "output")
        if given.type not in _DTYPES:
            raise NoFrameNetworkError(
                f"expected an input of float, float16 or uint8. Received: {given.type}"
            )
        self._name = given.name
        shape = tuple(size if isinstance(size, int) else None for size in given.shape)
        said = said_by(self._session.get_modelmeta().custom_metadata_map)
        self.input = Input(shape=shape, dtype=_DTYPES[given.type], said=said)

    def __call__(self, values: Values) -> Floats:
        """See `NetworkFile`."""
        try:
            (found,) = self._session.run(None, {self._name: values})
        except Exception as error:  # as above
            raise ValueError(str(error)) from None
        return np.asarray(found, np.float32)


def said_by(metadata: Mapping[str, str]) -> Reading:
    """Values and order of the pixels, as the metadata of an ONNX file may say.

    Source: `MetadataProps.md` of ONNX.

    Example:
        >>> said_by({"Image.BitmapPixelFormat": "Bgr8"}).channels
        'bgr'
    """
    known = _RANGES.get(metadata.get("Image.NominalPixelRange", ""), Reading())
    order = metadata.get("Image.BitmapPixelFormat", "").lower()[:3]
    channels: Channels = "bgr" if order == "bgr" else "auto"
    return Reading(mean=known.mean, std=known.std, channels=channels)
