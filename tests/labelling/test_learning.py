import numpy as np

from pipeline.labelling.learning import head_of, learn, learning_curve, score, usual_seconds
from pipeline.manifest.annotation import Annotation
from tests.labelling.conftest import described


def test_what_is_learnt_proposes_events_and_stretches(recordings):
    new = described("new", [(3.0, 6.0, "wave")], is_labelled=False)
    lesson = learn([*recordings, new])
    (proposal,) = lesson.proposals["new"]
    assert proposal.label == "wave"
    assert abs(proposal.start - 3) < 0.5
    assert abs(proposal.end - 6) < 0.5
    assert lesson.stretches
    assert {each.recording for each in lesson.stretches} == {"new"}


def test_without_labels_there_are_stretches_alone(recordings):
    bare = [each._replace(annotation=None) for each in recordings]
    lesson = learn(bare)
    assert lesson.proposals == {}
    assert {each.recording for each in lesson.stretches} == {"a", "b", "c"}
    watched = [each._replace(annotation=Annotation(events=())) for each in recordings]
    assert learn(watched).proposals == {}


def test_a_stretch_is_as_long_as_a_few_events(recordings):
    assert usual_seconds([]) == 4
    assert usual_seconds(recordings) == 3.5 * 3
    slow = described("slow", [(0.0, 25.0, "walk")])
    assert usual_seconds([slow]) == 30


def test_the_curve_rises_with_labels():
    """With noise in which one recording alone does not tell the classes."""
    random = np.random.default_rng(1)
    several = []
    for name in "abcdefgh":
        starts = np.arange(1.0, 27.0, 5.0) + random.uniform(0, 1)
        labels = random.permutation(["walk", "wave"] * 3)
        events = [(t, t + 2.5, str(label)) for t, label in zip(starts, labels, strict=True)]
        recording = described(name, events)
        noise = random.normal(0, 0.7, recording.descriptors.shape)
        several.append(recording._replace(descriptors=recording.descriptors + noise))
    curve = learning_curve(several)
    assert len(curve) == 4
    assert [each.events for each in curve] == sorted(each.events for each in curve)
    assert curve[-1].events == 38.4  # four fifths of 8 times 6
    assert curve[0].f1_50 < curve[-1].f1_50
    assert curve == learning_curve(several)


def test_a_curve_takes_two_recordings_with_events(recordings):
    assert learning_curve(recordings[:1]) == []
    assert learning_curve([recordings[0]._replace(annotation=None), recordings[1]]) == []
    empty = [each._replace(annotation=Annotation(events=())) for each in recordings]
    assert learning_curve(empty) == []
    assert len(learning_curve(recordings)) == 4


def test_what_is_not_known_does_not_count(recordings):
    """Without a head, nothing is found: right where nothing was marked in what was watched."""
    (first, *_) = recordings
    quiet = first._replace(annotation=Annotation(events=(), known=((22.0, 30.0),)))
    assert score(None, [quiet], ["walk"]) == 1
    assert score(None, [first], ["walk", "wave"]) == 0
    head = head_of(recordings)  # It finds all three events.
    partly = first._replace(annotation=Annotation(events=first.events[:1], known=((0.0, 6.5),)))
    assert score(head, [partly], ["walk", "wave"]) == 1


def test_a_class_is_learnt_once_it_is_known_where_it_does_not_happen(recordings):
    walk, other = (2.0, 5.0, "walk"), (6.0, 9.0, "walk")
    marks = Annotation(events=(walk,), known=(), known_of=(walk,))
    one = recordings[0]._replace(annotation=marks)
    assert head_of([one]) is None
    told = Annotation(events=(walk,), known=(), known_of=(walk, other))
    assert head_of([one._replace(annotation=told)]).class_names == ("walk",)
    assert learning_curve([one, one._replace(name="b")]) == []  # Nobody watched all of a stretch.
