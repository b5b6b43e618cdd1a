"""The demo videos: bodies that hold together, actions told apart by what they should be, files."""

import collections
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.manifest.rows import SPLITS
from pipeline.prepare.leaks import crossing
from pipeline.sources.demo.actions import ACTIONS, ORDER_PAIRS, perform
from pipeline.sources.demo.figure import (
    DOFS,
    SIDES,
    SOLES,
    Body,
    forward_kinematics,
    mirrored,
    pose,
)
from pipeline.sources.demo.render import render_demo
from pipeline.sources.demo.takes import MAX_FRAMES, MIN_FRAMES, Take
from pipeline.video import iter_frames, probe

FORWARD = sorted(set(ACTIONS) - {"put_down", "stand_up"})
FIGURES = range(4)
BONES = {
    ("hip", "knee"): "thigh",
    ("knee", "ankle"): "shin",
    ("shoulder", "elbow"): "upper_arm",
    ("elbow", "wrist"): "forearm",
    ("wrist", "hand"): "hand",
    ("heel", "toe"): "foot",
}


def draw_body(figure):
    return Body.draw(np.random.default_rng(figure))


def act(action, figure, num_frames=40):
    return perform(action, draw_body(figure), num_frames, 25, np.random.default_rng(figure))


def distance(joints, a, b):
    return np.linalg.norm(joints[a] - joints[b], axis=1)


def soles(performance):
    return np.stack([performance.skeleton.joints[name] for name in SOLES], axis=1)


def contents(manifest):
    return {row.path: Path(row.path).read_bytes() for row in manifest.rows}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Three figures, one a split, rendered in this process."""
    directory = tmp_path_factory.mktemp("demo")
    return directory, render_demo(directory, workers=1, num_figures=3)


def test_bones_keep_their_lengths_in_any_pose():
    body = draw_body(0)
    angles = np.random.default_rng(0).uniform(-2, 2, (50, len(DOFS)))
    joints = forward_kinematics(body, angles).joints
    for side in SIDES:
        for (start, end), bone in BONES.items():
            lengths = distance(joints, f"{side}_{start}", f"{side}_{end}")
            np.testing.assert_allclose(lengths, getattr(body, bone), rtol=1e-9)


@pytest.mark.parametrize(
    ("degrees", "joint", "axis", "sign"),
    [
        ({"hip": 60}, "left_knee", 2, 1),  # a thigh is raised to the front
        ({"knee": 60}, "left_ankle", 2, -1),  # a knee bends to the back
        ({"elbow": 60}, "right_wrist", 2, 1),  # an elbow bends to the front
        ({"abduct": 60}, "left_elbow", 0, 1),  # an arm is spread outwards, to the left
        ({"abduct": 60}, "right_elbow", 0, -1),  # or to the right
        ({"lean": 60}, "head", 2, 1),  # a bow goes to the front
        ({"foot": 30}, "left_toe", 1, 1),  # a foot is raised at the toes
    ],
)
def test_joints_bend_the_right_way(degrees, joint, axis, sign):
    bent, straight = (
        forward_kinematics(draw_body(0), pose(angles)[None]).joints[joint][0, axis]
        for angles in (degrees, {})
    )
    assert sign * (bent - straight) > 0.05


def test_mirroring_swaps_the_sides():
    angles = np.random.default_rng(0).uniform(-1, 1, (5, len(DOFS)))
    joints, image = (
        forward_kinematics(draw_body(0), each).joints for each in (angles, mirrored(angles))
    )
    np.testing.assert_allclose(image["left_hand"], joints["right_hand"] * [-1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(image["right_toe"], joints["left_toe"] * [-1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(image["head"], joints["head"] * [-1, 1, 1], atol=1e-12)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("action", FORWARD)
def test_soles_touch_the_floor_and_are_never_below(action, figure):
    lowest = soles(act(action, figure))[:, :, 1].min(axis=1)
    if action == "jump":
        assert lowest.max() > 0.1
    else:
        np.testing.assert_allclose(lowest, 0, atol=1e-9)
    assert lowest.min() > -1e-9


@pytest.mark.parametrize("action", FORWARD)
def test_a_foot_on_the_floor_does_not_slide(action):
    points = soles(act(action, 1))
    standing = np.argmin(points[1:, :, 1] + points[:-1, :, 1], axis=1)
    steps = np.diff(points, axis=0)[np.arange(len(standing)), standing]
    assert np.abs(steps[:, [0, 2]]).max() < 1e-9


@pytest.mark.parametrize("figure", FIGURES)
def test_actions_do_what_their_names_say(figure):
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


@pytest.mark.parametrize("figure", FIGURES)
def test_a_carton_rests_and_is_then_between_the_hands(figure):
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
def test_the_actions_of_an_order_pair_are_each_other_backwards(one, other):
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


def test_every_file_decodes_to_its_frames(rendered):
    _, manifest = rendered
    for row in manifest.rows:
        form = Take(0, row.label, int(row.group.removeprefix("figure"))).format()
        info = probe(row.path, count_frames=True)
        assert (info.num_frames, info.fps) == (form.num_frames, form.fps)
        assert (info.width, info.height) == form.size


def test_files_show_what_was_rendered(rendered):
    _, manifest = rendered
    for row in manifest.rows[::7]:
        frame = next(Take(0, row.label, int(row.group.removeprefix("figure"))).frames())
        decoded = next(iter_frames(row.path))
        assert np.abs(decoded.astype(int) - frame).mean() < 12


def test_splits_share_no_figure_and_have_every_action(rendered):
    _, manifest = rendered
    assert not crossing(manifest.rows)
    found = collections.Counter((row.split, row.label) for row in manifest.rows)
    assert found == dict.fromkeys([(split, action) for split in SPLITS for action in ACTIONS], 1)
    assert len(manifest.groups) == 3


def test_three_quarters_of_the_figures_are_for_training(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.sources.demo.render.run_in_workers", lambda *_, **__: [])
    rows = render_demo(tmp_path).rows
    figures = {split: {row.group for row in rows if row.split == split} for split in SPLITS}
    assert {split: len(groups) for split, groups in figures.items()} == {
        "train": 72,
        "val": 12,
        "test": 12,
    }
    assert len(rows) == 96 * len(ACTIONS)


def test_a_killed_run_leaves_no_process_and_is_completed_to_the_same_bytes(rendered, tmp_path):
    _, whole = rendered
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.sources.demo.render import render_demo\n"
        "if __name__ == '__main__': render_demo(Path(sys.argv[1]), workers=2, num_figures=3)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    directory = tmp_path / "demo"
    run = subprocess.Popen([sys.executable, script, directory], stdout=subprocess.PIPE)
    while len(list(directory.glob("*/figure*"))) < 3:
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.communicate(timeout=20)  # ends when the last worker closed the pipe
    done = set(directory.glob("*/figure*"))
    assert 3 <= len(done) < len(whole.rows)
    left_over = directory / "wave" / ".figure00_0.1234.mp4"
    left_over.write_bytes(b"half a video")
    times = {path: path.stat().st_mtime_ns for path in done}

    manifest = render_demo(directory, workers=2, num_figures=3)

    assert list(contents(manifest).values()) == list(contents(whole).values())
    assert {path: path.stat().st_mtime_ns for path in done} == times
    assert not left_over.exists()


def test_another_seed_replaces_the_videos(rendered):
    directory, before = rendered
    first, files = contents(before), set(directory.glob("*/*"))
    after = render_demo(directory, seed=1, workers=2, num_figures=3)
    assert set(directory.glob("*/*")) == {Path(row.path) for row in after.rows} != files
    assert not set(contents(after).values()) & set(first.values())
