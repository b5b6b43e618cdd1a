import re
import shutil

import numpy as np
import pytest

from pipeline.cli.benchmark import main
from pipeline.cli.benchmarks.serve import is_same
from pipeline.video import write_video
from tests.conftest import blob_recording


@pytest.fixture
def benchmark(capsys):
    """Calls a benchmark; gives what it prints."""

    def call(*words):
        main([str(word) for word in words])
        return capsys.readouterr().out

    return call


def test_decode_compares_with_ffmpeg_where_it_is_installed(benchmark, monkeypatch, tmp_path):
    noise = np.random.default_rng(0).integers(256, size=(60, 96, 128, 3), dtype=np.uint8)
    write_video(tmp_path / "noise.avi", noise, fps=25)

    def decoded():
        output = benchmark("decode", tmp_path / "noise.avi", "--repeats", 1)
        assert "MJPG 128x96, 60 frames" in output
        return re.search(r"^noise\.avi (.*)$", output, re.MULTILINE)[1].replace(",", "").split()

    if shutil.which("ffmpeg"):
        row = decoded()
        for reader, *_, ffmpeg, ratio in (row[:5], row[5:10]):
            assert float(ratio) == pytest.approx(int(reader) / int(ffmpeg), rel=0.02, abs=0.01)
    monkeypatch.setenv("PATH", str(tmp_path))
    *measured, without = decoded()[:4]
    assert min(map(int, measured)) > 0
    assert without == "-"


def test_both_networks_of_the_step_compute_the_same(benchmark):
    output = benchmark("step", "--batch-size", 2, "--frames", 4, "--size", 16, "--repeats", 1)
    difference = re.search(r"^largest difference .* (\S+e-?\S+)$", output, re.MULTILINE)[1]
    assert float(difference) < 1e-5


def test_a_server_under_load_answers_as_the_classifier(hasty_run, blob_videos, benchmark, tmp_path):
    broken = tmp_path / "broken.avi"
    broken.write_text("no video")
    videos = [blob_videos / "left" / f"g0{number} 0.avi" for number in range(3)]
    options = ("--run", hasty_run.folder, "--clients", 3, "--minutes", 0.06, "--kill", 3)
    output = benchmark("serve", *videos, broken, *options)
    told = r"^answers +([\d,]+); (\d+) of another file or wrong, (\d+) lost; (\d+) decoders"
    found = re.search(told, output, re.MULTILINE)
    answered, wrong, lost, killed = (int(text.replace(",", "")) for text in found.groups())
    assert answered >= 3
    assert (wrong, lost) == (0, 0), output
    assert killed >= 1
    assert re.search(r"^server .* requests a second, \d+\.\d+ of classify$", output, re.MULTILINE)
    # An answer of another file would be seen.
    answer = {"label": "a", "top": [{"label": "a", "probability": 0.75}], "damaged": False}
    assert is_same(answer, answer)
    for changes in ({"label": "b"}, {"top": []}, {"damaged": True}):
        assert not is_same({**answer, **changes}, answer)
    assert not is_same({"error": "it is text"}, answer)


def test_labels_are_chosen_or_drawn(benchmark, tmp_path):
    lines = ["video,start_seconds,end_seconds,label"]
    for number in range(8):
        frames, events = blob_recording(np.random.default_rng(number))
        write_video(tmp_path / f"g{number}.avi", frames, fps=10, codec="FFV1")
        lines += [f"g{number}.avi,{start},{end},{label}" for start, end, label in events]
    table, picture = tmp_path / "events.csv", tmp_path / "curves.png"
    table.write_text("\n".join(lines))
    options = ["--seeds", 1, "--rounds", 3, "--stretches", 2, "--seconds", 2]
    output = benchmark("labels", tmp_path, *options, "--events", table, "--out", picture)
    head, *rows = output[output.index("events  F1") :].splitlines()
    assert head == "events  F1, chosen  F1, chance  by chance it takes"
    found = [row.split() for row in rows]
    assert len(found) == 8
    assert float(found[0][0]) < float(found[-1][0]) <= 12  # those of six recordings
    assert all(0 <= float(score) <= 1 for row in found for score in row[1:3])
    assert picture.read_bytes().startswith(b"\x89PNG")
