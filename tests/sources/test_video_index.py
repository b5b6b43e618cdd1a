from __future__ import annotations

import pytest

from pipeline.manifest.rows import Row
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.video_index import VideoIndex


def test_finds_videos_by_name(touch):
    root = touch("b/X.AVI", "a/x.webm", "notes/y.txt", ".hidden/z.avi")
    index = VideoIndex(root, example="x.avi")

    assert [str(file) for file in index.files] == ["a/x.webm", "b/X.AVI"]
    assert index.locate("c/x.avi") == str(root / "a/x.webm")
    assert index.locate("c/X.avi") == str(root / "b/X.AVI")
    assert index.locate("c/y.avi", "other", "X") == str(root / "b/X.AVI")
    assert index.locate("c/y.avi") == str(root / "c/y.avi")


def test_two_videos_of_one_name(touch):
    root = touch("b/X.AVI", "a/x.webm")
    index = VideoIndex(root, example="x.avi", ignore_case=True)
    path = index.locate("X.mp4")

    assert path == str(root / "a/x.webm")
    with pytest.warns(LeftOutWarning, match="left out 1 video .*: b/X.AVI"):
        index.manifest([Row(path=path, label="x", group="x")])
