"""Tables as DeepLabCut and SLEAP write them, of points that a test makes up."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

NAMES = ("nose", "earL", "earR", "tail_base")
SCORER = "DLC_resnet50_openfieldJun30shuffle1_500"


def some_points(num_frames: int, animals: int = 1, seed: int = 0) -> np.ndarray:
    """x, y in pixels of 64 x 48, likelihood: float (F, I, N, 3)."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(5, 40, (num_frames, animals, len(NAMES), 3))
    points[..., 2] = rng.uniform(0.5, 1, points.shape[:-1])
    return points


def write_deeplabcut(
    path: Path,
    points: np.ndarray,
    *,
    names: Sequence[str] = NAMES,
    animals: Sequence[str] = (),
    place: Sequence[str] = (),
    first: int = 0,
) -> Path:
    """Three rows at the top, or four where there are names of animals.

    `place` has points that are no animal's, and a point of NaN is empty, as pandas writes it.
    """
    owners = animals or ("",)
    columns = [(owner, name) for owner in owners for name in names]
    columns += [("single", name) for name in place]
    coords = ("x", "y", "likelihood")
    top = [["scorer", *[SCORER] * 3 * len(columns)]]
    if animals:
        top.append(["individuals", *[owner for owner, _ in columns for _ in coords]])
    top.append(["bodyparts", *[name for _, name in columns for _ in coords]])
    top.append(["coords", *coords * len(columns)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(top)
        for number, frame in enumerate(points, first):
            cells = [repr(float(value)) for value in frame.ravel()]
            cells = ["" if cell == "nan" else cell for cell in cells]
            writer.writerow([number, *cells, *["7.0", "8.0", "1.0"] * len(place)])
    return path


def write_sleap_h5(
    path: Path, points: np.ndarray, *, names: Sequence[str] = NAMES, dims: Sequence[str] = ()
) -> Path:
    """As SLEAP exports it for analysis; with `dims`, as sleap-io does in another order of axes."""
    axes = ["frame", "track", "node", "xy"]
    order = list(dims) or ["track", "xy", "node", "frame"]
    scores = [axis for axis in order if axis != "xy"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        tracks = points[..., :2].transpose([axes.index(axis) for axis in order])
        file.create_dataset("tracks", data=tracks, compression="gzip")
        of_points = points[..., 2].transpose([axes.index(axis) for axis in scores])
        file.create_dataset("point_scores", data=of_points, compression="gzip")
        there = np.isfinite(points[..., 0]).any(axis=-1).astype(np.uint8)
        file.create_dataset("track_occupancy", data=there)
        file.create_dataset("node_names", data=[name.encode() for name in names])
        tracks = [f"track_{number}".encode() for number in range(points.shape[1])]
        file.create_dataset("track_names", data=tracks)
        if dims:
            file["tracks"].attrs["dims"] = json.dumps(list(dims))
    return path


def write_sleap_csv(
    path: Path, points: np.ndarray, *, names: Sequence[str] = NAMES, tracked: bool = True
) -> Path:
    """A row for each animal that is seen in a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        coords = [f"{name}.{kind}" for name in names for kind in ("x", "y", "score")]
        writer.writerow(["track", "frame_idx", "instance.score", *coords])
        for number, frame in enumerate(points):
            for animal, found in enumerate(frame):
                if np.isfinite(found[:, 0]).any():
                    cells = [
                        "" if np.isnan(value) else repr(float(value)) for value in found.ravel()
                    ]
                    track = f"track_{animal}" if tracked else ""
                    writer.writerow([track, number, 0.9, *cells])
    return path
