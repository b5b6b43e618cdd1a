"""The head, what is learnt by it, and what to look at next."""

import numpy as np
import pytest

from pipeline.labelling.choice import Stretch, next_stretches, similar_stretches, unwatched
from pipeline.labelling.head import Described, fit_head, in_context
from pipeline.labelling.learning import head_of, learn, learning_curve, score, usual_seconds
from pipeline.manifest.annotation import Annotation
from pipeline.video.descriptors import SIZE

CLASSES = ["walk", "wave"]
NUMBERS = {"walk": slice(0, 20), "wave": slice(40, 60)}
"""The numbers of a descriptor by which a class is told."""


def described(name, events=(), *, seconds=30.0, known=None, is_labelled=True):
    """A recording in which each class shows in some numbers of the descriptors, above noise."""
    random = np.random.default_rng([0, *name.encode()])
    values = random.normal(0.2, 0.05, (round(seconds * 10), SIZE))
    for start, end, label in events:
        values[round(start * 10) : round(end * 10), NUMBERS[label]] += 0.5
    annotation = Annotation(events=tuple(events), known=known) if is_labelled else None
    return Described(name, values.astype(np.float16), annotation)


def relabelled(recordings, **annotation):
    """The same recordings, of which something else is known."""
    return [each._replace(annotation=Annotation(**annotation)) for each in recordings]


RECORDINGS = [
    described("a", [(2.0, 5.0, "walk"), (8.0, 10.0, "wave"), (15.0, 18.0, "walk")]),
    described("b", [(1.0, 4.0, "wave"), (3.0, 7.0, "walk"), (20.0, 22.0, "wave")]),
    described("c", [(5.0, 9.0, "walk"), (12.0, 15.0, "wave")]),
]
"""Half a minute each, in which everything is known."""


EVENTS = [(3.0, 6.0, "wave"), (5.0, 8.0, "walk"), (20.0, 24.0, "walk")]
NEW = described("new", EVENTS)
IS_WALK = NEW.labels(CLASSES)[:, 0] == 1


@pytest.fixture(scope="module")
def head():
    return fit_head(RECORDINGS, CLASSES)


def mean_of(head, cells):
    """What a head says of some cells of the new recording on average."""
    return head.probabilities(NEW.descriptors)[cells].mean()


def test_it_finds_what_was_marked_in_another_recording(head):
    found = head.probabilities(NEW.descriptors)
    bouts = head.bouts(found)
    events = sorted((each.first / 10, each.end / 10, each.label) for each in bouts)
    assert [each[2] for each in events] == [each[2] for each in EVENTS]  # two of them at once
    times = [each[:2] for each in EVENTS]
    np.testing.assert_allclose([each[:2] for each in events], times, atol=0.5)
    assert all(each.probability > 0.7 for each in bouts)
    assert score(head, [NEW], CLASSES) == 1
    # Answers change within half a second: they are the mean of five cells.
    assert np.abs(np.diff(found[3:-3], axis=0)).max() <= 0.2 + 1e-6
    # Events that are far apart by chance join no others.
    bouts, gaps = head.shortest
    assert (gaps <= bouts).all()
    assert bouts.tolist() == [15, 10]  # half of the shortest events
    # Few cells stand for all: rare classes are taken more often, and become no likelier by that.
    few = fit_head(RECORDINGS, CLASSES, most_cells=60)
    nothing = NEW.labels(CLASSES) == 0
    assert abs(mean_of(few, nothing) - mean_of(head, nothing)) < 0.02
    assert score(few, [NEW], CLASSES) > 0.7


def test_what_nobody_watched_teaches_nothing():
    """Events that were not marked, outside of what was watched, are no counterexamples."""
    partly, wrong = (
        [
            each._replace(annotation=Annotation(events=each.events[:1], known=known))
            for each in RECORDINGS
        ]
        for known in (((0, 7),), None)
    )
    right = fit_head(partly, CLASSES)
    assert score(right, [NEW], CLASSES) > 0.6
    happens = NEW.labels(CLASSES) == 1
    assert mean_of(right, happens) > mean_of(fit_head(wrong, CLASSES), happens) + 0.1
    # Waves were looked for everywhere; of walks, one of each recording was marked, and no more.
    partly, wrong = [], []
    for each in RECORDINGS:
        walks, waves = ([e for e in each.events if e[2] == name] for name in CLASSES)
        known_of = ((0.0, 30.0, "wave"), walks[0], (walks[0][1], walks[0][1] + 1, "walk"))
        events = (walks[0], *waves)
        partly += relabelled([each], events=events, known=((0.0, 0.5),), known_of=known_of)
        wrong += relabelled([each], events=events, known=((0.0, 30.0),))
    right = fit_head(partly, CLASSES)
    assert score(right, [NEW], CLASSES) == 1
    walks = IS_WALK, 0
    assert mean_of(right, walks) > mean_of(fit_head(wrong, CLASSES), walks) + 0.05


def test_a_class_that_never_occurs_is_never_found_and_what_never_varied_decides_nothing():
    def lit(recording, value):
        values = recording.descriptors.copy()
        values[:, 100:150] = value  # a lamp that shines in the new recording alone
        return recording._replace(descriptors=values)

    head = fit_head([lit(each, 0.2) for each in RECORDINGS], [*CLASSES, "zzz"])
    found = head.probabilities(lit(RECORDINGS[0], 0.2).descriptors)
    assert found[:, 2].max() < 0.1
    assert "zzz" not in {bout.label for bout in head.bouts(found)}
    assert score(head, [lit(NEW, 0.4)], CLASSES) == score(head, [NEW], CLASSES) == 1
    # The context of a cell.
    values = np.zeros((20, SIZE), np.float32)
    values[10, 0] = 1.0
    own, near, wide, deviation, rise = np.split(in_context(values), 5, axis=1)
    assert own[:, 0].tolist() == values[:, 0].tolist()
    assert np.flatnonzero(near[:, 0]).tolist() == [8, 9, 10, 11, 12]
    np.testing.assert_allclose(near[8:13, 0], 0.2, atol=1e-6)
    assert np.flatnonzero(wide[:, 0]).tolist() == list(range(3, 18))
    np.testing.assert_allclose(wide[9, 0], 1 / 15, atol=1e-6)
    np.testing.assert_allclose(deviation[9, 0], np.std([1] + [0] * 14), atol=1e-6)
    assert rise[5, 0] > 0 > rise[15, 0]
    assert in_context(values[:1]).shape == (1, 5 * SIZE)


def test_what_is_learnt_proposes_events_and_stretches_as_long_as_a_few_events():
    new = described("new", [(3.0, 6.0, "wave")], is_labelled=False)
    lesson = learn([*RECORDINGS, new])
    (proposal,) = lesson.proposals["new"]
    assert proposal.label == "wave"
    assert abs(proposal.start - 3) < 0.5
    assert abs(proposal.end - 6) < 0.5
    assert {each.recording for each in lesson.stretches} == {"new"}
    lesson = learn([each._replace(annotation=None) for each in RECORDINGS])
    assert lesson.proposals == {}
    assert {each.recording for each in lesson.stretches} == {"a", "b", "c"}
    assert learn(relabelled(RECORDINGS, events=())).proposals == {}
    slow = described("slow", [(0.0, 25.0, "walk")])
    assert [usual_seconds(each) for each in ([], RECORDINGS, [slow])] == [4, 3.5 * 3, 30]
    # The curve rises with labels, with noise in which one recording does not tell classes.
    random = np.random.default_rng(1)
    several = []
    for name in "abcdef":
        starts = np.arange(1.0, 17.0, 5.0) + random.uniform(0, 1)
        labels = random.permutation(["walk", "wave"] * 2)
        events = [(t, t + 2.5, str(label)) for t, label in zip(starts, labels, strict=True)]
        recording = described(name, events, seconds=20.0)
        noise = random.normal(0, 1.2, recording.descriptors.shape)
        several.append(recording._replace(descriptors=recording.descriptors + noise))
    curve = learning_curve(several)
    assert len(curve) == 4
    assert [each.events for each in curve] == sorted(each.events for each in curve)
    assert curve[-1].events == 19.2  # four fifths of 6 times 4
    assert curve[0].f1_50 < curve[-1].f1_50
    first, second, _ = RECORDINGS
    none = relabelled(RECORDINGS, events=())
    for few in ([first], [first._replace(annotation=None), second], none):
        assert learning_curve(few) == []
    curve = learning_curve(RECORDINGS[:2])
    assert len(curve) == 4
    assert learning_curve(RECORDINGS[:2]) == curve


def test_what_is_not_known_does_not_count(head):
    """Without a head, nothing is found: right where nothing was marked in what was watched."""
    first = RECORDINGS[0]
    (quiet,) = relabelled([first], events=(), known=((22.0, 30.0),))
    assert score(None, [quiet], ["walk"]) == 1
    assert score(None, [first], CLASSES) == 0
    # It finds all three events.
    (partly,) = relabelled([first], events=first.events[:1], known=((0.0, 6.5),))
    assert score(head, [partly], CLASSES) == 1
    # A class is learnt once it is known where it does not happen.
    walk, other = (2.0, 5.0, "walk"), (6.0, 9.0, "walk")
    one = relabelled(RECORDINGS[:1], events=(walk,), known=(), known_of=(walk,))
    assert head_of(one) is None
    told = relabelled(one, events=(walk,), known=(), known_of=(walk, other))
    assert head_of(told).class_names == ("walk",)
    assert learning_curve([*one, one[0]._replace(name="b")]) == []  # Nobody watched all of it.


def unlabelled(name, events=(), **options):
    return described(name, events, is_labelled=False, **options)


def test_where_the_head_is_unsure_comes_first_and_what_was_watched_is_not_shown_again(head):
    new = unlabelled("new", seconds=60)
    new.descriptors[400:440, NUMBERS["walk"]] += 0.25  # half of what a class shows by
    first = next_stretches([*RECORDINGS, new], head, seconds=4, most=3)[0]
    assert first.recording == "new"
    assert first.start <= 42 <= first.end
    partly = described("partly", seconds=20, known=((0.0, 12.0),))
    found = next_stretches([*RECORDINGS, partly], head, seconds=4, most=20)
    assert {each.recording for each in found} == {"partly"}
    assert min(each.start for each in found) >= 10
    assert next_stretches(RECORDINGS, head, seconds=4, most=20) == []
    # They are spread over recordings, and do not overlap.
    several = [unlabelled(name) for name in "abcd"]
    found = next_stretches(several, None, seconds=5, most=12)
    assert {each.recording for each in found[:4]} == set("abcd")
    assert len(found) == 12
    for one in found:
        others = [each for each in found if each.recording == one.recording and each != one]
        assert all(each.end <= one.start + 0.1 or each.start >= one.end - 0.1 for each in others)
    # Three recordings show the same, which comes late; a fourth shows something else.
    same = [unlabelled(name, [(0.0, 6.0, "walk")], seconds=6) for name in "abc"]
    other = unlabelled("d", [(0.0, 6.0, "wave")], seconds=6)
    found = next_stretches([*same, other], None, seconds=6, most=2)
    assert "d" in {each.recording for each in found}
    # One that is shorter than a stretch is one.
    (found,) = next_stretches([unlabelled("a", seconds=2.0)], None, seconds=6, most=5)
    assert found == Stretch("a", 0.0, 2.0)
    assert len(unwatched([unlabelled("a", seconds=30.0)], 6)) == 9
    cells = [unlabelled("a", seconds=seconds) for seconds in (0.1, 0.3)]
    assert [len(unwatched([each], 0.1)) for each in cells] == [1, 3]
    # More like this.
    new = unlabelled("new", [(10.0, 13.0, "wave"), (40.0, 43.0, "walk")], seconds=60)
    example = Stretch("a", 8.0, 10.0)  # a wave
    found = similar_stretches([*RECORDINGS, new], example, most=4)
    assert found[0].recording == "new"
    assert 9 <= found[0].start < found[0].end <= 14
    assert all(each.end - each.start == pytest.approx(2) for each in found)
    edges = np.array(sorted((each.start, each.end) for each in found))
    assert (edges[1:, 0] >= edges[:-1, 1] - 0.1).all()
    past_the_end = Stretch("a", 99.0, 100.0)
    assert len(similar_stretches([*RECORDINGS, new], past_the_end, most=4)) == 4
