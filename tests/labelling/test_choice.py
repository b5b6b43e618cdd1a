import numpy as np
import pytest

from pipeline.labelling.choice import Stretch, next_stretches, similar_stretches, unwatched
from pipeline.labelling.head import fit_head
from tests.labelling.recordings import CLASSES, NUMBERS, RECORDINGS, described


def unlabelled(name, events=(), **options):
    return described(name, events, is_labelled=False, **options)


def test_where_the_head_is_unsure_comes_first_and_what_was_watched_is_not_shown_again():
    head = fit_head(RECORDINGS, CLASSES)
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


def test_they_are_spread_over_recordings_and_do_not_overlap():
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


def test_more_like_this():
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
