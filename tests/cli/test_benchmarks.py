import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.video import write_video


def benchmark(*arguments: str) -> str:
    command = [sys.executable, "-m", "pipeline.cli", "benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def decode(folder: Path) -> list[str]:
    """The row of a video in the table."""
    noise = np.random.default_rng(0).integers(256, size=(60, 96, 128, 3), dtype=np.uint8)
    write_video(folder / "noise.avi", noise, fps=25)
    output = benchmark("decode", str(folder / "noise.avi"), "--repeats", "1")
    assert "MJPG 128x96, 60 frames" in output
    return re.search(r"^noise\.avi (.*)$", output, re.MULTILINE)[1].replace(",", "").split()


def test_decode_compares_with_ffmpeg_where_it_is_installed(tmp_path):
    row = decode(tmp_path)
    if shutil.which("ffmpeg"):
        for reader, *_, ffmpeg, ratio in (row[:5], row[5:10]):
            assert float(ratio) == pytest.approx(int(reader) / int(ffmpeg), rel=0.02, abs=0.01)


def test_decode_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    *measured, without = decode(tmp_path)[:4]
    assert min(map(int, measured)) > 0
    assert without == "-"


def test_both_networks_of_the_step_compute_the_same():
    output = benchmark(
        "step", "--batch-size", "2", "--frames", "4", "--size", "16", "--repeats", "1"
    )
    difference = re.search(r"^largest difference .* (\S+e-?\S+)$", output, re.MULTILINE)[1]
    assert float(difference) < 1e-5
