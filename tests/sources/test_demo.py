"""The demo: bodies that hold together, actions told apart by what they should be, and their files.

Videos show one action; in recordings, movements run into each other.
"""

import collections
import dataclasses
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError
from pipeline.manifest.rows import SPLITS
from pipeline.prepare.leaks import crossing
from pipeline.sources.demo.actions import ACTIONS, ORDER_PAIRS, perform
from pipeline.sources.demo.body import SIDES, SOLES, Body, forward_kinematics, mirrored, pose
from pipeline.sources.demo.render import (
    EVENTS,
    MAX_FRAMES,
    MIN_FRAMES,
    Recording,
    Take,
    render_demo,
    render_recordings,
)
from pipeline.sources.demo.script import Choreography, Script
from pipeline.sources.events.reading import read_events
from pipeline.sources.events.rows import scan_events
from pipeline.sources.reading import folder_of_videos, read_manifest
from pipeline.video import iter_frames, probe
from tests.sources.conftest import run_here

FORWARD = sorted(set(ACTIONS) - {"put_down", "stand_up"})
FIGURES = range(4)
ACTORS = range(3)  # of recordings
FPS, SLOW = 15, 6
BONES = {
    ("hip", "knee"): "thigh",
    ("knee", "ankle"): "shin",
    ("shoulder", "elbow"): "upper_arm",
    ("elbow", "wrist"): "forearm",
    ("wrist", "hand"): "hand",
    ("heel", "toe"): "foot",
}
SMALL = {
    "render._SIZES": ((64, 48), (48, 64)),
    "render.MIN_FRAMES": 4,
    "render.MAX_FRAMES": 6,
    "render._LONG_SIZES": ((64, 48),),
    "render._LONG_RATES": (SLOW,),
    "script._TIMES": 1,
    "script._ON_THE_SPOT": ("kick",),
}


@pytest.fixture
def small(monkeypatch, in_this_process):
    """Videos and recordings are small, short and soon drawn."""
    make_small(monkeypatch)


def make_small(patch):
    for name, value in SMALL.items():
        patch.setattr(f"pipeline.sources.demo.{name}", value)


def draw_body(figure):
    return Body.draw(np.random.default_rng(figure))


def act(action, figure, num_frames=40):
    return perform(action, draw_body(figure), num_frames, 25, np.random.default_rng(figure))


def distance(joints, a, b):
    return np.linalg.norm(joints[a] - joints[b], axis=1)


def of_feet(skeleton):
    """Where the soles are, and from frame to frame, how the one that is on the floor moves."""
    points = np.stack([skeleton.joints[name] for name in SOLES], axis=1)
    standing = np.argmin(points[1:, :, 1] + points[:-1, :, 1], axis=1)
    return points, np.diff(points, axis=0)[np.arange(len(standing)), standing]


def speeds(positions):
    """Metres a second from frame to frame, (T - 1,)."""
    return FPS * np.linalg.norm(np.diff(positions, axis=0), axis=1)


def holds(enactment, *labels):
    """Whether one of some labels holds, bool (T,)."""
    frames = np.zeros(len(enactment.carton_headings), bool)
    for event in enactment.events:
        if event.label in labels:
            frames[event.start : event.end] = True
    return frames


def contents(directory):
    return {file.name: file.read_bytes() for file in sorted(directory.rglob("*.*"))}


WAYS = [
    ({"hip": 60}, "left_knee", 2, 1),  # a thigh is raised to the front
    ({"knee": 60}, "left_ankle", 2, -1),  # a knee bends to the back
    ({"elbow": 60}, "right_wrist", 2, 1),  # an elbow bends to the front
    ({"abduct": 60}, "left_elbow", 0, 1),  # an arm is spread outwards, to the left
    ({"abduct": 60}, "right_elbow", 0, -1),  # or to the right
    ({"lean": 60}, "head", 2, 1),  # a bow goes to the front
    ({"foot": 30}, "left_toe", 1, 1),  # a foot is raised at the toes
]


def test_bones_keep_their_lengths_joints_bend_the_right_way_and_mirroring_swaps_the_sides():
    body = draw_body(0)
    angles = np.random.default_rng(0).uniform(-2, 2, (50, pose({}).size))
    joints, image = (forward_kinematics(body, each).joints for each in (angles, mirrored(angles)))
    for side in SIDES:
        for (start, end), bone in BONES.items():
            lengths = distance(joints, f"{side}_{start}", f"{side}_{end}")
            np.testing.assert_allclose(lengths, getattr(body, bone), rtol=1e-9)
    for one, other in (("left_hand", "right_hand"), ("right_toe", "left_toe"), ("head", "head")):
        np.testing.assert_allclose(image[one], joints[other] * [-1, 1, 1], atol=1e-12)
    for degrees, joint, axis, sign in WAYS:
        bent, straight = (
            forward_kinematics(body, pose(angles)[None]).joints[joint][0, axis]
            for angles in (degrees, {})
        )
        assert sign * (bent - straight) > 0.05, (degrees, joint)


@pytest.mark.parametrize("action", FORWARD)
def test_soles_touch_the_floor_and_are_never_below_and_do_not_slide(action):
    for figure in FIGURES:
        points, steps = of_feet(act(action, figure).skeleton)
        lowest = points[:, :, 1].min(axis=1)
        if action == "jump":
            assert lowest.max() > 0.1
        else:
            np.testing.assert_allclose(lowest, 0, atol=1e-9)
        assert lowest.min() > -1e-9
        if figure == 1:
            assert np.abs(steps[:, [0, 2]]).max() < 1e-9


@pytest.mark.parametrize("figure", FIGURES)
def test_actions_do_what_their_names_say_and_a_carton_rests_and_is_then_between_the_hands(figure):
    height = draw_body(figure).height
    joints = {action: act(action, figure).skeleton.joints for action in FORWARD}
    gap = distance(joints["clap"], "left_hand", "right_hand")
    assert gap.min() < 0.12 < 0.3 < gap[8:-8].max()
    hands = [joints["wave"][f"{side}_hand"][:, 1].max() for side in SIDES]
    assert max(hands) > joints["wave"]["head"][:, 1].max() > 1.5 * min(hands)
    feet = np.stack([joints["kick"][f"{side}_toe"][:, 1] for side in SIDES])
    assert feet.max() > 0.25 * height
    assert np.ptp(joints["walk"]["pelvis"][:, 2]) > 0.5 * height
    for action in ("squat", "sit_down"):
        pelvis = joints[action]["pelvis"][:, 1]
        assert pelvis.min() < 0.75 * pelvis[0]
    assert joints["squat"]["pelvis"][-1, 1] > 0.99 * joints["squat"]["pelvis"][0, 1]
    # A carton rests, and is then between the hands.
    performance = act("pick_up", figure)
    carton, joints = performance.carton, performance.skeleton.joints
    np.testing.assert_allclose(carton.centre[:15], np.tile(carton.centre[0], (15, 1)))
    assert carton.centre[0, 1] == pytest.approx(carton.support + carton.half[1])
    middle = (joints["left_hand"] + joints["right_hand"])[-1] / 2
    assert np.linalg.norm(carton.centre[-1] - middle) < 0.1
    # It is big enough to be held, and does not stand on the toes.
    assert carton.half[0] > 0.08
    toes = np.stack([joints[f"{side}_toe"][0, 2] for side in SIDES])
    assert carton.centre[0, 2] - carton.half[2] > toes.max() - 0.02


@pytest.mark.parametrize(("one", "other"), ORDER_PAIRS)
def test_the_actions_of_an_order_pair_are_each_other_backwards(small, one, other):
    takes = Take(0, one, 2), Take(0, other, 2)
    assert takes[0].format() == takes[1].format()
    forward, backward = (np.stack(list(take.frames())) for take in takes)
    np.testing.assert_array_equal(forward, backward[::-1])
    change = np.abs(forward[0].astype(int) - forward[-1]).mean()
    assert change > 1  # it matters which end comes first


def test_takes_are_varied_and_short():
    formats = [Take(0, action, figure).format() for action in ACTIONS for figure in range(48)]
    seen = collections.Counter(
        value for form in formats for value in (form.size, form.fps, (form.suffix, form.codec))
    )
    assert len(seen) == 6 + 5 + 4
    assert min(seen.values()) > 30
    assert {form.num_frames for form in formats} <= set(range(MIN_FRAMES, MAX_FRAMES + 1))
    assert np.mean([form.num_frames / form.fps for form in formats]) == pytest.approx(1.6, abs=0.2)


def test_files_show_what_was_acted_and_are_completed_or_replaced(small, tmp_path):
    manifest = render_demo(tmp_path, num_figures=3)
    assert not crossing(manifest.rows)
    found = collections.Counter((row.split, row.label) for row in manifest.rows)
    assert found == dict.fromkeys([(split, action) for split in SPLITS for action in ACTIONS], 1)
    assert len(manifest.groups) == 3
    for row in manifest.rows:
        take = Take(0, row.label, int(row.group.removeprefix("figure")))
        form, info = take.format(), probe(row.path, count_frames=True)
        assert (info.num_frames, info.fps) == (form.num_frames, form.fps)
        assert (info.width, info.height) == form.size
        decoded = next(iter_frames(row.path))
        assert np.abs(decoded.astype(int) - next(take.frames())).mean() < 12
    before, files = contents(tmp_path), set(tmp_path.glob("*/*"))
    kept = [Path(row.path) for row in manifest.rows]
    killed = kept.pop(0)
    killed.unlink()
    killed.with_name(".figure00_0.1234.mp4").write_bytes(b"half a video")
    times = {path: path.stat().st_mtime_ns for path in kept}
    render_demo(tmp_path, num_figures=3)
    assert contents(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    after = render_demo(tmp_path, seed=1, num_figures=3)
    assert set(tmp_path.glob("*/*")) == {Path(row.path) for row in after.rows} != files
    assert not set(contents(tmp_path).values()) & set(before.values())


@pytest.fixture(scope="module")
def enacted():
    return [Script(draw_body(n), FPS, np.random.default_rng(n)).enact() for n in ACTORS]


def choreograph(figure=0):
    return Choreography(draw_body(figure), np.zeros(2), FPS, 1.0, np.random.default_rng(figure))


def test_movements_join_and_a_figure_gets_where_it_is_to_and_no_foot_on_the_floor_slides():
    person = choreograph()
    for action in ("sit_down", "stand_up", "pick_up", "put_down", "wave", "clap"):
        person.act(action)
    person.pause(0.6)
    joints = person.skeleton().joints
    for span in person.spans[1:]:
        for name, positions in joints.items():
            assert speeds(positions[span.start - 1 : span.start + 1]) < 0.2, (span, name)
    ways = [([1, 0], 0.5), ([-0.8, 0.2], -0.8), ([0.3, -0.2], 0.9), ([-0.5, 0], -0.6)]
    for person in map(choreograph, ACTORS):
        person.pause(0.5)
        for place, heading in ways:
            person.walk_to(np.array(place, float), heading)
            person.pause(0.5)
            skeleton = person.skeleton()
            np.testing.assert_allclose(skeleton.joints["pelvis"][-1, [0, 2]], place, atol=1e-6)
            assert person.headings[-1] == pytest.approx(heading)
        points, steps = of_feet(skeleton)
        assert np.abs(steps).max() < 0.008
        np.testing.assert_allclose(points[:, :, 1].min(axis=1), 0, atol=1e-9)


def test_a_figure_stays_in_its_part_of_the_world_and_labels_hold_while_something_is_done(enacted):
    for figure, each in zip(ACTORS, enacted, strict=True):
        joints, height = each.skeleton.joints, draw_body(figure).height
        pelvis = joints["pelvis"]
        assert np.abs(pelvis[:, 0]).max() < 0.85 * height
        assert np.abs(pelvis[:, 2]).max() < 0.6 * height
        assert speeds(pelvis).max() < 6
        assert speeds(pelvis[:, [0, 2]]).max() < 4
        ends = [event.end - 1 for event in each.events if event.label == "sit_down"]
        assert np.linalg.norm(pelvis[ends] - each.seat, axis=1).max() < 0.08
        free = ~holds(each, *ACTIONS)
        # The last movement still fades in the first frames of a pause.
        still = free[1:] & free[:-1] & np.append(np.zeros(6, bool), free[:-7])
        assert 0.15 < free.mean() < 0.5
        assert speeds(pelvis)[still].max() < 0.35
        hands = np.maximum(*(joints[f"{side}_hand"][:, 1] for side in SIDES))
        assert not (hands > 0.9 * height)[free].any()
        away = speeds(pelvis[:, [0, 2]]) > 0.4
        walking = holds(each, "walk")[1:]
        assert away[walking].mean() > 0.3
        assert away[~walking & ~holds(each, "jump", "kick", "squat")[1:]].mean() < 0.1
        both = holds(each, "walk") & holds(each, "wave")
        if both.sum() > 2 * FPS:
            assert hands[both].max() > 0.95 * height


def test_every_action_is_done_several_times_and_only_gestures_and_walks_at_once(enacted):
    together = 0
    for each in enacted:
        labels = [event.label for event in each.events]
        assert set(labels) == set(ACTIONS)
        assert min(collections.Counter(labels).values()) >= 2
        for first, second in ORDER_PAIRS:
            pair = [label for label in labels if label in (first, second)]
            assert pair == [first, second] * (len(pair) // 2)
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
        for label in ACTIONS:  # Two of one never meet.
            alike = [event for event in events if event.label == label]
            assert min(b.start - a.end for a, b in itertools.pairwise(alike)) > 0
    assert together >= len(enacted)
    assert len({tuple(event.label for event in each.events) for each in enacted}) == len(enacted)


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


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Three short recordings, one a split."""
    directory = tmp_path_factory.mktemp("recordings")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr("pipeline.sources.demo.render.run_in_workers", run_here)
        render_recordings(directory, num_figures=3)
    return directory


def test_recordings_show_what_was_acted_and_are_completed(rendered, small, tmp_path):
    recordings = read_events(rendered / EVENTS)
    figures = [f"figure0{number}" for number in range(3)]
    assert [each.media.partition(".")[0] for each in recordings] == figures
    splits = list(zip(figures, SPLITS, strict=True))
    assert [(each.group, each.split) for each in recordings] == splits
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
    shown = np.stack(list(iter_frames(rendered / read.media))).astype(int)
    assert np.abs(shown[0] - next(recording.frames())).mean() < 14
    corner = shown[:, :12].mean(axis=(1, 2, 3))  # above the figure, where the camera stays
    assert np.ptp(corner) < 4
    # What a killed run left is completed.
    directory = shutil.copytree(rendered, tmp_path / "recordings")
    done, unfinished = (next(directory.glob(f"figure0{n}.[am]*")) for n in (0, 1))
    modified = done.stat().st_mtime_ns
    unfinished.unlink()
    (directory / EVENTS / "figure00.csv").unlink()
    (directory / ".figure01.12.partial.mp4").write_bytes(b"half a recording")
    render_recordings(directory, num_figures=3)
    render_recordings(directory, num_figures=3)
    assert contents(directory) == contents(rendered)
    assert modified != done.stat().st_mtime_ns  # without its events it is rendered again


def test_the_source_reads_its_recordings(rendered, monkeypatch, tmp_path, in_this_process):
    seen = []
    monkeypatch.setattr(
        "pipeline.sources.demo.render.render_recordings",
        lambda folder, **options: seen.append((folder, options)),
    )
    monkeypatch.setattr("pipeline.sources.reading.folder_of_videos", lambda _: rendered)
    config = PrepareConfig(source="demo_recordings", out=str(tmp_path), seed=3, workers=1)
    whole = scan_events(rendered / EVENTS, rendered, background="background")
    assert read_manifest(config) == whole
    cut = read_manifest(dataclasses.replace(config, cut_events=True))
    assert cut == scan_events(rendered / EVENTS, rendered, cut=True)
    assert seen == [(rendered, {"seed": 3, "workers": 1})] * 2
    assert not crossing(cut.rows)
    splits = {(f"figure0{n}", split) for n, split in enumerate(SPLITS)}
    assert {(row.group, row.split) for row in cut.rows} == splits
    assert {row.label for row in cut.rows} >= {"kick", "pick_up", "put_down", "sit_down"}
    config = PrepareConfig(source="demo_recordings")
    assert config.out == "data/demo_recordings"
    assert PrepareConfig(source="demo_recordings", out="data/x").out == "data/x"
    assert folder_of_videos(config) == Path("data/demo_recordings/videos").absolute()
    for wrong in ({"path": "x"}, {"videos": "x"}, {"folds": 2}, {"classes": ("walk",)}):
        with pytest.raises(ConfigError, match="is for your own videos|--classes needs --out"):
            PrepareConfig(source="demo_recordings", **wrong)


def test_another_seed_replaces_recordings_and_most_figures_are_for_training(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.sources.demo.render.run_in_workers", lambda *_, **__: [])
    render_recordings(tmp_path)
    old = tmp_path / EVENTS / "figure07.csv"
    for seed, stays in ((0, True), (1, False)):
        old.touch()
        render_recordings(tmp_path, seed=seed)
        assert old.exists() == stays
    rows = render_demo(tmp_path).rows
    figures = {split: len({row.group for row in rows if row.split == split}) for split in SPLITS}
    assert figures == {"train": 72, "val": 12, "test": 12}
    assert len(rows) == 96 * len(ACTIONS)
