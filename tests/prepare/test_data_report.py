"""The report on a data set, by hand."""

from markdown_it import MarkdownIt

from pipeline.manifest.rows import Row
from pipeline.prepare.data_report import as_markdown, describe
from pipeline.prepare.plan import SourceVideo, VideoReport

NOTHING = {"added": [], "changed": [], "removed": []}


def video(name, split="train", group="ann", **report):
    row = Row(path=f"/v/{name}", label=name.split("/")[0], group=group, split=split)
    source = SourceVideo(row=row, file=name, num_bytes=1, modified_ns=2)
    values = {"decoded_frames": 20, "declared_frames": 20, "fps": 10.0, "codec": "mp4v"}
    values |= {"width": 320, "height": 240, "duration_seconds": 2.0, **report}
    return source, VideoReport(name=name, **values)


VIDEOS = [
    video("run/1", group="ann"),
    video("run/2", group="bob", duration_seconds=7.0, fps=30.0, width=64),
    video("run/3", group="bob", codec="ffv1", decoded_frames=18, missing_frames=2),
    video("wa|k/1", group="ann", decoded_frames=5, damaged=True),
    video("wa|k/2", "test", "cid", damaged=True, damage="its clock jumps"),
    video("run/4", "test", "cid", problem="unreadable", reason="it is empty"),
    video("run/5", "test", "ann", decoded_frames=18),  # for whose time there are frames
]
REPORT = describe(VIDEOS, ["a leak"], {**NOTHING, "added": ["run/5"]}, ["a copy"])


def test_a_random_split_would_have_leaked():
    """Six groups of ten videos each: hardly a test video could be alone."""
    numbers = [(group, index) for group in range(6) for index in range(10)]
    splits = ["train"] * 5 + ["test"]
    videos = [video(f"run/{group}{index}", splits[group], f"g{group}") for group, index in numbers]
    found = describe(videos, [], NOTHING)["random_split"]
    assert found == {"num_test": 10, "beside_their_group": 10}
    splits = ["train"] * 10 + ["test"] * 2
    alone = [video(f"run/{index}", splits[index], f"g{index}") for index in range(12)]
    assert describe(alone, [], NOTHING)["random_split"] == {"num_test": 2, "beside_their_group": 0}


def test_names_are_text_on_the_page():
    name = "a`![x](http://b)<img src=x>"
    videos = [
        video(f"{name}/{number}", split, codec=name, damage=name, decoded_frames=frames)
        for number, (split, frames) in enumerate([("train", 20), ("train", 5), ("test", 90)])
    ]
    videos += [video(f"{name}2/1", problem="unreadable", reason=name), video(f"{name}3/1")]
    report = describe(videos, [name], {"added": [name]}, [name])
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(as_markdown(report))
    assert page.count("<code>") == page.count("</code>") >= 5
    assert "<img" not in page
    assert "<a" not in page


def test_the_page():
    lines = as_markdown(REPORT).splitlines()
    wanted = (
        "6 videos of 3 groups, 17.0 s; 1 left out.",
        "| run | 3 | 2 | 11.0 s | 1 | 1 | 2.0 s |",
        "| wa\\|k | 1 | 1 | 2.0 s | 1 | 1 | 2.0 s |",
        "| **all** | 4 | 2 | 13.0 s | 2 | 2 | 4.0 s |",
        "| length in seconds | 2 | 2 | 7 |",
        "| frames per second | 10 | 10 | 30 |",
        "| width in pixels | 64 | 320 | 320 |",
        "| height in pixels | 240 | 240 | 240 |",
        "Codecs: mp4v (5), ffv1 (1).",
        "Imbalance: `run` has 3 times as many training videos as `wa|k`.",
        *("- a leak", "- a copy", "- `run/4`: it is empty", "- added: `run/5`"),
    )
    assert [line for line in wanted if line not in lines] == []
    fewer = lines[lines.index("## Fewer frames than declared") + 2 :]
    assert fewer[0] == "- `wa|k/1`: 5 of 20 frames, damaged or shorter than asked"
    assert fewer[1:3] == ["- `run/3`: 18 of 20 frames", ""]
    assert lines[lines.index("## Clocks that jump") + 2] == "- `wa|k/2`"
    nothing_new = as_markdown(describe([video("run/1"), video("walk/1")], [], {}))
    assert "## Since the last time" not in nothing_new
    assert "Imbalance: none, all classes have as many training videos." in nothing_new
    videos = [video(f"run/{n}", problem="missing", reason="gone") for n in range(30)]
    many = as_markdown(describe(videos, [], NOTHING)).splitlines()
    assert sum("gone" in line for line in many) == 20
    assert "- and 10 more, all of them in `data_report.json`" in many
    for videos in ([], [video("run/1", "")]):
        report = describe(videos, [], NOTHING)
        assert report["splits"] == {}
        assert "random_split" not in report
        assert as_markdown(report).startswith("# Data report")
