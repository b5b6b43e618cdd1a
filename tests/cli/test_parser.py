import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.parser import ConfigParser, run_config
from pipeline.cli.script import Parser
from pipeline.config import BackboneConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(script, *arguments, cwd=None):
    command = [sys.executable, SCRIPTS / f"{script}.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def parse_run(*arguments):
    parser = ConfigParser("test", "train", "")
    parser.add_run_config(arguments)
    return run_config(parser.parse(arguments))


def test_a_preset_then_overrides():
    config = parse_run("--config", "small", "--data", "data/x", "--backbone.filters", "[4, 8]")
    assert (config.data, config.backbone.filters) == ("data/x", (4, 8))
    assert parse_run().data == "data/demo"
    assert parse_run("--config=small").data == ""


def test_values_are_written_as_in_toml_and_texts_without_quotes():
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


@pytest.mark.parametrize(
    ("option", "default"),
    [("train.balanced", "false"), ("backbone.filters", "[16, 32, 64, 96]"), ("seed", "0")],
)
def test_the_help_gives_defaults_as_they_are_typed(option, default):
    parser = ConfigParser("test", "train", "")
    parser.add_run_config([])
    text = " ".join(parser.format_help().split())
    after = text[text.index(f"--{option} ") :]
    assert re.search(r"\(default: (.*?)\)", after)[1] == default


@pytest.mark.parametrize("words", [["rgb,flow"], ["rgb, flow"], ["[rgb, flow]"]])
def test_streams_with_commas_or_in_brackets(words):
    assert parse_run("--model.streams", *words).model.streams == ("rgb", "flow")
    assert parse_run(f"--model.streams={words[0]}").model.streams == ("rgb", "flow")
    assert parse_run("--model.streams", "rgb").model.streams == ("rgb",)


def test_a_backbone_for_a_stream(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        "model.streams = ['rgb', 'flow']\n[backbone.flow]\nname = 'MobileNetV2'\ngrid = 2\n"
    )
    words = ("--backbone.flow.grid=3", "--backbone.rgb.filters", "[4]", "--backbone.grid", "1")
    config = parse_run("--config", str(file), *words)
    flow = BackboneConfig(name="MobileNetV2", grid=3)
    assert config.backbones == {"flow": flow, "rgb": BackboneConfig(filters=(4,))}
    assert config.backbone_of("flow") == flow
    assert config.backbone_of("difference") == config.backbone == BackboneConfig(grid=1)
    assert parse_run("--config", str(file)).backbones["flow"].grid == 2


def test_without_a_config_other_data_takes_the_small_one():
    assert parse_run("--data", "data/mine").evaluate.order_pairs == ()
    assert parse_run("--data=data/demo").evaluate.order_pairs


def test_options_of_a_flat_dataclass_with_dashes_and_lists():
    parser = ConfigParser("test", "train", "")
    parser.add_fields(PrepareConfig)
    arguments = [
        "--source",
        "folder",
        "--path",
        "my videos",
        "--out",
        "data/mine",
        "--test-groups",
        'a, "b, c"',
        "--fps",
        "10",
    ]
    config = PrepareConfig(**vars(parser.parse(arguments)))
    assert config.path == "my videos"
    assert config.test_groups == ("a", "b, c")
    assert config.fps == 10.0
    with pytest.raises(ConfigError, match="--classes needs --out: data/demo is the demo with all"):
        PrepareConfig(**vars(parser.parse(["--classes", "kick,wave"])))
    with pytest.raises(ConfigError, match="expected names with commas between them"):
        parser.parse(["--path", "x", "--test-groups", " ,"])


@pytest.mark.parametrize(
    "options", ["--runner=FlinkRunner", "--runner=FlinkRunner --parallelism=2", "--streaming"]
)
@pytest.mark.parametrize("joined", [False, True])
def test_options_for_beam_as_the_documentation_writes_them(options, joined):
    """They begin as options of this command do, and one even has the name of one."""
    parser = ConfigParser("test", "train", "")
    parser.add_fields(PrepareConfig)
    words = [f"--beam-options={options}"] if joined else ["--beam-options", options]
    found = parser.parse(["--source=folder", "--path=x", "--runner", "beam", *words, "--out=y"])
    assert (found.runner, found.beam_options, found.out) == ("beam", options, "y")


def test_options_for_beam_that_were_forgotten():
    parser = ConfigParser("test", "train", "")
    parser.add_fields(PrepareConfig)
    with pytest.raises(ConfigError, match=r"beam.options.*expected"):
        parser.parse(["--runner", "beam", "--beam-options"])
    with pytest.raises(ConfigError, match="--beam-options must be options of Beam, such as"):
        PrepareConfig(runner="beam", beam_options="FlinkRunner")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temporal.unit", "3"], r"unknown --temporal.unit. Did you mean --temporal.units\?"),
        (["--temporl.units=3"], r"unknown --temporl.units. Did you mean --temporal.units\?"),
        (
            ["--temporal.units", "few"],
            "^--temporal.units: expected a whole number. Received: 'few'",
        ),
        (
            ["--backbone.filters", "16"],
            r"backbone.filters: expected a list in brackets, such as",
        ),
        (["--model.streams", "grey"], r"model.streams must be one or more of rgb, .*: \['grey'\]"),
        (["--model.input", "both"], "--model.input became --model.streams"),
        (
            ["--backbone.flow.grid", "2"],
            "command line: backbone.flow has no effect without flow in model.streams",
        ),
        (["--backbone.grey.grid", "2"], "unknown --backbone.grey.grid"),
        (["--backbone.flow.gird", "2"], r"unknown --backbone.flow.gird. .* --backbone.flow.grid\?"),
        (["--backbone.flow.grid", "few"], "backbone.flow.grid: expected a whole number. Rec"),
        (["--split.folds", "ten"], "split.folds: expected a whole number or one of groups. Rec"),
        (["--model", "small"], "unknown --model. Did you mean --model"),
        (["--frames.fps", "3"], "unknown --frames.fps"),
        (["--train.learning_rate", "9" * 400], "train.learning_rate: expected a number"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_run(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["--size", "--val-fraction", "--folds"])
def test_an_option_of_another_type_is_named_as_it_is_typed(word):
    parser = ConfigParser("test", "prepare", "")
    parser.add_fields(PrepareConfig)
    with pytest.raises(ConfigError, match=f"^{word}: expected a .*number"):
        parser.parse([word, "few"])


def test_a_backbone_without_its_stream_is_told_of_its_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[backbone.flow]\n")
    with pytest.raises(ConfigError, match="mine.toml: backbone.flow has no effect without flow"):
        parse_run("--config", str(file))


def test_a_file_whose_name_begins_as_an_option_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-x.avi").touch()
    parser = Parser("test", "explain", "")
    parser.add_argument("video")
    with pytest.raises(ConfigError, match=r"^-x.avi .* Write ./-x.avi, or -- before it$"):
        parser.parse(["-x.avi"])
    for words in (["--", "-x.avi"], ["./-x.avi"], ["-"]):
        assert parser.parse(words).video == words[-1]


def test_a_package_that_is_not_installed_is_named():
    script = "run_script(lambda _: __import__('nopackage.x'))"
    code = f"from pipeline.cli.script import run_script; {script}"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "this takes the package nopackage, which is not installed" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
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


def test_an_error_of_the_file_system_ends_in_one_line_and_code_2():
    code = "from pipeline.cli.script import run_script; run_script(lambda _: open('/none/x', 'w'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "/none/x: No such file or directory" in result.stderr


def test_names_command_no_terminal():
    """Neither in what is printed nor in an error, which stays one line."""
    code = """
from pipeline.cli.script import run_script
from pipeline.errors import DataError
def main(_):
    print("a\\x1b[2J\\x9b1mb", end="\\tc\\n")
    raise DataError("d\\x1b]0;e\\x07\\nf \\u202eg \\udc80")
run_script(main)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == "a\\u001b[2J\\u009b1mb\tc\n"
    assert result.stderr == "clipline: d\\u001b]0;e\\u0007\\u000af \\u202eg \\udc80\n"


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("prepare", ["--source", "folder"], "needs --path"),
        ("prepare", ["--pth", "x"], "Did you mean --path?"),
        ("prepare", ["--path", "x"], "add --source folder"),
        ("prepare", ["--source", "folder", "--path", "x"], "needs --out"),
        ("evaluate", [], "no trained run in runs/"),
        ("evaluate", ["--run", "runs/none"], "runs/none: no trained model here"),
        ("evaluate", ["runs/a", "--run", "runs/b"], "expected one run, got runs/a and runs/b"),
        ("classify", ["--top", "0", "a.mp4"], "--top: expected a whole number above 0, got 0"),
        ("classify", ["--", "--a.mp4"], "no trained run in runs/"),
        ("stream", ["0", "rtsp://ann:secret@camera/1"], "arguments: rtsp://***@camera/1"),
        ("classify", ["a.mp4", "--run", "runs/none"], "no trained model here"),
    ],
)
def test_a_mistake_ends_in_one_line_and_code_2(script, arguments, message, tmp_path):
    result = run(script, *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_while_a_script_still_imports_ends_in_one_line(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(60)\n"
    )
    code = "from pipeline.cli.script import run_script; import slow; print('imported')"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_other_errors_while_a_script_imports_are_shown_whole():
    command = [sys.executable, "-c", "import pipeline.cli.script; import pipeline.nothing"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "No module named 'pipeline.nothing'" in result.stderr
