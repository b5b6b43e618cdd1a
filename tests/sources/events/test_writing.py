"""Events that a person marked, written for annotation programs, read back as the same."""

import xml.etree.ElementTree as ET

import pytest

from pipeline.sources.events.reading import read_events
from pipeline.sources.events.writing import WRITERS, WrittenEvent, WrittenRecording

FPS = 10.0
EVENTS = (
    WrittenEvent(start_seconds=0.5, end_seconds=2.0, label="walk", subject="Ann"),
    WrittenEvent(start_seconds=1.0, end_seconds=3.0, label="walk", subject="Bob & <Co>"),
    WrittenEvent(start_seconds=1.5, end_seconds=1.5, label="peck", notes="a\ttab"),
    WrittenEvent(start_seconds=3.0, end_seconds=3.4, label="walk"),
)


def recording(events):
    names = tuple(sorted({event.label for event in events}))
    about = {"path": "/videos/day 1.avi", "fps": FPS, "duration_seconds": 4.0}
    return WrittenRecording(**about, class_names=names, events=events)


def read_back(path, events, end):
    path = path / f"out{end}"
    path.write_bytes(WRITERS[end](recording(events)))
    (found,) = read_events(path)
    assert found.media.endswith("day 1.avi")
    rate = FPS if found.unit == "frames" else 1
    return sorted(
        (round(e.start_seconds / rate, 3), round(e.end_seconds / rate, 3), e.label, e.subject)
        for e in found.events
    )


def expected(events, *, has_points, has_subjects):
    return sorted(
        (
            event.start_seconds,
            round(event.end_seconds + (0.1 if event.is_point and not has_points else 0), 3),
            event.label,
            event.subject if has_subjects else "",
        )
        for event in events
    )


@pytest.mark.parametrize("events", [EVENTS, EVENTS[:1], EVENTS[:2], EVENTS[2:]])
@pytest.mark.parametrize("end", WRITERS)
def test_what_was_marked_reads_back(tmp_path, end, events):
    knows = {
        "has_points": end in (".boris.tsv", ".via.json"),
        "has_subjects": end != ".label-studio.json",
    }
    assert read_back(tmp_path, events, end) == expected(events, **knows)


def test_notes_go_into_the_comments_of_boris(tmp_path):
    text = WRITERS[".boris.tsv"](recording(EVENTS)).decode()
    assert '"a\ttab"' in text


def test_the_document_of_elan_names_its_schema():
    root = ET.fromstring(WRITERS[".eaf"](recording(EVENTS)))  # noqa: S314
    name = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
    assert root.get(name) == "http://www.mpi.nl/tools/elan/EAFv3.0.xsd", "pympi wants it"
