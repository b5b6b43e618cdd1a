"""Classifying an archive: a long list of files, in parts, by the machines of a cluster."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.atomic import atomic_write, write_json
from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.inference.addresses import expect_file_systems, fetched
from pipeline.inference.classifier import Classifier
from pipeline.inference.decoding import Decoder, DecoderKilledError
from pipeline.inference.runtimes import RuntimeName
from pipeline.locks import alone
from pipeline.run import Run
from pipeline.tasks.fusion import Rule
from pipeline.workers.beam import check_options, run_on_beam

PART_SIZE: Final = 100
"""Files of a part, which is done anew as a whole where it was stopped."""

_ABOUT: Final = "archive.json"
"""Of which files and which model the results in a folder are."""

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

    What could not be read before is tried again.

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
            is at it, or Beam is not installed, does not know its options, or has no file system
            for an address.
        DataError: There are no files, or a file of the folder is damaged.
        PipelineError: Beam ended before all was done; the same call goes on.
    """
    folder = folder.absolute()
    check_options(beam_options)
    expect_file_systems(names)
    with alone(folder, "adding results to", "name another folder (--out)"):
        parts = _begin(names, open_with(means).fingerprint, folder)
        todo = [each for each in parts if not _is_done(each)]
        if todo:
            work = partial(classify_part, means=means)
            run_on_beam(work, todo, beam_options, made=lambda part: part.file)
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
    if _is_begun(folder):
        found = _facts_in(folder)
        if found != facts:
            what = "other files" if found.get("digest") != digest else "another model"
            raise ConfigError(f"--out: {folder} holds results of {what}. Name another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _ABOUT, facts)
    starts = range(0, len(names), PART_SIZE)
    return [
        Part(
            tuple(names[start : start + PART_SIZE]),
            folder / f"part-{number:05d}-of-{len(starts):05d}.jsonl",
        )
        for number, start in enumerate(starts, start=1)
    ]


def _is_begun(folder: Path) -> bool:
    """Whether a folder holds results, and not just what they are to be of."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out: {folder} is a file. Name a folder")
    files = folder.iterdir() if folder.exists() else ()
    names = {each.name for each in files if each.suffix != ".tmp"}  # which a kill left
    if names and _ABOUT not in names:
        raise ConfigError(f"--out: {folder} is not empty. Name another folder")
    return len(names) > 1


def _facts_in(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _ABOUT).read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{folder / _ABOUT} is damaged. Delete the folder, or name another (--out)")
    return found


def _is_done(part: Part) -> bool:
    return part.file.is_file() and not any("error" in each for each in _answers(part))


def _answers(part: Part) -> list[dict[str, Any]]:
    """What was found in the files of a part, in their order."""
    try:
        with part.file.open(encoding="utf-8") as lines:
            answers = [json.loads(line) for line in lines]
        if tuple(each["path"] for each in answers) == part.names:
            return answers
    except (ValueError, TypeError, KeyError):
        pass
    raise DataError(f"{part.file} is damaged. Delete it, and run the same command again")


# On each machine.


def classify_part(part: Part, means: Means) -> None:
    """Classifies the files of a part that have no answer yet; a bad file costs itself alone."""
    before = _answers(part) if part.file.is_file() else []
    done = {each["path"]: each for each in before if "error" not in each}
    if len(done) == len(part.names):
        return
    classifier, decoder = _opened(means)
    answers = [done.get(name) or _answer(name, classifier, decoder) for name in part.names]
    lines = [json.dumps(each, ensure_ascii=False) for each in answers]
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


def _answer(name: str, classifier: Classifier, decoder: Decoder) -> dict[str, Any]:
    try:
        with fetched(name) as path:
            try:
                found = decoder.clips(path, classifier.bundles)
            except DecoderKilledError:  # It may be a good one.
                found = decoder.clips(path, classifier.bundles)
        return classifier.predict_clips(found.clips, found.info).as_json() | {"path": name}
    except VideoDecodeError as error:
        return {"path": name, "error": error.reason}


# When all parts are there.


def _summarise(parts: Sequence[Part], folder: Path) -> ArchiveResult:
    labels: Counter[str] = Counter()
    bad_file, num_bad = folder / "bad.csv", 0
    with atomic_write(bad_file) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
        table = csv.writer(text)
        table.writerow(("path", "error"))
        for answer in itertools.chain.from_iterable(map(_answers, parts)):
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
