"""Files of events, and what is known of the videos that they speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pipeline.sources.events.event import Recording
from pipeline.sources.events.reading import ReadingOptions, read_events
from pipeline.video import VideoInfo
from tests.sources.events.formats import FORMATS
from tests.video.videos import known


@pytest.fixture(params=FORMATS)
def a_format(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """Each format's name, and a file in it."""
    name, text = FORMATS[request.param]
    path = tmp_path / name
    path.write_bytes(text().encode())
    return request.param, path


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[..., list[Recording]]:
    """Writes lines into a file, and reads the events in it."""

    def read(name: str, *lines: str, **options: object) -> list[Recording]:
        return read_events(write(name, *lines), ReadingOptions(**options))  # type: ignore[arg-type]

    return read


@pytest.fixture
def info() -> Callable[..., VideoInfo]:
    """What is known of a video of 200 frames, 10 a second, unless said otherwise."""
    return lambda path="", **others: known(None, **{"duration_seconds": 20.0, **others}, path=path)


@pytest.fixture
def infos(info: Callable[..., VideoInfo]) -> Callable[[Iterable[str]], dict[str, VideoInfo]]:
    """What is known of each of several such videos."""
    return lambda paths: {path: info(path) for path in paths}
