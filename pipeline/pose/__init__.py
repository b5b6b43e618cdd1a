"""Key points of people, by BlazePose with LiteRT and NumPy."""

from pipeline.pose.estimator import PoseEstimator, Poses

__all__ = ["PoseEstimator", "Poses"]
