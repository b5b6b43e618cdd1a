"""External backbones: frozen networks in files, a frame in, features out, without TensorFlow."""

from pipeline.external.network import FrameNetwork, file_of, open_backbone
from pipeline.external.reading import SUFFIXES, Reading

__all__ = ["SUFFIXES", "FrameNetwork", "Reading", "file_of", "open_backbone"]
