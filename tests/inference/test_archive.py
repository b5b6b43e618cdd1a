"""Archives, classified by Beam: on this machine, and on a cluster of Dask with two workers."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from pipeline.errors import ConfigError, DataError
from pipeline.inference import archive
from pipeline.inference.addresses import absolute, expect_file_systems
from pipeline.inference.archive import Means, Part, classify_archive, classify_part
from pipeline.inference.classifier import Classifier
from pipeline.inference.many import find_videos, read_list
from tests.dask_cluster import dask_cluster
from tests.inference.commands import classify
from tests.inference.videos import rows

LOCAL = "--runner=DirectRunner"


@pytest.fixture
def names(request, blob_videos, tmp_path, monkeypatch):
    """Links to eight good files, or to so many, and a bad one in the middle; a part is of three."""
    monkeypatch.setattr(archive, "PART_SIZE", 3)
    videos, number = find_videos([str(blob_videos)]), getattr(request, "param", 8)
    (tmp_path / "links").mkdir()
    found = [tmp_path / "links" / f"{index:03d}.avi" for index in range(number)]
    for index, path in enumerate(found):
        path.symlink_to(videos[index % len(videos)])
    found[number // 2].unlink()
    found[number // 2].write_bytes(b"no video")
    return [str(path) for path in found]


@pytest.fixture
def means(hasty_run):
    return Means((str(hasty_run.folder),))


@pytest.fixture
def here(monkeypatch):
    """The parts are done one after the other in this process, and not by Beam."""

    def work_here(work, parts, options, made):
        for part in parts:
            work(part)
            assert made(part).is_file()

    monkeypatch.setattr(archive, "run_on_beam", work_here)
    yield
    if hasattr(archive._kept, "means"):
        archive._kept.opened[1].close()
        del archive._kept.means


def answers_in(folder):
    texts = (file.read_text() for file in sorted(folder.glob("part-*.jsonl")))
    return [json.loads(line) for text in texts for line in text.splitlines()]


def paths_in(folder):
    return [each["path"] for each in answers_in(folder)]


@pytest.mark.slow
@pytest.mark.parametrize("names", [60], indirect=True)
def test_each_file_is_there_once_though_a_worker_is_killed(hasty_run, means, names, tmp_path):
    folder = tmp_path / "archive"

    def kill_one(workers):
        while not list(folder.glob("part-*")):
            time.sleep(0.02)
        workers[0].kill()

    with dask_cluster(tmp_path, 2) as own:
        killer = threading.Thread(target=kill_one, args=(own.workers,))
        killer.start()
        found = classify_archive(names, means, folder, own.beam_options)
        killer.join()
    expect_archive(found, folder, names, Classifier(hasty_run))


def expect_archive(found, folder, names, classifier):
    """Each file is there once, with the answer that it has alone; the one in the middle is bad."""
    bad = len(names) // 2
    assert (found.num_files, found.num_bad) == (len(names), 1)
    answers = answers_in(folder)
    assert [each["path"] for each in answers] == names
    assert [each["path"] for each in answers if "error" in each] == [names[bad]]
    assert [row["path"] for row in rows(found.bad_file)] == [names[bad]]
    for number in (0, bad - 1, bad + 1, len(names) - 1):
        alone = classifier.predict(names[number])
        assert answers[number]["label"] == alone.label
        assert answers[number]["probability"] == pytest.approx(alone.probability, abs=1e-5)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["files"] == len(names)
    assert sum(summary["labels"].values()) == len(names) - 1


def test_the_command(hasty_run, means, names, tmp_path):
    folder, listed = tmp_path / "archive", tmp_path / "list.txt"
    listed.write_text("\n".join([*names, names[0], ""]))
    words = ("--list", listed, "--run", hasty_run.folder, "--runner", "beam")
    done = classify(*words, f"--beam-options={LOCAL}", "--out", folder)
    assert done.code == 1
    assert f"7 of 8 files classified: {folder}" in done.output
    assert "1 could not be read" in done.errors
    found = classify_archive(names, means, folder, LOCAL)  # which tries the bad one again
    expect_archive(found, folder, names, Classifier(hasty_run))


def test_what_is_done_is_not_done_again(means, names, here, tmp_path, monkeypatch):
    folder = tmp_path / "archive"

    def killed(*_, **__):
        raise KeyboardInterrupt

    def changed(before):
        return [part for part, time in before.items() if part.stat().st_mtime_ns != time]

    with monkeypatch.context() as patch:  # killed before the first part was done
        patch.setattr(archive, "run_on_beam", killed)
        with pytest.raises(KeyboardInterrupt):
            classify_archive(names[:2], means, folder)
    (folder / "part-00001-of-00001.jsonl.12345678.tmp").touch()  # as a kill leaves it
    whole = classify_archive(names, means, folder)  # The list may be corrected until then.
    assert whole.num_files == 8
    parts = sorted(folder.glob("part-*.jsonl"))
    assert len(parts) == 3
    before = {part: part.stat().st_mtime_ns for part in parts}
    parts[0].unlink()
    assert classify_archive(names, means, folder) == whole
    assert changed(before) == [parts[0], parts[1]], "that of the bad file is tried again"
    mended = Path(names[4])
    mended.unlink()
    mended.symlink_to(Path(names[5]).resolve())
    for number in (0, 3, 5):  # They have their answers, and are not read again.
        Path(names[number]).unlink()
    before = {part: part.stat().st_mtime_ns for part in parts}
    assert classify_archive(names, means, folder).num_bad == 0
    assert paths_in(folder) == names
    assert changed(before) == [parts[1]]
    classify_part(Part(tuple(names[3:6]), parts[1]), Means(("no run",)))  # It opens none.
    monkeypatch.setattr(archive, "run_on_beam", None)  # Nothing is left to do.
    assert classify_archive(names, means, folder).num_bad == 0
    with pytest.raises(ConfigError, match="holds results of other files"):
        classify_archive(names[1:], means, folder)


def test_damaged_files_are_named(means, names, here, tmp_path):
    folder = tmp_path / "archive"
    whole = classify_archive(names[:3], means, folder)
    (part,) = folder.glob("part-*")
    lines = part.read_bytes().splitlines(keepends=True)
    for damaged in (b"".join(lines)[:-9], lines[0], b"1\n2\n3\n", b"{}\n", b"\xff\n"):
        part.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{part} is damaged. Delete it, and run"):
            classify_archive(names[:3], means, folder)
    part.unlink()
    assert classify_archive(names[:3], means, folder) == whole
    for damaged in ("{bad", "[]"):
        (folder / "archive.json").write_text(damaged)
        with pytest.raises(DataError, match=r"archive.json is damaged. Delete the folder"):
            classify_archive(names[:3], means, folder)


class Shelf(LocalFileSystem):
    """A file system with addresses of its own, as those of object stores have."""

    @classmethod
    def scheme(cls):
        return "shelf"

    def open(self, path, *arguments, **options):
        return super().open(path.removeprefix("shelf:/"), *arguments, **options)


def test_addresses_are_read_by_the_file_systems_of_beam(means, video, here, tmp_path, monkeypatch):
    """Those of which there is none are refused at once."""
    names = [f"shelf:/{video}", "shelf://no/a.mp4", str(video)]
    classify_archive(names, means, tmp_path / "shelf")
    answers = answers_in(tmp_path / "shelf")
    assert [each["path"] for each in answers] == names
    assert answers[0]["label"] == answers[2]["label"]
    assert answers[1]["error"].startswith("cannot be fetched: ")
    for package in ("google.cloud.storage", "boto3", "azure.storage.blob", "hdfs"):
        monkeypatch.setitem(sys.modules, package, None)  # not installed
    for scheme, message in (
        ("gs", r"gs:// needs.* pip install 'apache-beam\[gcp\]'"),
        ("s3", r"s3:// needs.* pip install 'apache-beam\[aws\]'"),
        ("azfs", r"azfs:// needs.* pip install 'apache-beam\[azure\]'"),
        ("hdfs", r"hdfs:// needs.* pip install 'apache-beam\[hadoop\]'"),
        ("https", "https:// cannot be read by Beam. Download these files first"),
        ("foo", "foo:// cannot be read by Beam"),
    ):
        with pytest.raises(ConfigError, match=message):
            classify_archive(["a.mp4", f"{scheme}://b/x.mp4"], means, tmp_path / "archive")
    with pytest.raises(DataError, match="no files to classify"):
        classify_archive([], means, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
    monkeypatch.setitem(sys.modules, "boto3", sys)
    expect_file_systems(["s3://b/x.mp4"])
    assert absolute("gs://b//a.mp4") == "gs://b//a.mp4", "it stays what it is"


@pytest.mark.parametrize("beam", [True, False])
def test_a_file_in_several_spellings_is_one(hasty_run, names, here, tmp_path, monkeypatch, beam):
    monkeypatch.chdir(tmp_path)
    spellings = ["links/000.avi", "./links/000.avi", f"file://{names[0]}", "links/../links/000.avi"]
    Path("list.txt").write_text("\n".join([*spellings, names[0], names[1]]))
    words = ("--list", "list.txt", "--run", hasty_run.folder)
    if beam:
        assert classify(*words, "--runner", "beam", "--out", "archive").code == 0
        assert paths_in(tmp_path / "archive") == names[:2]
    else:
        done = classify("links/000.avi", *words, "--json")
        found = [json.loads(line)["path"] for line in done.output.splitlines()]
        assert (done.code, found) == (0, ["links/000.avi", names[1]])


def test_options_that_do_not_go_together(hasty_run, names, tmp_path):
    (tmp_path / "list").write_text("a.mp4\ngs://ann:secret@b/x.mp4\n")
    beam = ("--runner", "beam")
    for options, message in (
        (beam, "writes a folder"),
        ((*beam, "--out", "a.csv"), "writes a folder"),
        ((*beam, "--out", "a", "--timeline"), "makes no timelines"),
        ((*beam, "--out", "a", "--beam-options=--nonsense=3"), "--beam-options: unknown --nonse"),
        ((*beam, "--out", "links"), "is not empty"),
        ((*beam, "--out", "list"), "is a file. Name a folder"),
        (("--beam-options=--x",), "are for --runner beam"),
        (("--list", "list"), "gs://***@b/x.mp4: addresses are for --runner beam"),
        (("--list", "list", "--out", "a.csv"), "gs://***@b/x.mp4: addresses are for --runner bea"),
        (("--list", "list", "--timeline"), "gs://***@b/x.mp4: addresses are for --runner beam"),
    ):
        words = (names[0], "--run", hasty_run.folder, *options)
        assert message in classify(*words, cwd=tmp_path).mistake
    assert sorted(path.name for path in tmp_path.iterdir()) == ["links", "list"]


def test_lists_and_those_that_cannot_be_read(tmp_path, monkeypatch):
    """All of a line is the name."""
    monkeypatch.chdir(tmp_path)
    for text, message in (
        (None, "Name a text file with a path on each line"),
        ("file://videos/a.mp4\n", "expected file:/// and an absolute path"),
        (" \n", "it is empty. Name a"),
        ("a.mp4\nlist.txt\n", "lists itself"),
    ):
        if text is not None:
            Path("list.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            read_list(tmp_path / "list.txt")
    names = [" b.mp4 ", "a\x0cb.mp4", "a\x85b.mp4", "a\u2028b.mp4", "a\rb.mp4"]
    addresses = ["file:///v/a%20%23.mp4", "file://localhost/v/b.mp4"]
    text = "\n".join(["\ufeffa.mp4\r", "", " ", *names, "a.mp4", *addresses, ""])
    (tmp_path / "list.txt").write_bytes(text.encode())
    assert read_list(tmp_path / "list.txt") == ["a.mp4", *names, "/v/a #.mp4", "/v/b.mp4"]
