"""Recordings of the demo: movements that run into each other, events that hold, files."""

import collections
import dataclasses
import itertools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError
from pipeline.manifest.rows import SPLITS
from pipeline.prepare.leaks import crossing
from pipeline.sources.demo.actions import ACTIONS, ORDER_PAIRS
from pipeline.sources.demo.choreography import Choreography
from pipeline.sources.demo.figure import SIDES, SOLES, Body
from pipeline.sources.demo.recordings import Recording
from pipeline.sources.demo.render import EVENTS, render_recordings
from pipeline.sources.demo.script import Script
from pipeline.sources.events.reading import read_events
from pipeline.sources.events.rows import scan_events
from pipeline.sources.reading import folder_of_videos, read_manifest
from pipeline.video import iter_frames, probe

FPS = 15
SLOW = 6
FIGURES = range(4)


def draw_body(figure):
    return Body.draw(np.random.default_rng(figure))


@pytest.fixture(scope="module")
def enacted():
    return [Script(draw_body(n), FPS, np.random.default_rng(n)).enact() for n in FIGURES]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Three short recordings, one a split, rendered in this process."""
    directory = tmp_path_factory.mktemp("recordings")
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        render_recordings(directory, workers=1, num_figures=3)
    return directory


def shorten(patch):
    """Makes recordings short and soon drawn, in the process itself, where this holds."""
    for name, value in {"_SIZES": ((64, 48),), "_RATES": (SLOW,)}.items():
        patch.setattr(f"pipeline.sources.demo.recordings.{name}", value)
    for name, value in {"_TIMES": 1, "_ON_THE_SPOT": ("kick",)}.items():
        patch.setattr(f"pipeline.sources.demo.script.{name}", value)
    patch.setattr("pipeline.sources.demo.render.run_in_workers", run_here)


def run_here(work, tasks, **_):
    for task in tasks:
        work(task, str)


def holds(enactment, *labels):
    """Whether one of some labels holds, bool (T,)."""
    frames = np.zeros(len(enactment.carton_headings), bool)
    for event in enactment.events:
        if event.label in labels:
            frames[event.start : event.end] = True
    return frames


def choreograph(figure=0):
    return Choreography(draw_body(figure), np.zeros(2), FPS, 1.0, np.random.default_rng(figure))


def speeds(positions):
    """Metres a second from frame to frame, (T - 1,)."""
    return FPS * np.linalg.norm(np.diff(positions, axis=0), axis=1)


def contents(directory):
    return {file.name: file.read_bytes() for file in sorted(directory.rglob("*.*"))}


def test_every_movement_begins_in_the_pose_in_which_the_last_one_ended():
    person = choreograph()
    for action in ("sit_down", "stand_up", "pick_up", "put_down", "wave", "clap"):
        person.act(action)
    person.pause(0.6)
    joints = person.skeleton().joints
    for span in person.spans[1:]:
        for name, positions in joints.items():
            assert speeds(positions[span.start - 1 : span.start + 1]) < 0.2, (span, name)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_gets_where_it_is_to_and_no_foot_on_the_floor_slides(figure):
    person = choreograph(figure)
    ways = [([1, 0], 0.5), ([-0.8, 0.2], -0.8), ([0.3, -0.2], 0.9), ([-0.5, 0], -0.6)]
    person.pause(0.5)
    for place, heading in ways:
        person.walk_to(np.array(place, float), heading)
        person.pause(0.5)
        skeleton = person.skeleton()
        np.testing.assert_allclose(skeleton.joints["pelvis"][-1, [0, 2]], place, atol=1e-6)
        assert person.headings[-1] == pytest.approx(heading)
    soles = np.stack([skeleton.joints[name] for name in SOLES], axis=1)
    standing = np.argmin(soles[1:, :, 1] + soles[:-1, :, 1], axis=1)
    steps = np.diff(soles, axis=0)[np.arange(len(standing)), standing]
    assert np.abs(steps).max() < 0.008
    np.testing.assert_allclose(soles[:, :, 1].min(axis=1), 0, atol=1e-9)


def test_a_figure_stays_in_its_part_of_the_world(enacted):
    for figure, each in zip(FIGURES, enacted, strict=True):
        height, pelvis = draw_body(figure).height, each.skeleton.joints["pelvis"]
        assert np.abs(pelvis[:, 0]).max() < 0.85 * height
        assert np.abs(pelvis[:, 2]).max() < 0.6 * height
        assert speeds(pelvis).max() < 6
        assert speeds(pelvis[:, [0, 2]]).max() < 4


def test_every_action_is_done_several_times_and_pairs_in_their_order(enacted):
    for each in enacted:
        labels = [event.label for event in each.events]
        assert set(labels) == set(ACTIONS)
        assert min(collections.Counter(labels).values()) >= 2
        for first, second in ORDER_PAIRS:
            pair = [label for label in labels if label in (first, second)]
            assert pair == [first, second] * (len(pair) // 2)
    assert len({tuple(event.label for event in each.events) for each in enacted}) == len(enacted)


def test_only_gestures_and_walks_hold_at_once(enacted):
    together = 0
    for each in enacted:
        events = sorted(each.events)
        assert events == list(each.events)
        assert events[0].start > 0
        assert max(event.end for event in events) < len(each.carton_headings)
        for event in events:
            assert event.start < event.end
            for other in events:
                if other != event and event.start <= other.start < event.end:
                    assert {"walk"} < {event.label, other.label} <= {"walk", "clap", "wave"}
                    together += 1
    assert together >= len(enacted)


def test_two_of_one_label_never_meet(enacted):
    for each in enacted:
        for label in ACTIONS:
            events = [event for event in each.events if event.label == label]
            gaps = [b.start - a.end for a, b in itertools.pairwise(events)]
            assert min(gaps) > 0


def test_labels_hold_while_something_is_done_and_not_in_pauses(enacted):
    for figure, each in zip(FIGURES, enacted, strict=True):
        joints, height = each.skeleton.joints, draw_body(figure).height
        free = ~holds(each, *ACTIONS)
        # The last movement still fades in the first frames of a pause.
        still = free[1:] & free[:-1] & np.append(np.zeros(6, bool), free[:-7])
        assert 0.15 < free.mean() < 0.5
        assert speeds(joints["pelvis"])[still].max() < 0.35
        raised = np.maximum(*(joints[f"{side}_hand"][:, 1] for side in SIDES)) > 0.9 * height
        assert not raised[free].any()
        away = speeds(joints["pelvis"][:, [0, 2]]) > 0.4
        walking = holds(each, "walk")[1:]
        assert away[walking].mean() > 0.3
        assert away[~walking & ~holds(each, "jump", "kick", "squat")[1:]].mean() < 0.1


def test_arms_wave_while_legs_walk(enacted):
    for figure, each in zip(FIGURES, enacted, strict=True):
        both, joints = holds(each, "walk") & holds(each, "wave"), each.skeleton.joints
        hands = np.maximum(*(joints[f"{side}_hand"][:, 1] for side in SIDES))
        if both.sum() > 2 * FPS:
            assert hands[both].max() > 0.95 * draw_body(figure).height


def test_the_carton_rests_at_one_place_or_is_between_the_hands(enacted):
    for each in enacted:
        centre, joints = each.carton.centre, each.skeleton.joints
        middle = (joints["left_hand"] + joints["right_hand"]) / 2
        picked, put = ([e for e in each.events if e.label == of] for of in ORDER_PAIRS[0])
        rest = each.carton.support + each.carton.half[1]
        for up, down in zip(picked, put, strict=True):
            np.testing.assert_allclose(centre[[up.start, down.end]], centre[[0, 0]])
            assert centre[up.start, 1] == pytest.approx(rest)
            held = np.s_[up.end : down.start]
            assert np.linalg.norm(centre[held] - middle[held], axis=1).max(initial=0) < 0.15
            assert centre[held, 1].min(initial=9) > rest + 0.2
            assert not holds(each, "clap", "wave")[held].any()
            grasp = up.start + (up.end - up.start) // 2
            np.testing.assert_allclose(centre[grasp], centre[0])
            assert not np.allclose(centre[grasp + 2], centre[0])
        assert speeds(centre).max() < 6


def test_a_figure_always_sits_on_the_chair(enacted):
    for each in enacted:
        ends = [event.end - 1 for event in each.events if event.label == "sit_down"]
        seats = each.skeleton.joints["pelvis"][ends]
        assert np.linalg.norm(seats - each.seat, axis=1).max() < 0.08


def test_files_hold_what_was_acted(rendered):
    recordings = read_events(rendered / EVENTS)
    assert [each.media.partition(".")[0] for each in recordings] == [
        "figure00",
        "figure01",
        "figure02",
    ]
    assert [(each.group, each.split) for each in recordings] == [
        (f"figure0{n}", split) for n, split in enumerate(SPLITS)
    ]
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        for figure, read in enumerate(recordings):
            recording = Recording(0, figure, SPLITS[figure])
            info = probe(rendered / read.media, count_frames=True)
            assert info.num_frames == len(recording.enactment.carton_headings)
            assert info.fps == SLOW
            frames = [
                (round(e.start_seconds * SLOW, 3), round(e.end_seconds * SLOW, 3), e.label)
                for e in read.events
            ]
            assert frames == [(e.start, e.end, e.label) for e in recording.enactment.events]
            assert {e.subject for e in read.events} == {read.group}
        first = next(recording.frames())
    decoded = next(iter_frames(rendered / read.media))
    assert np.abs(decoded.astype(int) - first).mean() < 14


def test_the_camera_stays_where_it_is(rendered):
    frames = np.stack(list(iter_frames(next(rendered.glob("figure01.[am]*"))))).astype(int)
    corner = frames[:, :12].mean(axis=(1, 2, 3))  # the place above the figure
    assert np.ptp(corner) < 4


def test_events_become_rows_of_parts_by_figure(rendered):
    manifest = scan_events(rendered / EVENTS, rendered, cut=True)
    assert not crossing(manifest.rows)
    assert {(row.group, row.split) for row in manifest.rows} == {
        (f"figure0{n}", split) for n, split in enumerate(SPLITS)
    }
    assert {row.label for row in manifest.rows} >= {"kick", "pick_up", "put_down", "sit_down"}


def test_a_killed_run_is_completed_to_the_same_bytes(rendered, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import pytest, sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_demo_recordings import render_recordings, shorten\n"
        "if __name__ == '__main__':\n"
        "    shorten(pytest.MonkeyPatch())\n"
        "    render_recordings(Path(sys.argv[1]), workers=1, num_figures=3)\n"
    )
    directory = tmp_path / "recordings"
    run = subprocess.Popen([sys.executable, script, directory], stdout=subprocess.PIPE)
    while not list(directory.glob("figure00.[am]*")):
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.communicate(timeout=20)
    done = next(directory.glob("figure00.[am]*"))
    modified = done.stat().st_mtime_ns
    (directory / EVENTS / "figure00.csv").unlink(missing_ok=True)
    (directory / ".figure01.12.partial.mp4").write_bytes(b"half a recording")
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        render_recordings(directory, workers=1, num_figures=3)
        render_recordings(directory, workers=1, num_figures=3)
    assert contents(directory) == contents(rendered)
    assert modified != done.stat().st_mtime_ns  # without its events it is rendered again


def test_another_seed_replaces_the_recordings(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.sources.demo.render.run_in_workers", lambda *_, **__: [])
    render_recordings(tmp_path)
    old = tmp_path / EVENTS / "figure07.csv"
    old.touch()
    render_recordings(tmp_path)
    assert old.exists()
    render_recordings(tmp_path, seed=1)
    assert not old.exists()


def test_prepare_needs_no_path_and_puts_them_into_a_folder_of_their_own(monkeypatch):
    config = PrepareConfig(source="demo_recordings")
    assert config.out == "data/demo_recordings"
    assert PrepareConfig(source="demo_recordings", out="data/x").out == "data/x"
    assert folder_of_videos(config) == Path("data/demo_recordings/videos").absolute()
    for wrong in ({"path": "x"}, {"videos": "x"}, {"folds": 2}, {"classes": ("walk",)}):
        with pytest.raises(ConfigError, match="is for your own videos|--classes needs --out"):
            PrepareConfig(source="demo_recordings", **wrong)


def test_the_source_reads_its_recordings(rendered, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        "pipeline.sources.demo.render.render_recordings",
        lambda folder, **options: seen.append((folder, options)),
    )
    monkeypatch.setattr("pipeline.sources.reading.folder_of_videos", lambda _: rendered)
    config = PrepareConfig(source="demo_recordings", out=str(tmp_path), seed=3, workers=1)
    whole = scan_events(rendered / EVENTS, rendered, background="background")
    assert read_manifest(config) == whole
    cut = dataclasses.replace(config, cut_events=True)
    assert read_manifest(cut) == scan_events(rendered / EVENTS, rendered, cut=True)
    assert seen == [(rendered, {"seed": 3, "workers": 1})] * 2
