"""Classifying many files: decoding goes on while the model runs."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import DataError, VideoDecodeError
from pipeline.inference.addresses import absolute, each_once, local_path
from pipeline.inference.classifier import Classifier
from pipeline.inference.prediction import Prediction
from pipeline.text import command, without_secrets
from pipeline.video.paths import VIDEO_SUFFIXES, visible_files

Outcome = tuple[str, Prediction | VideoDecodeError]


def find_videos(names: Sequence[str]) -> list[str]:
    """The files that names stand for, each once, in the order of the names.

    Args:
        names: Files; folders, of which all videos are taken by their suffixes, nested ones as
            well; and patterns, such as `clips/**/*.mp4`, of which none may be a file itself.

    Raises:
        DataError: A folder or a pattern has no videos, or a name is empty or an address.
    """
    found: list[str] = []
    for name in names:
        if not name:
            raise DataError("expected the name of a file or a folder, got an empty one")
        path = Path(name)
        if "://" in name and not path.exists():
            raise DataError(f"{without_secrets(name)}: an address, for {command('stream')}")
        if path.is_dir():
            files = [file for file in visible_files(path) if file.suffix.lower() in VIDEO_SUFFIXES]
            matches = sorted(str(path / file) for file in files)
        elif not path.exists() and any(sign in name for sign in "*?["):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  # absolute ones, too
        else:
            matches = [name]
        if not matches:
            raise DataError(f"{name}: no videos there")
        found += matches
    return each_once(found)


def read_list(path: Path) -> list[str]:
    """The paths or addresses in a text file, one a line, each once.

    All of a line is the name, but for its end.

    Raises:
        DataError: It cannot be read, has no path in it or its own, or names a file of this machine
            by no absolute path.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not in UTF-8"
        raise DataError(f"{path}: {reason}. Name a text file with a path on each line") from None
    names = each_once(local_path(line.removesuffix("\r")) for line in lines if line.strip())
    if not names:
        raise DataError(f"{path}: it is empty. Name a text file with a path on each line")
    if absolute(str(path)) in map(absolute, names):
        raise DataError(f"{path}: it lists itself. Take that line out: each is to name a video")
    return names


def predict_many(
    classifier: Classifier, paths: Sequence[str], *, top: int = 5, workers: int = 0
) -> Iterator[Outcome]:
    """Classifies files in their order; meanwhile `Decoders` decode the next ones.

    Yields:
        Each path with its prediction, or with the reason why there is none. Closing the generator
        does not wait for the files that are being decoded.

    Raises:
        ConfigError: `top` is below 1.
    """
    from pipeline.inference.decoding import Decoders, warn_of  # takes a while

    with Decoders(classifier.bundles, workers=workers, tables=classifier.tables) as decoders:
        for path, found in decoders.decode(paths):
            if isinstance(found, VideoDecodeError):
                yield path, found
            else:
                warn_of(found)
                yield path, classifier.predict_clips(found.clips, found.info, top=top)


def predict_here(
    classifier: Classifier, paths: Sequence[str], *, top: int = 5
) -> Iterator[Outcome]:
    """As `predict_many`, but all in this process, which starts sooner and which any file can end.

    Raises:
        ConfigError: `top` is below 1.
    """
    for path in paths:
        try:
            yield path, classifier.predict(path, top=top)
        except VideoDecodeError as error:
            yield path, error
