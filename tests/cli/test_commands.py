"""`clipline COMMAND`, the same commands as files, their options, and how each of them ends."""

import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pipeline.cli import benchmark
from pipeline.cli.__main__ import COMMANDS, main
from pipeline.cli.commands import run_named
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.cli.script import Parser, run_script
from pipeline.config import BackboneConfig, TemporalConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
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


def test_each_command_is_a_module_a_file_and_a_line_of_the_help(capsys):
    for name in COMMANDS:
        assert (ROOT / "pipeline" / "cli" / f"{name}.py").is_file()
    assert {file.stem for file in (ROOT / "scripts").glob("*.py")} == set(COMMANDS)
    for name in benchmark.COMMANDS:
        assert (ROOT / "pipeline" / "cli" / "benchmarks" / f"{name}.py").is_file()
    for words in ((), ("--help",), ("-h",)):
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


def test_a_mistake_ends_in_one_line_and_code_2(ended, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, message in (
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
    ):
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
    other = shlex.quote(str(script.with_name("evaluate.py")))
    assert command("evaluate", "runs/a") == f"python {other} runs/a"
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["scripts/train.py"])
    assert command("evaluate") == "python scripts/evaluate.py"
    monkeypatch.setattr(sys, "argv", [""])
    assert command("evaluate") == "clipline evaluate"


def test_an_error_or_ctrl_c_ends_a_script_in_one_line_and_a_closed_pipe_in_none(ended, tmp_path):
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
    script = "run_script(lambda _: print('line\\n' * 100_000))"
    command = [sys.executable, "-c", f"from pipeline.cli.script import run_script; {script}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    # Ctrl-C while it still imports, also in a callback; other errors are for who was asked before.
    press = "signal.raise_signal(signal.SIGINT)"
    for line in (press, f"weakref.finalize(set(), lambda: {press})"):
        (tmp_path / "slow.py").write_text(f"import signal, time, weakref\n{line}\ntime.sleep(9)\n")
        code = "from pipeline.cli.script import run_script; import slow; print('imported')"
        result = python("-c", code, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")
    asked = "import sys; sys.excepthook = sys.unraisablehook = lambda error, *_: print('asked')"
    failing = "weakref.finalize(set(), lambda: 1 / 0); import pipeline.nothing"
    result = python("-c", f"{asked}; import pipeline.cli.script, weakref; {failing}")
    assert (result.returncode, result.stdout, result.stderr) == (1, "asked\nasked\n", "")


# Options.


def parse_run(*arguments):
    parser = ConfigParser("test", "train", "")
    parser.add_run_config(arguments)
    return run_config(parser.parse(arguments))


def parse_prepare(*arguments):
    parser = ConfigParser("test", "prepare", "")
    parser.add_fields(PrepareConfig)
    return parser.parse(arguments)


def test_a_preset_then_overrides_written_as_in_toml_and_texts_without_quotes():
    config = parse_run("--config", "small", "--data", "data/x", "--backbone.filters", "[4, 8]")
    assert (config.data, config.backbone.filters) == ("data/x", (4, 8))
    assert parse_run().data == "data/demo"
    assert parse_run("--config=small").data == ""
    assert parse_run("--data", "data/mine").evaluate.order_pairs == (), "of the small one"
    assert parse_run("--data=data/demo").evaluate.order_pairs
    words = {
        "data": "3",
        "train.balanced": "true",
        "train.learning_rate": "1e-3",
        "augment.flip": ".5",
        "augment.flip_labels": '[["left", "right"]]',
        "split.folds": "groups",
        "backbone.trainable": "2",
    }
    config = parse_run(*(f"--{key}={value}" for key, value in words.items()))
    assert (config.data, config.split.folds, config.backbone.trainable) == ("3", "groups", 2)
    assert (config.train.balanced, config.train.learning_rate) == (True, 0.001)
    assert (config.augment.flip, config.augment.flip_labels) == (0.5, (("left", "right"),))
    for word in ("rgb,flow", "rgb, flow", "[rgb, flow]"):
        assert parse_run("--model.streams", word).model.streams == ("rgb", "flow")
    assert parse_run("--model.streams=rgb").model.streams == ("rgb",)
    # The help gives defaults as they are typed.
    parser = ConfigParser("test", "train", "")
    parser.add_run_config([])
    parser.add_argument("--anew", action="store_true", help="A switch has no default.")
    text = " ".join(parser.format_help().split())
    assert "A switch has no default. " in f"{text} "
    assert "A switch has no default. (" not in text
    defaults = {"train.balanced": "false", "backbone.filters": "[16, 32, 64, 96]", "seed": "0"}
    for option, default in defaults.items():
        after = text[text.index(f"--{option} ") :]
        assert re.search(r"\(default: (.*?)\)", after)[1] == default


def test_a_backbone_for_a_stream(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("model.streams=['rgb','flow']\n[backbone.flow]\nname='MobileNetV2'\ngrid=2\n")
    words = ("--backbone.flow.grid=3", "--backbone.rgb.filters", "[4]", "--backbone.grid", "1")
    config = parse_run("--config", str(file), *words)
    flow = BackboneConfig(name="MobileNetV2", grid=3)
    assert config.backbones == {"flow": flow, "rgb": BackboneConfig(filters=(4,))}
    assert config.backbone_of("flow") == flow
    assert config.backbone_of("difference") == config.backbone == BackboneConfig(grid=1)
    assert parse_run("--config", str(file)).backbones["flow"].grid == 2
    file.write_text("[backbone.flow]\n")
    with pytest.raises(ConfigError, match="mine.toml: backbone.flow has no effect without flow"):
        parse_run("--config", str(file))


def test_options_of_a_flat_dataclass_with_dashes_and_lists():
    words = ["--source", "folder", "--path", "my videos", "--out", "data/mine", "--fps", "10"]
    config = PrepareConfig(**vars(parse_prepare(*words, "--test-groups", 'a, "b, c"')))
    assert (config.path, config.test_groups, config.fps) == ("my videos", ("a", "b, c"), 10.0)
    for words, message in (
        (["--classes", "kick,wave"], "--classes needs --out: data/demo is the demo with all"),
        (["--val-fraction", "few"], "^--val-fraction: expected a .*number"),
        (["--path", "x", "--test-groups", " ,"], "expected names with commas between them"),
        (["--runner", "beam", "--beam-options"], "beam.options.*expected"),
        (["--runner=beam", "--beam-options=X"], "--beam-options must be options of Beam, such as"),
    ):
        with pytest.raises(ConfigError, match=message):
            PrepareConfig(**vars(parse_prepare(*words)))
    # Options for Beam begin as options of this command do, and one even has the name of one.
    for options in ("--runner=FlinkRunner --parallelism=2", "--streaming"):
        for words in ([f"--beam-options={options}"], ["--beam-options", options]):
            found = parse_prepare("--path=x", "--runner", "beam", *words, "--out=y")
            assert (found.runner, found.beam_options, found.out) == ("beam", options, "y")


def test_mistakes_on_the_command_line():
    for arguments, message in (
        ("--temporal.unit 3", r"unknown --temporal.unit. Did you mean --temporal.units\?"),
        ("--temporal.units few", "^--temporal.units: expected a whole number. Received: 'few'"),
        ("--model.streams grey", r"model.streams must be one or more of rgb, .*: \['grey'\]"),
        ("--model.input both", "command line: model.input is now model.streams"),
        ("--train.averaging=0.9", "train.averaging is now train.ema_momentum"),
        ("--backbone.flow.grid 2", "command line: backbone.flow has no effect without flow in"),
        ("--backbone.grey.grid 2", "unknown --backbone.grey.grid"),
        ("--backbone.flow.gird 2", r"unknown --backbone.flow.gird. .* --backbone.flow.grid\?"),
        ("--split.folds ten", "split.folds: expected a whole number or one of groups. Rec"),
        ("--backbone.flow.grid few", "backbone.flow.grid: expected a whole number. Rec"),
        ("--model small", "unknown --model. Did you mean --model"),
        ("--frames.fps 3", "unknown --frames.fps"),
        (f"--train.learning_rate {'9' * 400}", "train.learning_rate: expected a number"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            parse_run(*arguments.split())
        assert "\n" not in str(caught.value)


def test_a_file_whose_name_begins_as_an_option_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-x.avi").touch()
    parser = Parser("test", "explain", "")
    parser.add_argument("video")
    with pytest.raises(ConfigError, match=r"^-x.avi .* Write ./-x.avi, or -- before it$"):
        parser.parse(["-x.avi"])
    for words in (["--", "-x.avi"], ["./-x.avi"], ["-"]):
        assert parser.parse(words).video == words[-1]
