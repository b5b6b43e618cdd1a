import itertools
import re

import pytest

from pipeline.errors import DataError
from tests.sources.events.formats import aligned, document, kinds, said


def referring(name, to, value):
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{to}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


SLOTS = {"t1": 1000, "t2": 2000, "t3": 4000, "t4": 4000}


@pytest.fixture
def one(read):
    """Reads a document with one recording."""
    return lambda text, **options: read("a.eaf", text, **options)[0]


def told(recording):
    return [kind for kind in kinds(recording) if kind != "tier"]


def events_of(recording):
    return said([recording])[0].partition(": ")[2].partition(" [")[0]


FIRST, SECOND = aligned("a1", "t1", "t2"), aligned("a2", "t2", "t3")


def test_tiers_with_one_value_or_none_are_labels(one):
    eat = [[aligned("a3", "t1", "t3", "x")], 'PARTICIPANT="ann"']
    recording = one(document(SLOTS, walk=[[FIRST, SECOND]], eat=eat))
    assert recording.media == "/v/a.mp4"
    assert events_of(recording) == "1-2 walk, 1-4 eat of ann, 2-4 walk"
    texts = [notice.text.rpartition(": ")[2] for notice in recording.notices]
    assert texts == ["walk is taken for a label", "eat is taken for a label"]


def test_tiers_with_several_values_are_subjects_unless_it_is_said(one):
    text = document(
        SLOTS,
        m1=[[aligned("a1", "t1", "t2", " walk\n"), aligned("a2", "t2", "t3", "eat")]],
        m2=[[aligned("a3", "t1", "t3", "walk")], 'PARTICIPANT="bob"'],
        flash=[[aligned("a4", "t2", "t3")]],
    )
    assert events_of(one(text)) == "1-2 walk of m1, 1-4 walk of bob, 2-4 eat of m1, 2-4 flash"
    text = document(SLOTS, m=[[aligned("a1", "t1", "t2", "walk"), SECOND]])
    recording = one(text, tier_as="subject")
    assert events_of(recording) == "1-2 walk of m"
    assert told(recording) == ["without a label"]
    assert said([one(text, tier_as="label")]) == ["/v/a.mp4: 1-2 m, 2-4 m ['tier']"]
    recording = one(document(SLOTS, "", walk=[[aligned("a1", "t3", "t4")]]))
    assert said([recording])[0].startswith(": 4-4 walk [")
    assert told(recording) == ["without length"]


def test_tiers_can_be_chosen_and_the_others_are_told(one):
    text = document(SLOTS, a=[[FIRST]], b=[[SECOND]])
    recording = one(text, tiers=("b",))
    assert events_of(recording) == "2-4 b"
    assert recording.notices[0].kind == "tier left alone"
    assert recording.notices[0].text.endswith(": a, 1 annotation")
    with pytest.raises(DataError, match=r"expected a tier 'bb', there is none. Did you mean 'b'"):
        one(text, tiers=("bb",))


def test_annotations_without_times_divide_those_between_them(one):
    slots = {"t1": 1000, "x1": None, "x2": None, "t4": 4000, "y": None, "z": None}
    parts = [aligned("a1", "t1", "x1", "p"), aligned("a2", "x1", "x2", "q")]
    lost = [aligned("b1", "y", "z"), aligned("b2", "z", "t4")]
    recording = one(document(slots, m=[[*parts, aligned("a3", "x2", "t4", "r")], ""], n=[lost]))
    assert events_of(recording) == "1-2 p of m, 2-3 q of m, 3-4 r of m"
    assert told(recording) == ["times between others", "without a time", "without a time"]
    assert "2 times not given" in recording.notices[0].text
    circle = [aligned("a1", "t1", "x1"), aligned("a2", "x1", "x2"), aligned("a3", "x2", "x1")]
    assert told(one(document(slots, m=[circle]))) == ["without a time"] * 3


def test_referring_annotations_take_the_time_of_what_they_refer_to(one):
    circle = [referring("c1", "c2", "lost"), referring("c2", "c1", "lost")]
    text = document(
        SLOTS,
        m=[[aligned("a1", "t1", "t2", "p"), aligned("a2", "t2", "t3", "q")]],
        deep=[[referring("b2", "b1", "s"), *circle]],
        n=[[referring("b1", "a2", "r"), referring("b3", "none", "lost")]],
    )
    recording = one(text)
    assert events_of(recording) == "1-2 p of m, 2-4 q of m, 2-4 r of n, 2-4 s of deep"
    assert told(recording) == ["without a time"] * 3


def test_the_first_video_is_taken_and_its_head_start_counted(one):
    media = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/a.wav" MIME_TYPE="audio/x-wav"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/v/b%20c.mpg" MIME_TYPE="video/mpeg" '
        'RELATIVE_MEDIA_URL="" TIME_ORIGIN="500"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/d.mp4" MIME_TYPE="unknown"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/e" MIME_TYPE="video/quicktime"/>'
    )
    recording = one(document(SLOTS, media, walk=[[FIRST]]))
    assert said([recording])[0].startswith("/C:/v/b c.mpg: 1.5-2.5 walk [")
    assert re.search(r"not /v/d.mp4, /v/e, /v/a.wav$", recording.notices[0].text)


def test_deep_and_wide_documents(one):
    deep = "<a>" * 5_000 + "</a>" * 5_000
    text = document(SLOTS, walk=[[FIRST]])
    assert events_of(one(text.replace("<HEADER", f"{deep}<HEADER"))) == "1-2 walk"
    slots = {"t0": 0, **{f"t{n}": None for n in range(1, 3_000)}, "t3000": 3_000_000}
    names = enumerate(itertools.pairwise(slots))
    chain = [aligned(f"a{n}", a, b) for n, (a, b) in names]
    assert events_of(one(document(slots, walk=[chain]))).endswith(", 2999-3000 walk")
