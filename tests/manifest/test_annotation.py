"""Labels of frames from events."""

import numpy as np

from pipeline.manifest.annotation import UNKNOWN_LABEL, Annotation

EVENTS = ((0.2, 0.5, "walk"), (0.4, 0.8, "wave"))


def test_a_class_holds_at_the_frames_whose_middles_lie_in_its_events():
    annotation = Annotation(events=EVENTS, background="rest")
    assert annotation.class_names == ("rest", "walk", "wave")
    labels = [[0, 0, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1, 0]]
    assert Annotation(events=EVENTS).by_frame(10, ["walk", "wave"])(0, 9).T.tolist() == labels
    rest = [1, 1, 0, 0, 0, 0, 0, 0, 1]
    found = annotation.by_frame(10, annotation.class_names)(0, 9).T.tolist()
    assert found == [rest, *labels], "the background is what no event covers"
    chosen = annotation.of_classes(["wave"])
    assert chosen.class_names == ("rest", "wave")
    assert chosen.by_frame(10, chosen.class_names)(0, 4).argmax(axis=1).tolist() == [0, 0, 0, 0]


def test_frames_in_the_midst_are_labelled_as_all_are():
    events = tuple((n * 0.7, n * 0.7 + 0.4, "ab"[n % 2]) for n in range(40))
    label = Annotation(events=events, background="rest").by_frame(12.5, ["a", "b", "rest"])
    parts = [label(n, 50) for n in range(0, 400, 50)]
    np.testing.assert_array_equal(np.concatenate(parts), label(0, 400))


def test_the_shortest_event_holds_at_the_frame_that_shows_it_and_a_rounded_one_at_its_own():
    for start in np.arange(0, 2, 0.013):
        label = Annotation(events=((start, start + 0.001, "blink"),)).by_frame(10, ["blink"])
        assert np.flatnonzero(label(0, 30)).tolist() == [int((start + 0.0005) * 10)]
    for first in range(300):
        start, end = round(first / 30, 3), round((first + 7) / 30, 3)
        label = Annotation(events=((start, end, "a"),)).by_frame(30, ["a"])
        assert np.flatnonzero(label(0, 400)).tolist() == list(range(first, first + 7))


def test_nothing_is_known_beyond_what_was_watched():
    annotation = Annotation(events=EVENTS, known=((0.1, 0.3), (0.6, 0.7)), background="rest")
    label = annotation.by_frame(10, annotation.class_names)
    known = (label(0, 9) != UNKNOWN_LABEL).all(axis=1)
    assert known.tolist() == [False, True, True, False, False, False, True, False, False]
    assert (label(0, 9)[~known] == UNKNOWN_LABEL).all()
    np.testing.assert_array_equal(label(6, 2), label(0, 9)[6:8])


def test_of_one_class_something_may_be_known_alone():
    annotation = Annotation(
        events=(EVENTS[0],),
        known=((0.6, 0.8), (0.0, 0.0)),
        known_of=((0.0, 0.4, "wave"), EVENTS[0], (0.0, 0.9, "jump"), (0.5, 0.5, "walk")),
        background="rest",
    )
    label = annotation.by_frame(10, ["walk", "wave", "rest"])
    assert np.where(label(0, 9) == UNKNOWN_LABEL, 9, label(0, 9)).T.tolist() == [
        [9, 9, 1, 1, 1, 9, 0, 0, 9],
        [0, 0, 0, 0, 9, 9, 0, 0, 9],
        [9, 9, 0, 0, 0, 9, 1, 1, 9],
    ]
    np.testing.assert_array_equal(label(3, 4), label(0, 9)[3:7])
    wave = annotation.of_classes(["wave"]).by_frame(10, ["rest", "wave"])(0, 9)[:, 1]
    assert wave.tolist() == label(0, 9)[:, 1].tolist()
