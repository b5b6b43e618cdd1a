"""The classes of a folder, the keys that mark them, and what its table has no place for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from pipeline.atomic import write_json
from pipeline.errors import DataError
from pipeline.locks import in_turn
from pipeline.web.label.marked import MarkedEvent

NAME: Final = ".clipline-labels.json"
"""Hidden, so that nothing takes it for labels."""

_MOST_CLASSES: Final = 200
_MOST_EVENTS: Final = 10_000


ByVideo = dict[str, tuple[MarkedEvent, ...]]


@dataclasses.dataclass(frozen=True)
class LabelClass:
    """A class that can be marked.

    Attributes:
        name: Its name.
        key: The key that marks it, one character; empty: none.
        is_point: Whether it has no length.
    """

    name: str
    key: str = ""
    is_point: bool = False

    @classmethod
    def checked(cls, value: Any) -> Self:
        """A class of what came over the network or out of a file.

        Raises:
            DataError: It is none.
        """
        if not isinstance(value, dict):
            raise DataError("expected a class, an object")
        name = class_name(value.get("name"))
        key = value.get("key", "")
        if not isinstance(key, str) or len(key) > 1 or not key.isprintable() or key.isspace():
            raise DataError(f"{name}: expected a key of one character")
        return cls(name, key.lower(), value.get("is_point") is True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a folder has besides its table.

    Attributes:
        classes: In the order of the page.
        subjects: Who can be marked.
        begun: By the name of a video: events that have begun there; their end is still to come.
        rejected: Likewise: what was proposed there and is no event.
    """

    classes: tuple[LabelClass, ...] = ()
    subjects: tuple[str, ...] = ()
    begun: ByVideo = dataclasses.field(default_factory=dict)
    rejected: ByVideo = dataclasses.field(default_factory=dict)

    def changed(self, value: Any) -> Self:
        """These settings with what came over the network or out of a file.

        Args:
            value: `classes` and `subjects`, as a whole, or not at all; classes to `add`, and names
                of those to `remove`; `begun` and `rejected`, of some videos alone.

        Raises:
            DataError: They are no settings, or a name or a key is there twice.
        """
        if not isinstance(value, dict):
            raise DataError("expected settings, an object")
        classes, subjects = self.classes, self.subjects
        if "classes" in value:
            classes = tuple(map(LabelClass.checked, _list(value, "classes", _MOST_CLASSES)))
        removed = _list(value, "remove", _MOST_CLASSES)
        classes = tuple(each for each in classes if each.name not in removed)
        classes += tuple(map(LabelClass.checked, _list(value, "add", _MOST_CLASSES)))
        _expect_once("the class", [each.name for each in classes])
        _expect_once("the key", [each.key for each in classes if each.key])
        if "subjects" in value:
            subjects = tuple(map(class_name, _list(value, "subjects", _MOST_CLASSES)))
            _expect_once("the subject", subjects)
        return dataclasses.replace(
            self,
            classes=classes,
            subjects=subjects,
            begun=_changed(self.begun, value.get("begun", {})),
            rejected=_changed(self.rejected, value.get("rejected", {})),
        )

    def renamed(self, old: str, new: str) -> Self:
        """These settings with a class of another name.

        Raises:
            DataError: There is no such class, or another one has the name.
        """
        names = [each.name for each in self.classes]
        if old not in names:
            raise DataError(f"there is no class {old}")
        if new in names:
            raise DataError(f"there is a class {new} already")
        classes = (
            dataclasses.replace(each, name=new) if each.name == old else each
            for each in self.classes
        )
        begun, rejected = (_renamed(each, old, new) for each in (self.begun, self.rejected))
        return dataclasses.replace(self, classes=tuple(classes), begun=begun, rejected=rejected)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return dataclasses.asdict(self)


def read_settings(folder: Path) -> Settings:
    """The settings of a folder; none where there is no file yet.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / NAME
    try:
        return Settings().changed(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Settings()
    except (ValueError, DataError) as error:
        raise DataError(f"{path}: damaged ({error}). Delete it: the events are not in it") from None


def change_settings(folder: Path, changes: Any) -> Settings:
    """Changes some of the settings of a folder; what others changed meanwhile stays.

    Returns:
        All of them.

    Raises:
        DataError: See `Settings.changed`.
    """
    with settings_in_turn(folder) as (settings, write):
        changed = settings.changed(changes)
        write(changed)
    return changed


@contextmanager
def settings_in_turn(folder: Path) -> Iterator[tuple[Settings, Callable[[Settings], None]]]:
    """The settings of a folder and what writes them, while nobody else does."""
    with in_turn(folder / NAME, "writing"):
        yield (
            read_settings(folder),
            lambda settings: write_json(folder / NAME, settings.as_json()),
        )


def class_name(value: Any) -> str:
    """A name of what came over the network, as the label of an event may be one.

    Raises:
        DataError: It is none.
    """
    return MarkedEvent.checked({"start": 0, "end": None, "label": value}).label


def _renamed(events: ByVideo, old: str, new: str) -> ByVideo:
    """Events by video, those of one label with another one."""
    return {
        video: tuple(
            dataclasses.replace(each, label=new) if each.label == old else each for each in found
        )
        for video, found in events.items()
    }


def _changed(known: ByVideo, value: Any) -> ByVideo:
    """Events by video with those that came over the network, or out of a file, of some videos."""
    if not isinstance(value, dict):
        raise DataError("expected events by video, an object")
    new = {
        str(video): tuple(map(MarkedEvent.checked, _list(value, video, _MOST_EVENTS)))
        for video in value
    }
    return {video: events for video, events in (known | new).items() if events}


def _list(value: dict[str, Any], name: str, most: int) -> list[Any]:
    found = value.get(name, [])
    if not isinstance(found, list) or len(found) > most:
        raise DataError(f"expected a list of at most {most} {name}")
    return found


def _expect_once(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{what} {name} is there twice")
