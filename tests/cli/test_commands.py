"""`clipline COMMAND`, the same commands as files, and how each of them ends."""

import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pipeline.cli import benchmark
from pipeline.cli.__main__ import COMMANDS, main
from pipeline.cli.commands import run_named
from pipeline.cli.script import run_script
from pipeline.config import TemporalConfig
from pipeline.errors import DataError
from pipeline.text import command

ROOT = Path(__file__).parents[2]


def python(*words, **options):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, **options)


@pytest.fixture
def ended(capsys, monkeypatch):
    """Calls what leaves, as the command of some words: its exit code, output and errors."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # which it changes

    def call(leave, *words):
        monkeypatch.setattr(sys, "argv", [*words])
        with pytest.raises(SystemExit) as end:
            leave()
        return (end.value.code, *capsys.readouterr())

    return call


def test_each_command_is_a_module_and_a_file():
    for name in COMMANDS:
        assert (ROOT / "pipeline" / "cli" / f"{name}.py").is_file()
    assert {file.stem for file in (ROOT / "scripts").glob("*.py")} == set(COMMANDS)
    for name in benchmark.COMMANDS:
        assert (ROOT / "pipeline" / "cli" / "benchmarks" / f"{name}.py").is_file()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_has_a_line_for_each_command(words, capsys):
    run_named(words, COMMANDS, "pipeline.cli", "first\n{commands}\nlast\n")
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("first", "last")
    assert [line.split()[0] for line in lines] == list(COMMANDS)


def test_help_and_the_version_import_nothing_heavy():
    code = """
import contextlib, io, sys
before = set(sys.modules)
from pipeline.cli.__main__ import main
for command in ("--version", "evaluate", "classify", "stream", "explain", "export", "benchmark"):
    sys.argv = ["clipline", command, "--help"]
    with contextlib.suppress(SystemExit):
        main()
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(command, *sorted(new - set(sys.stdlib_module_names)), file=sys.stderr)
"""
    done = python("-c", code)
    lines = done.stderr.splitlines()
    assert len(lines) == 7
    assert {line.split(maxsplit=1)[-1] for line in lines} == {"pipeline"}
    assert re.match(r"clipline \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_names_the_command(name, ended):
    code, out, _ = ended(main, "clipline", name, "--help")
    assert code == 0
    assert f"clipline {name}" in out
    script = ROOT / "scripts" / f"{name}.py"
    code, out, _ = ended(lambda: runpy.run_path(script, run_name="__main__"), str(script), "--help")
    assert code == 0
    assert f"{name}.py" in out


NO_RUN = "no trained model here, config.toml is missing. "


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command trian. Did you mean train?"),
        (["--versio"], "unknown command --versio. Did you mean --version?"),
        (["benchmark", "decod"], "unknown command decod. Did you mean decode?"),
        (["benchmark", "foo"], "unknown command foo. Expected one of decode, step, "),
        (["train", "data/ut"], "unrecognized arguments: data/ut. Did you mean --data data/ut?"),
        (["train", "-x"], "unrecognized arguments: -x. See clipline train --help"),
        (["prepare", "a b"], "unrecognized arguments: a b. Did you mean --path 'a b'?"),
        (["prepare", "--pth", "x"], "command line: unknown --pth. Did you mean --path?"),
        (["prepare", "--path", "x"], "--path is for your own videos: add --source folder"),
        (["prepare", "--source", "folder"], "--source folder needs --path"),
        (["preview", "a", "--data", "b"], "expected one data set, got a and b"),
        (["evaluate"], "no trained run in runs/"),
        (["evaluate", "a", "b"], f"a: {NO_RUN}"),
        (["evaluate", "runs/none"], f"runs/none: {NO_RUN}"),
        (["evaluate", "--run", "runs/none"], f"runs/none: {NO_RUN}"),
        (["evaluate", "runs/a", "--run", "runs/b"], "expected one run, got runs/a and runs/b"),
        (["export", "a", "b"], "unrecognized arguments: b. See clipline export --help"),
        (["classify", "--top", "0", "a.mp4"], "--top: expected a whole number above 0, got 0"),
        (["classify", "--", "--a.mp4"], "no trained run in runs/"),
        (["classify", "a.mp4", "--run", "runs/none"], f"runs/none: {NO_RUN}"),
        (["stream", "0", "rtsp://ann:secret@camera/1"], "unrecognized arguments: rtsp://***@cam"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line_and_code_2(words, message, ended, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = ended(main, "clipline", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith(f"clipline: {message}")


COMPLETIONS = {
    "clipline cl": ["classify"],
    "clipline benchmark de": ["decode"],
    "clipline classify --run": ["--run", "--runtime", "--runner"],
    "clipline train --temporal.kind ": [*get_args(get_type_hints(TemporalConfig)["kind"])],
    "clipline prepare --source ka": [""],
    "clipline prepare --source ki": ["kinetics"],
    "clipline benchmark decode --re": ["--repeats"],
}


def test_the_tab_key_completes(tmp_path):
    """In a process for each line, which ends as soon as it has said how the line goes on."""
    code = """
import os, sys
from pipeline.cli.__main__ import main
for number, line in enumerate(sys.argv[1:]):
    if not os.fork():
        os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
        os.environ["_ARGCOMPLETE_STDOUT_FILENAME"] = str(number)
        main()
    os.wait()
"""
    shell = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_TYPE": "9"}
    for number in range(len(COMPLETIONS)):
        (tmp_path / str(number)).touch()
    python("-c", code, *COMPLETIONS, env={**os.environ, **shell}, cwd=tmp_path, check=True)
    found = [
        [word.strip() for word in (tmp_path / str(number)).read_text().split("\n")]
        for number in range(len(COMPLETIONS))
    ]
    assert dict(zip(COMPLETIONS, found, strict=True)) == COMPLETIONS


def test_the_next_command_is_one_that_works(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/clipline", "train"])
    assert command("evaluate", "runs/a b") == "clipline evaluate 'runs/a b'"
    script = ROOT / "scripts" / "train.py"
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert command("evaluate", "runs/a") == f"python {script.with_name('evaluate.py')} runs/a"
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["scripts/train.py"])
    assert command("evaluate") == "python scripts/evaluate.py"
    monkeypatch.setattr(sys, "argv", [""])
    assert command("evaluate") == "clipline evaluate"


def test_an_error_ends_a_script_in_one_line_and_code_2(ended):
    def fail(error):
        raise error

    for error, line in (
        (ModuleNotFoundError(name="nopackage.x"), "this takes the package nopackage, which .*"),
        (FileNotFoundError(2, "No such file", "/none/x"), "/none/x: No such file"),
        (MemoryError(), "out of memory"),
        (
            DataError("d\x1b]0;e\x07\nf \u202eg \udc80"),
            re.escape("d\\u001b]0;e\\u0007\\u000af \\u202eg \\udc80"),
        ),
    ):
        code, out, err = ended(lambda error=error: run_script(lambda _: fail(error)))
        assert (code, out) == (2, "")
        assert re.fullmatch(f"clipline: {line}\n", err)
    # Nor do names command a terminal.
    code, out, _ = ended(lambda: run_script(lambda _: print("a\x1b[2J\x9b1mb", end="\tc\n")))
    assert (code, out) == (0, "a\\u001b[2J\\u009b1mb\tc\n")


def test_a_reader_that_stops_reading_is_no_mistake():
    script = "run_script(lambda _: print('line\\n' * 100_000))"
    code = f"from pipeline.cli.script import run_script; {script}"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_ctrl_c_while_a_script_still_imports_ends_in_one_line_and_other_errors_are_shown(tmp_path):
    slow = "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(60)\n"
    (tmp_path / "slow.py").write_text(slow)
    code = "from pipeline.cli.script import run_script; import slow; print('imported')"
    result = python("-c", code, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")
    result = python("-c", "import pipeline.cli.script; import pipeline.nothing")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "No module named 'pipeline.nothing'" in result.stderr
