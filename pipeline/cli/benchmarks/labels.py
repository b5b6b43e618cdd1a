"""How many labels it takes, chosen by the head or by chance."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.cli.script import Parser, positive
from pipeline.errors import DataError
from pipeline.labelling.choice import Stretch, next_stretches, unwatched
from pipeline.labelling.head import Described
from pipeline.labelling.learning import class_names_of, head_of, score
from pipeline.manifest.annotation import Annotation
from pipeline.sources.events.rows import scan_events
from pipeline.video.descriptors import describe, keep_descriptors, kept_descriptors

EXPLANATION = """\
A labeller who marks what the files of events say, {stretches} stretches of {seconds:g} seconds in
each round: those that the page would show next (at first, such as look unlike each other; then
where the head is unsure), or others by chance. Of {count} recordings, a quarter is for the test
alone, drawn anew for each of {seeds} seeds. F1 is that of events that overlap by half.
"""
FEWEST = 8
ROWS = 8


@dataclass
class Labeller:
    """Somebody who marks events, as they are in truth.

    Attributes:
        truth: The recordings with all of their events.
        watched: By recording, from when to when it was watched.
        marked: By recording, the events that were marked.
    """

    truth: Sequence[Described]
    watched: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    marked: dict[str, set[tuple[float, float, str]]] = field(default_factory=dict)

    def label(self, stretch: Stretch) -> None:
        """Marks what happens in a stretch; events that reach out of it as a whole."""
        (recording,) = (each for each in self.truth if each.name == stretch.recording)
        seen = {e for e in recording.events if e[0] < stretch.end and e[1] > stretch.start}
        spans = [(stretch.start, stretch.end), *(event[:2] for event in seen)]
        self.watched.setdefault(recording.name, []).extend(spans)
        self.marked.setdefault(recording.name, set()).update(seen)

    @property
    def num_events(self) -> int:
        """Events that were marked."""
        return sum(map(len, self.marked.values()))

    def recordings(self) -> list[Described]:
        """What is known so far."""
        return [each._replace(annotation=self._annotation(each.name)) for each in self.truth]

    def _annotation(self, name: str) -> Annotation | None:
        if name not in self.watched:
            return None
        events = tuple(sorted(self.marked[name]))
        return Annotation(events=events, known=tuple(sorted(self.watched[name])))


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and simulates."""
    parser = Parser(
        "How many labels it takes, chosen by the head or by chance.",
        "benchmark labels",
        "VIDEOS --events EVENTS",
    )
    parser.add_argument("videos", help="Folder of recordings.")
    parser.add_argument("--events", required=True, help="File of their events, or a folder.")
    parser.add_argument("--seeds", type=positive, default=5, help="How often it is done anew.")
    parser.add_argument("--rounds", type=positive, default=16, help="Of labelling.")
    parser.add_argument("--stretches", type=positive, default=6, help="In each round.")
    parser.add_argument("--seconds", type=float, default=6.0, help="Length of a stretch.")
    parser.add_argument("--out", help="Picture of the curves, .png.")
    options = parser.parse(arguments)
    truth = described(options.events, options.videos)
    print(EXPLANATION.format(count=len(truth), **vars(options)), flush=True)
    curves: dict[str, list[np.ndarray]] = {"chosen": [], "chance": []}
    with threadpool_limits(1):
        for seed, name in itertools.product(range(options.seeds), curves):
            curves[name].append(simulate(truth, name, seed, options))
    show(curves)
    if options.out:
        draw(curves, Path(options.out))


def described(events: str, videos: str) -> list[Described]:
    """The recordings of a folder with their events.

    Raises:
        DataError: There are too few.
    """
    found = []
    for row in scan_events(events, videos).rows:
        path = Path(row.path)
        descriptors = kept_descriptors(path)
        if descriptors is None:
            descriptors = np.array(list(describe(path)))
            keep_descriptors(path, descriptors)
        found.append(Described(path.name, descriptors, row.annotation))
    if len(found) < FEWEST:
        raise DataError(f"expected {FEWEST} recordings or more, got {len(found)}")
    return found


def simulate(truth: Sequence[Described], name: str, seed: int, options: Any) -> np.ndarray:
    """Events that were marked after each round, and the F1 then, float (rounds, 2)."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(truth))
    test, rest = np.split(order, [len(truth) // 4])
    held_out, names = [truth[number] for number in test], class_names_of(truth)
    labeller = Labeller([truth[number] for number in rest])

    def by_chance(recordings: Sequence[Described]) -> list[Stretch]:
        found = unwatched(recordings, options.seconds)
        return [found[place] for place in random.permutation(len(found))[: options.stretches]]

    points, head = [], None
    for _ in range(options.rounds):
        recordings = labeller.recordings()
        if name == "chance":
            chosen = by_chance(recordings)
        else:
            sizes = {"seconds": options.seconds, "most": options.stretches}
            chosen = next_stretches(recordings, head, **sizes)
        for stretch in chosen:
            labeller.label(stretch)
        head = head_of(labeller.recordings())
        points.append((labeller.num_events, score(head, held_out, names)))
    return np.array(points)


def mean_curve(curves: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of each round over the seeds, float (rounds, 2)."""
    return np.mean(curves, axis=0)


def show(curves: dict[str, list[np.ndarray]]) -> None:
    """Prints F1 by labels, and how many labels one choice takes for what the other reaches."""
    chosen, chance = (mean_curve(curves[name]) for name in ("chosen", "chance"))
    print("events  F1, chosen  F1, chance  by chance it takes")
    best = np.maximum.accumulate(chance[:, 1])
    for events in np.linspace(chosen[0, 0], min(chosen[-1, 0], chance[-1, 0]), ROWS):
        scores = [np.interp(events, *curve.T) for curve in (chosen, chance)]
        takes = (
            f"{np.interp(scores[0], best, chance[:, 0]):.0f}" if scores[0] <= best[-1] else "more"
        )
        print(f"{events:6.0f}  {scores[0]:10.3f}  {scores[1]:10.3f}  {takes:>18}")


def draw(curves: dict[str, list[np.ndarray]], path: Path) -> None:
    """Draws each seed thin and the mean of all thick."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    kinds = {"chosen": ("what the page shows next", "C0"), "chance": ("by chance", "C1")}
    for name, (label, colour) in kinds.items():
        for curve in curves[name]:
            axes.plot(*curve.T, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(*mean_curve(curves[name]).T, color=colour, linewidth=2.2, label=label)
    axes.set(xlabel="events marked", ylabel="F1 of events (half overlap)", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=130)
