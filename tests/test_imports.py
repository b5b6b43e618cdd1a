"""The layers of the package: imports go one way, and what must stay light does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

ROOT = Path(pipeline.__file__).parent
LAYERS = ["video", "data", "models", "training", "evaluation", "experiments", "inference"]
CV2_FOR_DRAWING = "sources/demo/"
WITHOUT_TENSORFLOW = [
    "pipeline",
    "pipeline.cli.script",
    "pipeline.config",
    "pipeline.config.file",
    "pipeline.config.prepare",
    "pipeline.run",
    "pipeline.video",
    "pipeline.dataset.augment",
    "pipeline.sources.download",
    "pipeline.prepare.duplicates",
    "pipeline.video.stored_frames",
    "pipeline.prepare.leaks",
    "pipeline.manifest.rows",
    "pipeline.prepare.preparation",
    "pipeline.dataset.sampling",
    "pipeline.prepare.shard_writer",
    "pipeline.sources",
    "pipeline.sources.demo",
    "pipeline.manifest.split",
    "pipeline.prepare.prepared",
    "pipeline.dataset.unprepared",
    "pipeline.evaluation.metrics",
    "pipeline.evaluation.calibration",
    "pipeline.inference.classifier",
    "pipeline.inference.decoding",
    "pipeline.inference.many",
    "pipeline.cli.classify",
    "pipeline.inference.timeline",
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


def layer(parts):
    return LAYERS.index(parts[0]) if parts and parts[0] in LAYERS else None


def test_imports_go_one_way():
    seen = 0
    for path in modules():
        if path == ROOT / "__init__.py":  # It names what is public, wherever that is.
            continue
        here = layer(path.relative_to(ROOT).parts)
        for name in imported(path):
            there = layer(name.split(".")[1:]) if name.startswith("pipeline.") else None
            if there is None:
                continue
            seen += 1
            assert here is not None, f"{path} lies under all layers but imports {name}"
            assert there <= here, f"{path} imports {name}, which comes after it"
    assert seen > 20


def test_cv2_decodes_and_encodes_in_video_alone():
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        if relative.startswith(("video/", CV2_FOR_DRAWING)):
            continue
        assert "cv2" not in set(imported(path)), relative


def test_classifying_takes_numpy_opencv_and_litert_alone():
    """What a machine that only classifies has to install."""
    allowed = {"numpy", "cv2", "ai_edge_litert", "pipeline"}
    code = """
import sys
before = set(sys.modules)
import pipeline.cli.script, pipeline.inference.litert, pipeline.cli.classify
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(name for name in new if name not in sys.stdlib_module_names))
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = set(result.stdout.split())
    # What LiteRT brings along.
    assert found - {"flatbuffers", "backports", "google", "typing_extensions"} <= allowed


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_no_tensorflow_is_imported_by(module):
    code = f"import {module}, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_asserted_in_the_package():
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path
