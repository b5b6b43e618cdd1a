"""Files that the tools themselves wrote."""

from pathlib import Path

from pipeline.sources.events.event import Event
from pipeline.sources.events.reading import ReadingOptions, read_events
from tests.conftest import REAL, VIDEOS
from tests.sources.events.formats import kinds

pytestmark = REAL
LABELS = Path(VIDEOS).parent / "labels"

FIRST = (
    Event(3.3, 7.75, "s", "subject1"),
    Event(9.9, 16.2, "s", "subject1"),
    Event(18.35, 24.475, "s", "subject1"),
    Event(38.425, 46.1, "s", "subject2"),
)


def test_the_same_observations_from_tables_and_a_project_of_boris():
    (table,) = read_events(LABELS / "boris_tabular.tsv")
    project = {r.name: r for r in read_events(LABELS / "boris_project.boris")}["observation #1"]
    assert table.events == project.events == FIRST
    for recording in (table, project):
        assert recording.media == "video_test_25fps_360s.mp4"
        assert (recording.fps, recording.duration_seconds) == (25, 359.96)
        assert recording.notices == ()
    first, second = read_events(LABELS / "boris_aggregated.tsv")
    recordings = read_events(LABELS / "boris_project.boris")
    in_project = [r for r in recordings if r.name == "observation #2"]
    assert first.media == in_project[0].media == "video_test_25fps_180s.mp4"
    assert first.events == in_project[0].events
    assert len(first.events) == 6
    assert kinds(first) == ["place unknown"] * 12
    assert (second.media, second.events, second.known) == ("video_test_25fps_360s.mp4", (), ())
    # Not in the table: where the second file starts, after 179.96 seconds.
    assert len(in_project[1].events) == 12
    assert in_project[1].events[0] == Event(227.765 - 179.96, 253.49 - 179.96, "s")
    assert len(recordings) == 13
    for kind, count in (("without media", 5), ("START without STOP", 1), ("other cameras", 4)):
        assert kinds(*recordings).count(kind) == count
    modifiers = read_events(LABELS / "boris_project.boris", ReadingOptions(modifiers=True))
    labels = [{e.label for e in r.events} for r in modifiers if r.name == "modifiers"]
    assert labels == [{"q m1", "q m2", "q m3", "r m1", "r"}]


def test_a_document_of_elan():
    tiers = ("text", "gestures", "words-timesub", "words-pos")
    (recording,) = read_events(LABELS / "elan.eaf", ReadingOptions(tiers=tiers))
    text, gestures, words, parts = (
        [event for event in recording.events if event.subject == tier] for tier in tiers
    )
    assert recording.media == "../../DemoMaterial/yele/r03_v20_s5.wav"
    assert text[0] == Event(2, 5, "The quick brown fox 001", "text")
    assert gestures[:2] == [Event(1.8, 2.4, "prep", "gestures"), Event(3, 3.6, "hold", "gestures")]
    # The second sentence's words but the first have no times; they lie between 8 and 11 seconds.
    third = [event for event in words if 8 <= event.start_seconds < 11]
    assert [(e.start_seconds, e.label) for e in third[:2]] == [(8, "The"), (8.6, "quick")]
    assert (len(words), len(parts)) == (1995, 3)
    assert kinds(recording).count("times between others") == 1
    assert kinds(recording).count("without a label") == 1992
