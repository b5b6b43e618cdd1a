"""The layers of the package: imports go one way, and what must stay light does."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pipeline

ROOT = Path(pipeline.__file__).parent
ROOMS = [
    *("text", "errors", "atomic", "interrupt", "native_log", "importing", "figures", "locks"),
    *("progress", "user_cache", "spares", "video", "pose", "key_points", "foreign", "streams"),
    *("config", "run", "workers", "manifest", "sources", "prepare", "tasks", "dataset", "models"),
    *("training", "evaluation", "experiments", "inference", "labelling", "web", "cli"),
]
"""Modules and packages directly in the package; each imports only what stands before it."""

CV2_ELSEWHERE = ("video/", "sources/demo/", "cli/benchmarks/decode.py")
"""Besides the room that it is for: drawing, and comparing with it."""

WITHOUT_TENSORFLOW = [
    "pipeline",
    "pipeline.cli.script",
    "pipeline.config",
    "pipeline.config.file",
    "pipeline.config.prepare",
    "pipeline.run",
    "pipeline.streams",
    "pipeline.video",
    "pipeline.key_points",
    "pipeline.pose",
    "pipeline.pose.drawing",
    "pipeline.pose.fetch",
    "pipeline.foreign",
    "pipeline.foreign.litert",
    "pipeline.foreign.onnx",
    "pipeline.dataset.augment",
    "pipeline.sources.download",
    "pipeline.prepare.duplicates",
    "pipeline.prepare.stored_frames",
    "pipeline.prepare.leaks",
    "pipeline.manifest.rows",
    "pipeline.prepare.preparation",
    "pipeline.dataset.sampling",
    "pipeline.prepare.shard_writer",
    "pipeline.sources.reading",
    "pipeline.sources.demo.render",
    "pipeline.manifest.split",
    "pipeline.prepare.prepared",
    "pipeline.dataset.unprepared",
    "pipeline.evaluation.frame_scores",
    "pipeline.evaluation.metrics",
    "pipeline.tasks.calibration",
    "pipeline.inference.classifier",
    "pipeline.labelling.learning",
    "pipeline.inference.decoding",
    "pipeline.inference.many",
    "pipeline.cli.answers",
    "pipeline.cli.classify",
    "pipeline.cli.prepare",
    "pipeline.cli.train",
    "pipeline.cli.evaluate",
    "pipeline.cli.explain",
    "pipeline.cli.export",
    "pipeline.cli.crossval",
    "pipeline.cli.ablate",
    "pipeline.cli.preview",
    "pipeline.cli.stream",
    "pipeline.cli.timelines",
    "pipeline.inference.timeline",
    "pipeline.cli.serve",
    "pipeline.web.guard",
    "pipeline.web.programs.application",
    "pipeline.web.programs.models",
    "pipeline.web.server",
]


def modules():
    return sorted(ROOT.rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows():
    """Pairs of modules, the first of which imports the second, wherever in its text."""
    paths = {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in modules()
    }
    named = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    for name, path in named.items():
        for other in {each for each in imported(path) if each in named and each != name}:
            yield name, other


def room(name):
    return name.split(".")[1] if "." in name else ""


def test_every_room_has_its_place():
    assert sorted(ROOMS) == sorted({room(name) for arrow in arrows() for name in arrow} - {""})


def test_imports_go_one_way():
    for here, there in arrows():
        if here == "pipeline" or there == "pipeline":  # It names what is public, wherever that is.
            continue
        assert ROOMS.index(room(there)) <= ROOMS.index(room(here)), f"{here} imports {there}"


def test_no_circle_of_modules():
    needs = {}
    for here, there in arrows():
        needs.setdefault(here, set()).add(there)
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {error.args[1]}")


def test_cv2_decodes_and_encodes_in_video_alone():
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        if relative.startswith(CV2_ELSEWHERE):
            continue
        assert "cv2" not in set(imported(path)), relative


def packages_of(*names):
    """The packages that importing modules takes, without those of Python itself."""
    code = f"""
import sys
before = set(sys.modules)
import {", ".join(names)}
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(new - sys.stdlib_module_names - {{"__mp_main__"}}))
"""
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_a_worker_that_prepares_starts_with_little():
    needed = {"numpy", "cv2", "PIL", "google_crc32c", "google", "pipeline"}
    assert packages_of("pipeline.prepare.shard_writer") <= needed


def test_classifying_takes_numpy_opencv_and_litert_alone():
    """What a machine that only classifies has to install."""
    allowed = {"numpy", "cv2", "ai_edge_litert", "pipeline"}
    found = packages_of(
        "pipeline.cli.answers", "pipeline.cli.timelines", "pipeline.inference.litert"
    )
    # What LiteRT brings along.
    assert found - {"flatbuffers", "backports", "google", "typing_extensions"} <= allowed


def test_serving_takes_a_web_server_besides():
    """What the image of the Dockerfile has."""
    allowed = {"numpy", "cv2", "ai_edge_litert", "pipeline"}
    allowed |= {"starlette", "uvicorn", "python_multipart", "prometheus_client"}
    found = packages_of(
        "pipeline.cli.serve",
        "pipeline.inference.litert",
        *("pipeline.web.server", "pipeline.web.programs.application"),
    )
    # What these bring along.
    brought = {"flatbuffers", "backports", "google", "typing_extensions"}
    brought |= {"anyio", "sniffio", "idna", "click", "h11"}
    assert found - brought <= allowed


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_no_tensorflow_is_imported_by(module):
    code = f"import {module}, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_asserted_in_the_package():
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path


def test_classifying_files_takes_no_network():
    """`http.client` and all below it take longer to import than a short video to read."""
    code = "import pipeline.inference.classifier, sys; sys.exit('http.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
