"""`clipline COMMAND`, and the same commands as files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import benchmark
from pipeline.cli.__main__ import COMMANDS
from pipeline.cli.commands import run_named
from pipeline.errors import ConfigError
from pipeline.text import command

ROOT = Path(__file__).parents[2]


def clipline(*arguments, cwd=None):
    words = [sys.executable, "-m", "pipeline.cli", *arguments]
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, check=False)


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


@pytest.mark.parametrize(
    "command", ["", "evaluate", "classify", "stream", "explain", "export", "benchmark"]
)
def test_help_imports_nothing_heavy(command):
    code = f"""
import sys
before = set(sys.modules)
from pipeline.cli.__main__ import main
sys.argv = {["clipline", *command.split(), "--help"]}
try:
    main()
except SystemExit as end:
    assert not end.code
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(new - set(sys.stdlib_module_names)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.split() == ["pipeline"]
    assert f"clipline {command}" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "clipline: unknown command trian. Did you mean train?"),
        (["--train"], "clipline: unknown command --train. Did you mean train?"),
        (["benchmark", "decod"], "clipline: unknown command decod. Did you mean decode?"),
        (["--versio"], "clipline: unknown command --versio. Did you mean --version?"),
        (["benchmark", "foo"], "clipline: unknown command foo. Expected one of decode, step, "),
        (
            ["train", "data/ut"],
            "clipline: unrecognized arguments: data/ut. Did you mean --data dat",
        ),
        (["prepare", "a b"], "clipline: unrecognized arguments: a b. Did you mean --path 'a b'?"),
        (["evaluate", "a", "b"], "clipline: a: no trained model here, config.toml is missing. "),
        (["export", "a", "b"], "clipline: unrecognized arguments: b. See clipline export --help"),
        (["train", "-x"], "clipline: unrecognized arguments: -x. See clipline train --help"),
        (["preview", "a", "--data", "b"], "clipline: expected one data set, got a and b"),
        (["evaluate", "runs/none"], "clipline: runs/none: no trained model here"),
    ],
)
def test_a_mistake_ends_in_one_line_and_code_2(words, message, tmp_path):
    result = clipline(*words, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(message)


def test_the_version():
    assert re.fullmatch(r"clipline \d+\.\d+\.\d+\n", clipline("--version").stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_names_the_command(name):
    result = clipline(name, "--help")
    assert result.returncode == 0, result.stderr
    assert f"clipline {name}" in result.stdout


def test_an_unknown_command_is_not_imported():
    with pytest.raises(ConfigError, match="unknown command os"):
        run_named(["os"], COMMANDS, "", "")


def completions(line, folder):
    """What the Tab key offers at the end of a line."""
    found = folder / "found"
    found.touch()
    environment = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(found),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    command = [sys.executable, "-m", "pipeline.cli"]
    subprocess.run(command, env={**os.environ, **environment}, check=True)
    return [word.strip() for word in found.read_text().split("\n")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("clipline cl", ["classify"]),
        ("clipline benchmark de", ["decode"]),
        ("clipline classify --run", ["--run", "--runtime", "--runner"]),
        (
            "clipline train --temporal.kind ",
            ["lstm", "bilstm", "gru", "conv1d_lstm", "tcn", "mean", "stats"],
        ),
        ("clipline prepare --source ka", [""]),
        ("clipline prepare --source ki", ["kinetics"]),
        ("clipline benchmark decode --re", ["--repeats"]),
    ],
)
def test_the_tab_key_completes(line, expected, tmp_path):
    assert completions(line, tmp_path) == expected


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
