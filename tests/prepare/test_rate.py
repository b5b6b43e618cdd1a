"""Which rate is chosen of those that videos have."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.rate import chosen_rate, stored_rate
from pipeline.video import write_video


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([], 15),
        ([30, 25, 60], 15),
        ([12, 30, 30], 12),
        ([14.985] * 3, 15),  # half of what television has: as good as 15
        ([14] * 3, 14),
        ([10] + [30] * 18, 10),
        ([0.1] * 5 + [30] * 6, 7.5),  # half of what most would get
        ([0.1] * 6 + [30] * 5, 0.1),
        ([5] + [30] * 19, 15),  # one in twenty
        ([5] * 2 + [30] * 38, 15),
        ([9] * 2 + [30] * 37, 9),
    ],
)
def test_stored_rate(rates: list[float], expected: float) -> None:
    assert stored_rate(rates) == expected


def test_rate_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly chosen where there are many; one that cannot be read is passed over."""
    monkeypatch.setattr("pipeline.prepare.rate._LOOKED_AT", 3)
    paths = [str(tmp_path / f"{rate}.avi") for rate in (14, 10, 12, 11, 13, 15)]
    for path in paths:
        rate = float(Path(path).stem)
        write_video(path, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=rate, codec="FFV1")
    Path(paths[2]).write_text("no video")
    config = PrepareConfig(source="folder", path=str(tmp_path), out="-", workers=1)
    assert chosen_rate(paths, config) == 13
