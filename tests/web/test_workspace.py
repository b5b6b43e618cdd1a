import pytest

from pipeline.errors import DataError
from pipeline.web.errors import OutsideError
from pipeline.web.workspace import Workspace


@pytest.fixture
def root(tmp_path):
    """A workspace with something beside it that is not for it."""
    root = tmp_path / "work"
    (root / "lab" / "day 1").mkdir(parents=True)
    (root / "runs" / ".cache").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    files = "../secret/s.mp4", "a.mp4", "lab/day 1/ü.AVI", "notes.txt", ".hidden.mp4"
    for name in (*files, "runs/.cache/b.mp4"):
        (root / name).write_bytes(b"x")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "out.mp4").symlink_to(tmp_path / "secret" / "s.mp4")
    (root / "in.mp4").symlink_to(root / "a.mp4")
    (root / "circle.mp4").symlink_to(root / "circle.mp4")
    return root


def test_what_is_inside(root, tmp_path):
    workspace = Workspace(root)
    assert workspace.video("lab/day 1/ü.AVI") == root / "lab" / "day 1" / "ü.AVI"
    assert workspace.video("in.mp4") == root / "in.mp4"
    assert workspace.folder("") == root
    assert workspace.videos("") == ["a.mp4", "in.mp4"]
    assert workspace.videos("lab/day 1") == ["ü.AVI"]
    found = workspace.video_folders()
    assert [(each.name, each.num_videos) for each in found] == [("", 4), ("lab/day 1", 1)]
    with pytest.raises(DataError, match="none: expected a folder"):
        Workspace(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path)
    assert Workspace(tmp_path / "link").root == tmp_path.resolve()


@pytest.mark.parametrize(
    "name",
    [
        *("../secret/s.mp4", "lab/../../secret/s.mp4", "..", "/etc/passwd", "//etc/passwd"),
        *("out/s.mp4", "out.mp4", "out", "circle.mp4", ".hidden.mp4", "a.mp4\0", "a.mp4/b.mp4"),
        *("..\\secret\\s.mp4", "lab\n", "%2e%2e/secret/s.mp4", "none.mp4", "notes.txt", "lab"),
        *("", "a" * 5000, "\udce4.mp4"),
    ],
)
def test_what_is_not_a_video_inside(root, name):
    with pytest.raises(OutsideError, match="no such"):
        Workspace(root).video(name)
