"""Coverage and width of the intervals, by simulation."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.cli.script import Parser, positive
from pipeline.config.values import expect
from pipeline.evaluation.intervals import FEWEST_GROUPS, accuracy_ends, difference_ends

EXPLANATION = """\
Videos in groups, {draws} drawn sets of each kind: accuracies of 0.5 to 1, two models that differ in
0 to half of the videos; groups of 2 or of 10 videos, or of very unequal sizes with a mean of 6 or
20; correlations within them of 0, 0.2 and 0.5, from a Dirichlet distribution (beta, for
accuracies), or from videos that share one outcome.

  lowest     how often the interval holds the truth, in the worst case
  mean       the same, over all cases
  width      mean over all cases
  bootstrap  lowest of the percentile bootstrap over groups
"""
ACCURACIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
WINS_LOSSES = ((0, 0), (0.01, 0.01), (0.03, 0), (0.05, 0.05), (0.15, 0.15), (0.3, 0.02), (0.5, 0))
KINDS = (("equal", 2), ("equal", 10), ("unequal", 6), ("unequal", 20))
CORRELATIONS = (0.0, 0.2, 0.5)
RESAMPLED = 200
EXAMPLES = (
    ("120 of 120, 12 groups of 10", [10] * 12, [10] * 12),
    ("22 of 23, groups of 6, 6, 6, 5", [6, 6, 6, 4], [6, 6, 6, 5]),
    ("21 of 23, groups of 6, 6, 6, 5", [5, 6, 5, 5], [6, 6, 6, 5]),
)

Shares = tuple[float, ...]


@dataclass(frozen=True)
class Case:
    """Sets of videos of which the truth is known.

    Attributes:
        truth: The accuracy, or the difference of two.
        counts: int (draws, G, K), how many videos of each group have each outcome but the last.
        sizes: int (G,), how many videos there are.
    """

    truth: float
    counts: np.ndarray
    sizes: np.ndarray


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and simulates."""
    parser = Parser("How often intervals hold the truth.", "benchmark intervals", "--draws 1000")
    parser.add_argument("--draws", type=positive, default=1000, help="Sets of each kind.")
    parser.add_argument(
        "--groups",
        type=positive,
        nargs="+",
        default=[3, 4, 5, 8, 12, 20, 50, 100],
        help="How many.",
    )
    options = parser.parse(arguments)
    expect(min(options.groups) >= FEWEST_GROUPS, "--groups must be at least 3", options.groups)
    print(EXPLANATION.format(draws=options.draws))
    for title, shares in (
        ("accuracy", [(share, 1 - share) for share in ACCURACIES]),
        ("difference", [(win, loss, 1 - win - loss) for win, loss in WINS_LOSSES]),
    ):
        print(f"{title:10} groups  lowest    mean   width  bootstrap")
        for num_groups in options.groups:
            print(f"{'':10} {num_groups:6d}  {row(num_groups, shares, options.draws)}")
        print()
    for name, right, sizes in EXAMPLES:
        low, high = accuracy_ends(np.array(right), np.array(sizes))
        print(f"{name:32} {low:.3f} to {high:.3f}")


def row(num_groups: int, shares: Sequence[Shares], draws: int) -> str:
    """The figures of all cases of so many groups."""
    rng = np.random.default_rng(num_groups)
    held, widths, by_bootstrap = [], [], []
    for case in cases(num_groups, shares, draws, rng):
        found = ends(case)
        held.append(holds(case, found))
        widths.append(np.diff(found, axis=0).mean())
        by_bootstrap.append(holds(case, bootstrap(case, rng)))
    return (
        f"{min(held):6.3f}  {np.mean(held):6.3f}  {np.mean(widths):6.3f}  {min(by_bootstrap):9.3f}"
    )


def cases(
    num_groups: int, shares: Sequence[Shares], draws: int, rng: np.random.Generator
) -> Iterator[Case]:
    """Draws sets of videos of each kind."""
    for (kind, mean), correlation, each in itertools.product(KINDS, CORRELATIONS, shares):
        sizes = group_sizes(kind, mean, num_groups)
        for share_outcome in (False, True) if correlation else (False,):
            chances = group_chances(each, correlation, (draws, num_groups), rng, share_outcome)
            counts = rng.multinomial(np.broadcast_to(sizes, (draws, num_groups)), chances)
            truth = each[0] - (each[1] if len(each) == 3 else 0)
            yield Case(truth, counts[..., :-1], sizes)


def group_sizes(kind: str, mean: int, num_groups: int) -> np.ndarray:
    """Videos of each group: all as many, or as by an exponential distribution."""
    if kind == "equal":
        return np.full(num_groups, mean)
    quantiles = (np.arange(num_groups) + 0.5) / num_groups
    return np.maximum(1, np.round(-mean * np.log1p(-quantiles))).astype(int)


def group_chances(
    shares: Shares,
    correlation: float,
    shape: tuple[int, int],
    rng: np.random.Generator,
    share_outcome: bool,
) -> np.ndarray:
    """The chances of each outcome in each group, (draws, G, K), of a correlation within groups.

    Videos are alike by a Dirichlet distribution or, with `share_outcome`, because each has the
    outcome that its group has in common, or one of its own.
    """
    mean = np.array(shares)
    if not correlation:
        return np.broadcast_to(mean, (*shape, len(mean)))
    if share_outcome:
        common = np.sqrt(correlation)
        return common * rng.multinomial(1, mean, shape) + (1 - common) * mean
    drawn = rng.standard_gamma(mean * (1 - correlation) / correlation, (*shape, len(mean)))
    # With tiny shares all may be as good as zero.
    drawn = np.where(drawn.sum(axis=-1, keepdims=True) > 0, drawn, mean)
    return drawn / drawn.sum(axis=-1, keepdims=True)


def ends(case: Case) -> np.ndarray:
    """Lower and upper ends of the intervals, (2, draws)."""
    right, *others = np.moveaxis(case.counts, -1, 0)
    if others:
        return difference_ends(right, others[0], case.sizes)
    return accuracy_ends(right, case.sizes)


def bootstrap(case: Case, rng: np.random.Generator) -> np.ndarray:
    """Lower and upper ends, (2, draws), by resampled groups."""
    counts = case.counts
    values = counts[..., 0] - (counts[..., 1] if counts.shape[-1] == 2 else 0)
    num_groups = len(case.sizes)
    taken = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), RESAMPLED)
    found = np.sort((taken @ values.T) / (taken @ case.sizes)[:, None], axis=0)
    return found[[round(RESAMPLED * 0.025) - 1, round(RESAMPLED * 0.975)]]


def holds(case: Case, ends: np.ndarray) -> float:
    """Share of intervals that hold the truth."""
    return float(np.mean((ends[0] <= case.truth + 1e-9) & (case.truth - 1e-9 <= ends[1])))
