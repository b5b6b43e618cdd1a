"""Key points of animals or people that other tools found, by their tables: DeepLabCut and SLEAP."""

from pipeline.key_points.files import Tables
from pipeline.key_points.placed import KeyPoints

__all__ = ["KeyPoints", "Tables"]
