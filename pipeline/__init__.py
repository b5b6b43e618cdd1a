"""Clipline: video action recognition with a CNN on each frame and an LSTM over the frames."""

__version__ = "0.1.0"
