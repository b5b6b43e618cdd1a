"""Key points of the people in a video, frame by frame.

Source: BlazePose (Bazarevsky et al. 2020, arXiv 2006.10204).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.pose.detector import Detector, Region, sigmoid
from pipeline.pose.models import Floats, ImageNetwork, load_networks
from pipeline.pose.skeleton import HANDS, NUM_POINTS

LANDMARKS_SIZE = 256
"""Height and width of what the network of landmarks sees, in pixels."""

_ALL = 39  # The points; two that lead to the next region; four that nothing is made of.
_SURE = 0.5  # flag from which there is someone
_LOOK_EVERY = 5  # frames, while there are fewer people than could be
_SEEN = 0.7  # mean visibility from which there is one more person
_SAME_HIPS = 0.1  # of a region's side: nearer middles are one person's
_SAME_BODY = 0.6  # of the smaller box: two that have more in common are one person's


@dataclass(frozen=True)
class Person:
    """The landmarks of a person.

    Attributes:
        pixels: x and y in pixels of the frame, float32 (33, 2).
        visibility: From 0 to 1, float32 (33,).
        world: x, y and z in metres from the point between the hips, float32 (33, 3).
        flag: How sure it is that there is someone, from 0 to 1.
        region: Where to look in the next frame.
    """

    pixels: Floats
    visibility: Floats
    world: Floats
    flag: float
    region: Region

    @property
    def seen(self) -> float:
        """Mean visibility of all but the hands."""
        return float(np.delete(self.visibility, HANDS).mean())

    @property
    def box(self) -> Floats:
        """The upper left and the lower right corner of all but the hands, float32 (2, 2)."""
        body = np.delete(self.pixels, HANDS, axis=0)
        return np.stack([body.min(axis=0), body.max(axis=0)])


class Landmarks:
    """Finds key points by a network with the outputs points (195,), flag (1,) and world (117,)."""

    def __init__(self, network: ImageNetwork) -> None:
        self._network = network

    def __call__(self, frame: npt.NDArray[np.uint8], region: Region) -> Person:
        """The person in a region of a frame, uint8 (H, W, 3), RGB; the flag says if there is one.

        Example:
            >>> middle = np.tile(np.float32([128, 128, 0, 0, 0]), 39)
            >>> stand_in = lambda image: (middle, np.float32([0.9]), np.zeros(117, np.float32))
            >>> frame = np.zeros((60, 80, 3), np.uint8)
            >>> Landmarks(stand_in)(frame, Region(30, 20, 40)).pixels[0].tolist()
            [30.0, 20.0]
        """
        image = region.cut(frame, LANDMARKS_SIZE).astype(np.float32) / np.float32(255)
        points, flag, world = self._network(image)
        points = points.reshape(_ALL, -1)
        pixels = region.to_frame(points[:, :2] / np.float32(LANDMARKS_SIZE))
        return Person(
            pixels[:NUM_POINTS],
            sigmoid(points[:NUM_POINTS, 3]),
            region.turned(world.reshape(_ALL, 3)[:NUM_POINTS]),
            float(flag[0]),
            Region.around(pixels[NUM_POINTS], pixels[NUM_POINTS + 1]),
        )


@dataclass(frozen=True)
class Poses:
    """The people of a frame, each in a place of their own, which they keep from frame to frame.

    Attributes:
        points: float32 (P, 33, 6): x and y, from 0 to 1 of the frame's width and height (less or
            more outside of it), visibility from 0 to 1, and x, y and z in metres from the point
            between the hips: x to the right and y down as in the picture, z away from the camera.
            In the order of `skeleton.POINTS`; 0 where there is nobody.
        flags: float32 (P,), how sure it is that there is someone, above 0.5; 0: nobody.
    """

    points: Floats
    flags: Floats


@dataclass
class _Place:
    """Who is in a place now, and where the last one was."""

    person: Person | None = None
    last: Region | None = None


class PoseEstimator:
    """Follows the people of one video after another; see `Poses` for what it gives.

    Where someone was in the last frame is where they are looked for in this one. The detector runs
    where someone was lost, where there is nobody, and every fifth frame while there is room for
    more. It proposes much that is no person; the flag of the landmarks says what is one. One more
    person beside others has to be seen well, too: else a bottle or an arm often is one.

    Args:
        detector: See `Detector`.
        landmarks: See `Landmarks`.
        max_people: How many are followed at most (P).
    """

    def __init__(
        self, detector: ImageNetwork, landmarks: ImageNetwork, max_people: int = 2
    ) -> None:
        self._detect = Detector(detector)
        self._look_at = Landmarks(landmarks)
        self._max_people = max_people
        self.reset()

    @classmethod
    def load(cls, folder: Path | None = None, max_people: int = 2) -> PoseEstimator:
        """An estimator with the models of a folder, of those of `clipline fetch pose` by default.

        Raises:
            DataError: The models are not there, or damaged.
        """
        return cls(*load_networks(folder), max_people)

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first one of a video."""
        self._places = [_Place() for _ in range(self._max_people)]
        self._waited = 0

    def __call__(self, frame: npt.NDArray[np.uint8]) -> Poses:
        """The people of the next frame of the video, uint8 (H, W, 3), RGB."""
        before = len(self._people())
        self._follow(frame)
        people = self._people()
        self._waited += 1
        free = self._max_people - len(people)
        if free and (len(people) < max(before, 1) or self._waited >= _LOOK_EVERY):
            self._waited = 0
            self._seat(self._find(frame, free))
        return self._poses(*frame.shape[:2])

    def _people(self) -> list[Person]:
        return [place.person for place in self._places if place.person]

    def _follow(self, frame: npt.NDArray[np.uint8]) -> None:
        """Looks for each person where they were; of two that became one, the surer one stays."""
        for place in self._places:
            if place.person:
                person = self._look_at(frame, place.person.region)
                place.person = person if person.flag > _SURE else None
        kept: list[Person] = []
        for place in sorted(self._places, key=lambda each: -each.person.flag if each.person else 0):
            if place.person and _is_new(place.person, kept):
                kept.append(place.person)
                place.last = place.person.region
            else:
                place.person = None

    def _find(self, frame: npt.NDArray[np.uint8], number: int) -> list[Person]:
        """People who are not followed yet, at most so many."""
        people = self._people()
        regions = [
            found.region
            for found in self._detect(frame)
            if not any(_is_near(found.region, person.region) for person in people)
        ]
        new = self._new(frame, regions[: number + 1], people)
        if not people and not new:
            new = self._new(frame, [Region.whole(*frame.shape[:2])], people)
        return new[:number]

    def _new(
        self, frame: npt.NDArray[np.uint8], regions: Iterable[Region], people: list[Person]
    ) -> list[Person]:
        """The people in some regions, without those who are known."""
        new: list[Person] = []
        for region in regions:
            person, known = self._look_at(frame, region), [*people, *new]
            is_clear = person.flag > _SURE and (not known or person.seen > _SEEN)
            if is_clear and _is_new(person, known):
                new.append(person)
        return new

    def _seat(self, people: list[Person]) -> None:
        """Gives each the free place whose last person was nearest; else from left to right."""
        for person in sorted(people, key=lambda each: each.region.x):
            free = [place for place in self._places if not place.person]
            place = min(free, key=lambda each: _distance(person.region, each.last))
            place.person, place.last = person, person.region

    def _poses(self, height: int, width: int) -> Poses:
        points = np.zeros((self._max_people, NUM_POINTS, 6), np.float32)
        flags = np.zeros(self._max_people, np.float32)
        for number, place in enumerate(self._places):
            if person := place.person:
                points[number, :, :2] = person.pixels / np.array([width, height], np.float32)
                points[number, :, 2] = person.visibility
                points[number, :, 3:] = person.world
                flags[number] = person.flag
        return Poses(points, flags)


def _distance(here: Region, there: Region | None) -> float:
    """Between the middles, in pixels."""
    return float(np.hypot(here.x - there.x, here.y - there.y)) if there else float("inf")


def _is_near(here: Region, there: Region) -> bool:
    return _distance(here, there) < _SAME_HIPS * max(here.side, there.side)


def _is_new(person: Person, known: list[Person]) -> bool:
    """Whether it is none of those who are known."""
    return all(_common(person.box, other.box) <= _SAME_BODY for other in known)


def _common(box: Floats, other: Floats) -> float:
    """What two boxes, float32 (2, 2), have in common, as a part of the smaller one."""
    sides = np.minimum(box[1], other[1]) - np.maximum(box[0], other[0])
    smaller = min((each[1] - each[0]).prod() for each in (box, other))
    return float(np.maximum(sides, 0).prod() / max(smaller, 1))
