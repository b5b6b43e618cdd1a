"""The built package, installed beside nothing of the checkout, classifies a video."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the unpacked source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", folder]
    run(*build, "--target", "sdist", cwd=ROOT)
    (archive,) = folder.glob("clipline-*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    run(*build, "--target", "wheel", cwd=folder / archive.name.removesuffix(".tar.gz"))
    (wheel,) = folder.glob("clipline-*.whl")
    return wheel


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    files = (path for path in (ROOT / "pipeline").rglob("*") if "__pycache__" not in path.parts)
    assert set(names) == {path.relative_to(ROOT).as_posix() for path in files if path.is_file()}
    assert "pipeline/config/presets/demo.toml" in names
    assert "pipeline/evaluation/templates/report.html" in names


def test_the_installed_command_classifies(wheel, hasty_run, blob_videos, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*install, "--disable-pip-version-check", "--target", target, wheel)
    bundle = tmp_path / "run"
    bundle.mkdir()
    for name in ("model.tflite", "bundle.json"):
        shutil.copy(hasty_run.folder / name, bundle)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    video = next(blob_videos.glob("left/*.avi"))

    def clipline(*words):
        command = target / "bin" / "clipline"
        return run(sys.executable, command, *words, cwd=tmp_path, env=environment)

    assert clipline("classify", video, "--run", bundle).startswith(f"{video}: ")
    assert "pretrained" in clipline("train", "--help")
    code = "import pipeline; print(pipeline.__file__)"
    where = run(sys.executable, "-c", code, cwd=tmp_path, env=environment)
    assert where.strip() == str(target / "pipeline" / "__init__.py")
