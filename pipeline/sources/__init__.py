"""Sources of labelled videos, and what each says of itself beside the function that scans it.

In: the path and the options of `prepare`. Out: a manifest, a row for each video.
`reading` chooses the source among its `SOURCES`; `demo` renders its videos before it lists them.

The `scan_NAME` of a public data set returns the videos that its official lists name, there or not,
sorted by path and time, with their splits. A `DataError` says that the lists or all videos are
missing, or a list is not as expected; a `ConfigError`, that there is no such fold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.config.prepare import PrepareConfig, SourceName
from pipeline.errors import ConfigError
from pipeline.manifest.rows import Manifest


@dataclasses.dataclass(frozen=True)
class Source:
    """Where labelled videos come from.

    Attributes:
        name: As --source has it.
        scan: Lists the videos, by the settings and the folder from which on they are named.
        takes: Those settings that only some sources take.
    """

    name: SourceName
    scan: Callable[[PrepareConfig, Path], Manifest]
    takes: tuple[str, ...] = ()

    @classmethod
    def with_lists(
        cls, name: SourceName, scan: Callable[..., Manifest], *, folds: bool = False
    ) -> Source:
        """A public data set whose scan takes its lists, `annotations`, and `fold` if it has any."""

        def scan_set(config: PrepareConfig, _: Path) -> Manifest:
            fold = {"fold": config.official_fold or 1} if folds else {}
            return scan(config.path, annotations=config.annotations, **fold)

        return cls(name, scan_set, ("annotations", "fold") if folds else ("annotations",))


def check_options(config: PrepareConfig, source: Source, sources: Iterable[Source]) -> None:
    """Refuses what is set and not for this source, but for others.

    Raises:
        ConfigError: It names the sources that the setting is for.
    """
    by_name: dict[str, list[str]] = {}
    for each in sources:
        for name in each.takes:
            by_name.setdefault(name, []).append(each.name)
    for name, names in by_name.items():
        if name not in source.takes and _is_set(config, name):
            option = f"--{name.replace('_', '-')}"
            also = ", or add --folds, which any source takes" if name == "fold" else ""
            raise ConfigError(f"{option} is for --source {', '.join(names)}; leave it out{also}")


def _is_set(config: PrepareConfig, name: str) -> bool:
    if name == "fold":
        return config.official_fold != 0
    return bool(getattr(config, name) != getattr(PrepareConfig, name))
