import numpy as np

from pipeline.labelling.head import Described, fit_head, in_context
from pipeline.labelling.learning import score
from pipeline.manifest.annotation import Annotation
from pipeline.video.descriptors import SIZE
from tests.labelling.conftest import described

NAMES = ["walk", "wave"]
NEW = [(3.0, 6.0, "wave"), (5.0, 8.0, "walk"), (20.0, 24.0, "walk")]


def test_it_finds_what_was_marked_in_another_recording(recordings):
    head = fit_head(recordings, NAMES)
    new = described("new", NEW)
    bouts = head.bouts(head.probabilities(new.descriptors))
    found = sorted((each.first / 10, each.end / 10, each.label) for each in bouts)
    assert [each[2] for each in found] == [each[2] for each in NEW]  # two of them at once
    np.testing.assert_allclose([each[:2] for each in found], [each[:2] for each in NEW], atol=0.5)
    assert all(each.probability > 0.7 for each in bouts)
    assert score(head, [new], NAMES) == 1


def test_what_nobody_watched_teaches_nothing(recordings):
    """Events that were not marked, outside of what was watched, are no counterexamples."""
    partly = [
        Described(each.name, each.descriptors, Annotation(events=each.events[:1], known=((0, 7),)))
        for each in recordings
    ]
    new = described("new", NEW)
    right = fit_head(partly, NAMES)
    assert score(right, [new], NAMES) > 0.6
    wrong = [each._replace(annotation=Annotation(events=each.events)) for each in partly]
    happens = new.labels(NAMES) == 1
    sure, unsure = (
        head.probabilities(new.descriptors)[happens].mean()
        for head in (right, fit_head(wrong, NAMES))
    )
    assert sure > unsure + 0.1


def test_few_cells_stand_for_all(recordings):
    head = fit_head(recordings, NAMES, most_cells=60)
    whole = fit_head(recordings, NAMES)
    new = described("new", NEW)
    nothing = new.labels(NAMES) == 0
    few, all_of_them = (
        each.probabilities(new.descriptors)[nothing].mean() for each in (head, whole)
    )
    # Rare classes are taken more often; they must not become likelier by that.
    assert abs(few - all_of_them) < 0.02
    assert score(head, [new], NAMES) > 0.7


def test_answers_change_within_half_a_second(recordings):
    head = fit_head(recordings, NAMES)
    found = head.probabilities(described("new", NEW).descriptors)
    assert found.max() > 0.7
    assert np.abs(np.diff(found[3:-3], axis=0)).max() <= 0.2 + 1e-6  # The mean of five cells.


def test_events_that_are_far_apart_by_chance_join_no_others(recordings):
    head = fit_head(recordings, NAMES)
    bouts, gaps = head.shortest
    assert (gaps <= bouts).all()
    assert bouts.tolist() == [15, 10]  # half of the shortest events


def test_a_class_that_never_occurs_is_never_found(recordings):
    head = fit_head(recordings, [*NAMES, "zzz"])
    found = head.probabilities(recordings[0].descriptors)
    assert found[:, 2].max() < 0.1
    assert "zzz" not in {bout.label for bout in head.bouts(found)}


def test_what_never_varied_in_the_labelled_recordings_decides_nothing(recordings):
    """A lamp that shines in the new recording alone."""
    dull = [each._replace(descriptors=_with(each, 0.2)) for each in recordings]
    new = described("new", NEW)
    head = fit_head(dull, NAMES)
    lit = new._replace(descriptors=_with(new, 0.4))
    assert score(head, [lit], NAMES) == score(head, [new], NAMES) == 1


def _with(recording, value):
    values = recording.descriptors.copy()
    values[:, 100:150] = value
    return values


def test_the_context_of_a_cell():
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


def test_what_is_known_of_one_class_teaches_nothing_of_others(recordings):
    """Waves were looked for everywhere; of walks, one of each recording was marked, and no more."""
    whole = (0.0, 30.0, "wave")
    partly = []
    for each in recordings:
        walks, waves = ([e for e in each.events if e[2] == name] for name in NAMES)
        known_of = (whole, walks[0], (walks[0][1], walks[0][1] + 1, "walk"))
        events = (walks[0], *waves)
        marks = Annotation(events=events, known=((0.0, 0.5),), known_of=known_of)
        partly.append(each._replace(annotation=marks))
    new = described("new", NEW)
    right = fit_head(partly, NAMES)
    assert score(right, [new], NAMES) == 1
    wrong = [
        each._replace(annotation=Annotation(events=each.events, known=((0.0, 30.0),)))
        for each in partly
    ]
    walks = new.labels(NAMES)[:, 0] == 1
    sure, unsure = (
        head.probabilities(new.descriptors)[walks, 0].mean()
        for head in (right, fit_head(wrong, NAMES))
    )
    assert sure > unsure + 0.05
