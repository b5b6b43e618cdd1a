"""Archives, classified on a cluster of Dask with two workers."""

import csv
import json
import sys
import threading
import time
from pathlib import Path

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from pipeline.cli.classify import main
from pipeline.errors import ConfigError, DataError
from pipeline.inference import archive
from pipeline.inference.addresses import absolute, expect_file_systems
from pipeline.inference.archive import Means, Part, classify_archive, classify_part
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
    mended = Path(names[120])
    mended.unlink()
    mended.symlink_to(Path(names[121]).resolve())
    for number in (0, 119, 121):  # They have their answers, and are not read again.
        Path(names[number]).unlink()
    assert classify_archive(names, means, folder, "--runner=DirectRunner").num_bad == 0
    assert [each["path"] for each in lines_of(folder)] == names
    changed = [part for part in parts if part.stat().st_mtime_ns != before[part]]
    assert changed == [parts[1]]
    classify_part(Part(tuple(names[100:200]), parts[1]), Means(("no run",)))  # It opens none.
    monkeypatch.setattr(archive, "run_on_beam", None)  # Nothing is left to do.
    assert classify_archive(names, means, folder).num_bad == 0
    with pytest.raises(ConfigError, match="holds results of other files"):
        classify_archive(names[1:], means, folder)


def test_folders_that_cannot_be_an_archive(blob_run, names, tmp_path):
    means = means_of(blob_run)
    with pytest.raises(ConfigError, match="is not empty"):
        classify_archive(names, means, tmp_path / "links")
    with pytest.raises(ConfigError, match="is a file. Name a folder"):
        classify_archive(names, means, Path(names[120]))
    with pytest.raises(DataError, match="no files to classify"):
        classify_archive([], means, tmp_path / "other")


def test_a_list_may_be_corrected_before_anything_was_done(blob_run, names, tmp_path):
    folder, means = tmp_path / "archive", means_of(blob_run)
    classify_archive(names[:3], means, folder, "--runner=DirectRunner")
    for file in [*folder.glob("part-*"), folder / "bad.csv", folder / "summary.json"]:
        file.unlink()  # as after a kill before the first part was done
    (folder / "part-00001-of-00001.jsonl.12345678.tmp").touch()  # as a kill leaves it
    assert classify_archive(names[:2], means, folder, "--runner=DirectRunner").num_files == 2


def test_damaged_files_are_named(blob_run, names, tmp_path):
    folder, means = tmp_path / "archive", means_of(blob_run)
    whole = classify_archive(names[:3], means, folder, "--runner=DirectRunner")
    (part,) = folder.glob("part-*")
    lines = part.read_bytes().splitlines(keepends=True)
    for damaged in (b"".join(lines)[:-9], lines[0], b"1\n2\n3\n", b"{}\n", b"\xff\n"):
        part.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{part} is damaged. Delete it, and run"):
            classify_archive(names[:3], means, folder, "--runner=DirectRunner")
    part.unlink()
    assert classify_archive(names[:3], means, folder, "--runner=DirectRunner") == whole
    for damaged in ("{bad", "[]"):
        (folder / "archive.json").write_text(damaged)
        with pytest.raises(DataError, match=r"archive.json is damaged. Delete the folder"):
            classify_archive(names[:3], means, folder, "--runner=DirectRunner")


class Shelf(LocalFileSystem):
    """A file system with addresses of its own, as those of object stores have."""

    @classmethod
    def scheme(cls):
        return "shelf"

    def open(self, path, *arguments, **options):
        return super().open(path.removeprefix("shelf:/"), *arguments, **options)


def test_addresses_are_read_by_the_file_systems_of_beam(blob_run, blob_videos, tmp_path):
    video = Path(find_videos([str(blob_videos)])[0])
    names = [f"shelf:/{video}", "shelf://no/a.mp4", str(video)]
    classify_archive(names, means_of(blob_run), tmp_path / "archive", "--runner=DirectRunner")
    answers = lines_of(tmp_path / "archive")
    assert [each["path"] for each in answers] == names
    assert answers[0]["label"] == answers[2]["label"]
    assert answers[1]["error"].startswith("cannot be fetched: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gs://b/x.mp4", r"gs:// needs.* pip install 'apache-beam\[gcp\]'"),
        ("s3://b/x.mp4", r"s3:// needs.* pip install 'apache-beam\[aws\]'"),
        ("azfs://b/x.mp4", r"azfs:// needs.* pip install 'apache-beam\[azure\]'"),
        ("hdfs://b/x.mp4", r"hdfs:// needs.* pip install 'apache-beam\[hadoop\]'"),
        ("https://b/x.mp4", "https:// cannot be read by Beam. Download these files first"),
        ("foo://bar", "foo:// cannot be read by Beam"),
    ],
)
def test_addresses_without_a_file_system_are_refused_at_once(
    blob_run, name, message, tmp_path, monkeypatch
):
    for package in ("google.cloud.storage", "boto3", "azure.storage.blob", "hdfs"):
        monkeypatch.setitem(sys.modules, package, None)  # not installed
    with pytest.raises(ConfigError, match=message):
        classify_archive(["a.mp4", name], means_of(blob_run), tmp_path / "archive")
    assert not (tmp_path / "archive").exists()


def test_a_file_system_whose_package_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", sys)
    expect_file_systems(["s3://b/x.mp4"])


def test_an_address_stays_what_it_is():
    assert absolute("gs://b//a.mp4") == "gs://b//a.mp4"


def test_addresses_are_for_beam(blob_run, tmp_path):
    (tmp_path / "list.txt").write_text("a.mp4\ngs://ann:secret@b/x.mp4\n")
    arguments = ["--list", str(tmp_path / "list.txt"), "--run", str(blob_run.folder)]
    for more in ([], ["--out", str(tmp_path / "a.csv")], ["--timeline"]):
        with pytest.raises(
            ConfigError, match=r"gs://\*\*\*@b/x.mp4: addresses are for --runner beam"
        ):
            main([*arguments, *more])


@pytest.mark.parametrize("beam", [True, False])
def test_a_file_in_several_spellings_is_one(blob_run, names, tmp_path, monkeypatch, capsys, beam):
    monkeypatch.chdir(tmp_path)
    spellings = ["links/000.avi", "./links/000.avi", f"file://{names[0]}", "links/../links/000.avi"]
    Path("list.txt").write_text("\n".join([*spellings, names[0], names[1]]))
    arguments = ["--list", "list.txt", "--run", str(blob_run.folder)]
    if beam:
        assert main([*arguments, "--runner", "beam", "--out", "archive"]) == 0
        found = lines_of(tmp_path / "archive")
    else:
        assert main(["links/000.avi", *arguments, "--json"]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wanted = names[:2] if beam else ["links/000.avi", names[1]]
    assert [each["path"] for each in found] == wanted


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


def test_a_list_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="Name a text file with a path on each line"):
        read_list(tmp_path / "none.txt")
    (tmp_path / "list.txt").write_text("file://videos/a.mp4\n")
    with pytest.raises(DataError, match="expected file:/// and an absolute path"):
        read_list(tmp_path / "list.txt")
    for text, message in {
        " \n": "it is empty. Name a",
        "a.mp4\nlist.txt\n": "lists itself",
    }.items():
        (tmp_path / "list.txt").write_text(text)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DataError, match=message):
            read_list(tmp_path / "list.txt")


def test_all_of_a_line_is_the_name(tmp_path):
    names = [" b.mp4 ", "a\x0cb.mp4", "a\x85b.mp4", "a\u2028b.mp4", "a\rb.mp4"]
    addresses = ["file:///v/a%20%23.mp4", "file://localhost/v/b.mp4"]
    text = "\n".join(["\ufeffa.mp4\r", "", " ", *names, "a.mp4", *addresses, ""])
    (tmp_path / "list.txt").write_bytes(text.encode())
    assert read_list(tmp_path / "list.txt") == ["a.mp4", *names, "/v/a #.mp4", "/v/b.mp4"]


def test_misspelt_options_of_beam_leave_nothing_behind(blob_run, names, tmp_path):
    with pytest.raises(ConfigError, match="--beam-options: unknown --nonsense=3"):
        classify_archive(names, means_of(blob_run), tmp_path / "archive", "--nonsense=3")
    assert not (tmp_path / "archive").exists()
