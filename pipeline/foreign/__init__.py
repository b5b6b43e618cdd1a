"""Frozen networks of others, from their files: a frame in, features out, without TensorFlow."""

from pipeline.foreign.network import FrameNetwork, file_of, open_network
from pipeline.foreign.reading import SUFFIXES, Reading

__all__ = ["SUFFIXES", "FrameNetwork", "Reading", "file_of", "open_network"]
