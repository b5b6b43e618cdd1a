"""Archives, classified on a cluster of Dask with two workers."""

import csv
import json
import threading
import time
from pathlib import Path

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from pipeline.cli.classify import main
from pipeline.errors import ConfigError, DataError
from pipeline.inference import archive
from pipeline.inference.archive import Means, classify_archive
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import find_videos, read_list
from tests.dask_cluster import dask_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask"), 2) as found:
        yield found


@pytest.fixture
def names(blob_videos, tmp_path):
    """Links to good files, and a bad one in the middle."""
    videos = find_videos([str(blob_videos)])
    (tmp_path / "links").mkdir()
    found = []
    for number in range(230):
        link = tmp_path / "links" / f"{number:03d}.avi"
        link.symlink_to(videos[number % len(videos)])
        found.append(str(link))
    Path(found[120]).unlink()
    Path(found[120]).write_bytes(b"no video")
    return found


def lines_of(folder):
    return [
        json.loads(line)
        for file in sorted(folder.glob("part-*.jsonl"))
        for line in file.read_text().splitlines()
    ]


def means_of(run):
    return Means((str(run.folder),))


def test_each_file_is_there_once_though_a_worker_is_killed(blob_run, names, tmp_path):
    folder = tmp_path / "archive"

    def kill_one(workers):
        while not list(folder.glob("part-*")):
            time.sleep(0.02)
        workers[0].kill()

    with dask_cluster(tmp_path, 2) as own:
        killer = threading.Thread(target=kill_one, args=(own.workers,))
        killer.start()
        found = classify_archive(names, means_of(blob_run), folder, own.beam_options)
        killer.join()
    assert (found.num_files, found.num_bad) == (230, 1)
    answers = lines_of(folder)
    assert [each["path"] for each in answers] == names
    assert [each["path"] for each in answers if "error" in each] == [names[120]]
    with found.bad_file.open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [names[120]]
    classifier = Classifier.load(blob_run.folder)
    for number in (0, 119, 121, 229):
        alone = classifier.predict(names[number])
        assert answers[number]["label"] == alone.label
        assert answers[number]["probability"] == pytest.approx(alone.probability, abs=1e-5)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["files"] == 230
    assert sum(summary["labels"].values()) == 229


def test_what_is_done_is_not_done_again(blob_run, names, tmp_path, monkeypatch):
    folder, means = tmp_path / "archive", means_of(blob_run)
    whole = classify_archive(names, means, folder, "--runner=DirectRunner")
    parts = sorted(folder.glob("part-*"))
    assert len(parts) == 3
    before = {part: part.stat().st_mtime_ns for part in parts}
    parts[1].unlink()
    assert classify_archive(names, means, folder, "--runner=DirectRunner") == whole
    changed = [part for part in parts if part.stat().st_mtime_ns != before[part]]
    assert changed == [parts[1]]
    monkeypatch.setattr(archive, "run_on_beam", None)  # Nothing is left to do.
    assert classify_archive(names, means, folder) == whole
    with pytest.raises(ConfigError, match="holds results of other files"):
        classify_archive(names[1:], means, folder)
    with pytest.raises(ConfigError, match="is not empty"):
        classify_archive(names, means, tmp_path / "links")
    with pytest.raises(DataError, match="no files to classify"):
        classify_archive([], means, tmp_path / "other")


class Shelf(LocalFileSystem):
    """A file system with addresses of its own, as those of object stores have."""

    @classmethod
    def scheme(cls):
        return "shelf"

    def open(self, path, *arguments, **options):
        return super().open(path.removeprefix("shelf:/"), *arguments, **options)


def test_addresses_are_read_by_the_file_systems_of_beam(blob_run, blob_videos, tmp_path):
    video = Path(find_videos([str(blob_videos)])[0])
    names = [f"shelf:/{video}", "shelf://no/a.mp4", "nowhere://a.mp4?token=secret", str(video)]
    classify_archive(names, means_of(blob_run), tmp_path / "archive", "--runner=DirectRunner")
    answers = lines_of(tmp_path / "archive")
    assert [each["path"] for each in answers] == names
    assert answers[0]["label"] == answers[3]["label"]
    for each in answers[1:3]:
        assert each["error"].startswith("cannot be fetched: ")


def test_the_command(blob_run, names, cluster, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("\n".join([*names[100:140], names[100], ""]))
    arguments = ["--list", tmp_path / "list.txt", "--run", blob_run.folder, "--runner", "beam"]
    arguments += [f"--beam-options={cluster.beam_options}", "--out", tmp_path / "archive"]
    assert main(list(map(str, arguments))) == 1
    shown = capsys.readouterr()
    assert f"39 of 40 files classified: {tmp_path / 'archive'}" in shown.out
    assert "1 could not be read" in shown.err
    assert [each["path"] for each in lines_of(tmp_path / "archive")] == names[100:140]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runner", "beam"], "writes a folder"),
        (["--runner", "beam", "--out", "a.csv"], "writes a folder"),
        (["--runner", "beam", "--out", "a", "--timeline"], "makes no timelines"),
        (["--beam-options=--x"], "are for --runner beam"),
    ],
)
def test_options_that_do_not_go_together(blob_run, names, options, message):
    with pytest.raises(ConfigError, match=message):
        main([names[0], "--run", str(blob_run.folder), *options])


def test_a_list_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="a text file with a path on each line"):
        read_list(tmp_path / "none.txt")
    (tmp_path / "list.txt").write_text("\ufeffa.mp4\n\n b.mp4 \na.mp4\n", encoding="utf-8")
    assert read_list(tmp_path / "list.txt") == ["a.mp4", "b.mp4"]
