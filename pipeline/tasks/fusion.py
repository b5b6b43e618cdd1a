"""The answers of several networks as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from pipeline.config import ModelConfig
from pipeline.config.values import Range, check_ranges, expect
from pipeline.errors import DataError
from pipeline.tasks.task import Task
from pipeline.text import listed

Floats = npt.NDArray[np.floating[Any]]
Rule = Literal["average", "product"]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fusion:
    """How the answers of M networks become one.

    Attributes:
        rule: `average` takes the mean of their probabilities, which forgives a network that is sure
            and wrong; `product` their geometric mean, the mean of their logits.
        temperatures: What the logits of each are divided by, see
            `pipeline.tasks.calibration.Calibration`.

    Raises:
        ConfigError: A value is not as it must be.

    Source: the sum and the product rule, Kittler et al. (1998).
    """

    rule: Rule = "average"
    temperatures: Annotated[tuple[float, ...], Range(1e-6, 1e6)]

    def __post_init__(self) -> None:
        expect(self.rule in RULES, f"the rule must be one of {', '.join(RULES)}", self.rule)
        expect(bool(self.temperatures), "there must be a temperature for each run", 0)
        check_ranges(self, lambda _: "each temperature")

    def logits(self, each: Sequence[Floats], task: Task) -> npt.NDArray[np.float64]:
        """The logits of all networks together.

        Their probabilities are the fused ones; the highest of them, as the score of an answer,
        stays a mean of those of the networks.

        Args:
            each: M times float (..., C), before any temperature.
            task: What was asked.

        Returns:
            float64 (..., C).

        Example:
            >>> from pipeline.tasks.multi_class import MultiClass
            >>> both = np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]])
            >>> fusion = Fusion(temperatures=(1, 1))
            >>> MultiClass().probabilities(fusion.logits(both, MultiClass())).round(2)
            array([[0.7, 0.3]])
        """
        if self.rule == "product":
            return self.scores(each)
        return task.each.mean_of_probabilities(self._scaled(each))

    def scores(self, each: Sequence[Floats]) -> npt.NDArray[np.float64]:
        """The mean of scaled numbers, such as scores, float64 (...), of M times (...)."""
        mean: npt.NDArray[np.float64] = self._scaled(each).mean(axis=0)
        return mean

    def _scaled(self, each: Sequence[Floats]) -> npt.NDArray[np.float64]:
        pairs = zip(each, self.temperatures, strict=True)
        return np.stack([np.asarray(logits, np.float64) / by for logits, by in pairs])


def expect_alike(
    folders: Sequence[Path], models: Sequence[ModelConfig], names: Sequence[Sequence[str]]
) -> None:
    """Makes sure that runs answer the same question.

    Args:
        folders: Of each, for messages.
        models: The network of each, of which the task is known.
        names: The class names of each.

    Raises:
        DataError: They do not; the message names two.
    """
    first, first_names = models[0], list(names[0])
    for folder, model, own in zip(folders, models, names, strict=True):
        both = f"{folders[0]} and {folder} cannot be fused"
        if model.task != first.task:
            raise DataError(f"{both}: they are of tasks {first.task} and {model.task}")
        if list(own) != first_names or model.background != first.background:
            pairs = ((folder, own, first_names), (folders[0], first_names, own))
            others = [f"only {a} has {name!r}" for a, x, y in pairs for name in sorted({*x} - {*y})]
            what = listed(others, most=3) or "they are in another order"
            raise DataError(f"{both}: their classes differ: {what}")
