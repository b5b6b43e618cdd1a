"""Classifying an archive: a long list of files, in parts, by the machines of a cluster."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from pipeline.atomic import atomic_write, write_json
from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.inference.classifier import Classifier
from pipeline.inference.decoding import Decoder, DecoderKilledError
from pipeline.inference.runtimes import RuntimeName
from pipeline.locks import alone
from pipeline.run import Run
from pipeline.tasks.fusion import Rule
from pipeline.text import without_secrets
from pipeline.workers.beam import import_beam, run_on_beam

PART_SIZE: Final = 100
"""Files of a part, which is done anew as a whole where it was stopped."""

_kept = threading.local()


@dataclass(frozen=True)
class Means:
    """What each machine classifies with.

    Attributes:
        runs: Folders of the runs, which it must see.
        runtime: What computes.
        rule: How the answers of several runs are fused.
        key_points: Folder of tables of key points.
    """

    runs: tuple[str, ...]
    runtime: RuntimeName = "auto"
    rule: Rule = "average"
    key_points: str | None = None


class Part(NamedTuple):
    """Some files of an archive, and where what is found in them goes.

    Attributes:
        names: Paths or addresses.
        file: JSON lines, one for each name in order.
    """

    names: tuple[str, ...]
    file: Path


class ArchiveResult(NamedTuple):
    """What was found in an archive.

    Attributes:
        num_files: How many there are.
        labels: How many files have each answer.
        num_bad: How many could not be read; they are listed in `bad_file`.
        bad_file: `path` and `error`, CSV.
    """

    num_files: int
    labels: dict[str, int]
    num_bad: int
    bad_file: Path


def classify_archive(
    names: Sequence[str], means: Means, folder: Path, beam_options: str = ""
) -> ArchiveResult:
    """Classifies files on the machines of a cluster; what was done before is not done again.

    All machines must see the runs, the files that have no address, and the folder, under the same
    paths. Files with an address, such as `gs://BUCKET/a.mp4`, are read by Beam's file systems.

    Args:
        names: Paths or addresses, each once.
        means: What to classify with.
        folder: Where the results go: `part-00001-of-00100.jsonl` and so on; `bad.csv`, the files
            that could not be read; `summary.json`.
        beam_options: What Beam's runner needs.

    Raises:
        ConfigError: The folder holds results of other files or of another model, or another process
            is at it, or Beam is not installed.
        PipelineError: Beam ended before all was done; the same call goes on.
    """
    folder = folder.absolute()
    with alone(folder, "adding results to", "name another folder (--out)"):
        parts = _begin(names, open_with(means).fingerprint, folder)
        todo = [each for each in parts if not each.file.is_file()]
        if todo:
            run_on_beam(partial(classify_part, means=means), todo, beam_options)
        return _summarise(parts, folder)


def open_with(means: Means) -> Classifier:
    """A classifier of one thread: a machine has as many as it has cores."""
    return Classifier(
        [Run(Path(run)) for run in means.runs],
        runtime=means.runtime,
        rule=means.rule,
        num_threads=1,
        key_points=means.key_points,
    )


def _begin(names: Sequence[str], model: str, folder: Path) -> list[Part]:
    if not names:
        raise DataError("no files to classify")
    digest = hashlib.sha256("\n".join(names).encode(errors="backslashreplace")).hexdigest()
    facts = {"files": len(names), "digest": digest, "model": model, "part_size": PART_SIZE}
    about = folder / "archive.json"
    if about.is_file():
        found = json.loads(about.read_bytes())
        if found != facts:
            what = "other files" if found.get("digest") != digest else "another model"
            raise ConfigError(f"--out: {folder} holds results of {what}. Name another folder")
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--out: {folder} is not empty. Name another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(about, facts)
    starts = range(0, len(names), PART_SIZE)
    return [
        Part(
            tuple(names[start : start + PART_SIZE]),
            folder / f"part-{number:05d}-of-{len(starts):05d}.jsonl",
        )
        for number, start in enumerate(starts, start=1)
    ]


# On each machine.


def classify_part(part: Part, means: Means) -> None:
    """Classifies the files of a part, if that was not done; a bad file costs itself alone."""
    if part.file.is_file():
        return
    classifier, decoder = _opened(means)
    lines = [_line(name, classifier, decoder) for name in part.names]
    with atomic_write(part.file) as file:
        file.writelines(f"{line}\n".encode(errors="backslashreplace") for line in lines)


def _opened(means: Means) -> tuple[Classifier, Decoder]:
    """A thread opens them once."""
    if getattr(_kept, "means", None) != means:
        classifier = open_with(means)
        _kept.opened = classifier, Decoder(tables=classifier.tables)
        _kept.means = means
    opened: tuple[Classifier, Decoder] = _kept.opened
    return opened


def _line(name: str, classifier: Classifier, decoder: Decoder) -> str:
    try:
        with _fetched(name) as path:
            try:
                found = decoder.clips(path, classifier.bundles)
            except DecoderKilledError:  # It may be a good one.
                found = decoder.clips(path, classifier.bundles)
        answer = classifier.predict_clips(found.clips, found.info).as_json() | {"path": name}
    except VideoDecodeError as error:
        answer = {"path": name, "error": error.reason}
    return json.dumps(answer, ensure_ascii=False)


@contextlib.contextmanager
def _fetched(name: str) -> Iterator[str]:
    """The file itself; of an address, a copy that is gone afterwards."""
    if "://" not in name:
        yield name
        return
    import_beam()
    from apache_beam.io.filesystems import FileSystems

    with tempfile.TemporaryDirectory(prefix="clipline-") as folder:
        path = Path(folder) / f"video{PurePosixPath(name).suffix}"
        try:
            with FileSystems.open(name) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except Exception as error:  # It may be any, of any file system.
            reason = f"cannot be fetched: {type(error).__name__}"
            raise VideoDecodeError(without_secrets(name), reason) from None
        yield str(path)


# When all parts are there.


def _summarise(parts: Sequence[Part], folder: Path) -> ArchiveResult:
    labels: Counter[str] = Counter()
    bad_file, num_bad = folder / "bad.csv", 0
    with atomic_write(bad_file) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
        table = csv.writer(text)
        table.writerow(("path", "error"))
        for answer in _answers(parts):
            if "error" in answer:
                num_bad += 1
                table.writerow((answer["path"], answer["error"]))
            else:
                labels[answer["label"]] += 1
        text.flush()
        text.detach()
    result = ArchiveResult(labels.total() + num_bad, dict(labels.most_common()), num_bad, bad_file)
    summary = {"files": result.num_files, "bad": num_bad, "labels": result.labels}
    write_json(folder / "summary.json", summary)
    return result


def _answers(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for part in parts:
        with part.file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
