"""Opening an exported model that is data alone: LiteRT or ONNX."""

from __future__ import annotations

from pathlib import Path

from pipeline.inference.runtime import Runtime


def open_runtime(path: Path, *, num_threads: int = 1) -> Runtime:
    """Opens an exported model that can compute and nothing else, whoever made it.

    A SavedModel can do anything, such as write files: `pipeline.inference.tensorflow` opens one.

    Args:
        path: A `.tflite` file, or a folder of ONNX files.
        num_threads: For one clip, where the runtime lets one say.

    Raises:
        DataError: It cannot be used.
        ConfigError: The package that runs it is missing.
    """
    if path.suffix == ".tflite":
        from pipeline.inference.litert import LiteRTModel

        return LiteRTModel(path, num_threads=num_threads)
    from pipeline.inference.onnx import ONNXModel

    return ONNXModel(path, num_threads=num_threads)
