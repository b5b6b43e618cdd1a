import re
from pathlib import Path

import pytest

from pipeline.cli.parser import ConfigParser, run_config
from pipeline.cli.script import Parser
from pipeline.config import BackboneConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError


def parse_run(*arguments):
    parser = ConfigParser("test", "train", "")
    parser.add_run_config(arguments)
    return run_config(parser.parse(arguments))


def parse_prepare(*arguments):
    parser = ConfigParser("test", "prepare", "")
    parser.add_fields(PrepareConfig)
    return parser.parse(arguments)


def test_a_preset_then_overrides():
    config = parse_run("--config", "small", "--data", "data/x", "--backbone.filters", "[4, 8]")
    assert (config.data, config.backbone.filters) == ("data/x", (4, 8))
    assert parse_run().data == "data/demo"
    assert parse_run("--config=small").data == ""
    assert parse_run("--data", "data/mine").evaluate.order_pairs == (), "of the small one"
    assert parse_run("--data=data/demo").evaluate.order_pairs


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
    file.write_text("[backbone.flow]\n")
    with pytest.raises(ConfigError, match="mine.toml: backbone.flow has no effect without flow"):
        parse_run("--config", str(file))


def test_options_of_a_flat_dataclass_with_dashes_and_lists():
    words = ["--source", "folder", "--path", "my videos", "--out", "data/mine", "--fps", "10"]
    config = PrepareConfig(**vars(parse_prepare(*words, "--test-groups", 'a, "b, c"')))
    assert config.path == "my videos"
    assert config.test_groups == ("a", "b, c")
    assert config.fps == 10.0
    with pytest.raises(ConfigError, match="--classes needs --out: data/demo is the demo with all"):
        PrepareConfig(**vars(parse_prepare("--classes", "kick,wave")))
    # Options for Beam begin as options of this command do, and one even has the name of one.
    for options in ("--runner=FlinkRunner --parallelism=2", "--streaming"):
        for words in ([f"--beam-options={options}"], ["--beam-options", options]):
            found = parse_prepare("--path=x", "--runner", "beam", *words, "--out=y")
            assert (found.runner, found.beam_options, found.out) == ("beam", options, "y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--temporal.unit 3", r"unknown --temporal.unit. Did you mean --temporal.units\?"),
        ("--temporal.units few", "^--temporal.units: expected a whole number. Received: 'few'"),
        ("--model.streams grey", r"model.streams must be one or more of rgb, .*: \['grey'\]"),
        ("--model.input both", "--model.input became --model.streams"),
        (
            "--backbone.flow.grid 2",
            "command line: backbone.flow has no effect without flow in model.streams",
        ),
        ("--backbone.grey.grid 2", "unknown --backbone.grey.grid"),
        ("--backbone.flow.gird 2", r"unknown --backbone.flow.gird. .* --backbone.flow.grid\?"),
        ("--split.folds ten", "split.folds: expected a whole number or one of groups. Rec"),
        ("--backbone.flow.grid few", "backbone.flow.grid: expected a whole number. Rec"),
        ("--model small", "unknown --model. Did you mean --model"),
        ("--frames.fps 3", "unknown --frames.fps"),
        (f"--train.learning_rate {'9' * 400}", "train.learning_rate: expected a number"),
    ],
    ids=lambda text: text[:40],
)
def test_mistakes_on_the_command_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_run(*arguments.split())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val-fraction", "few"], "^--val-fraction: expected a .*number"),
        (["--path", "x", "--test-groups", " ,"], "expected names with commas between them"),
        (["--runner", "beam", "--beam-options"], "beam.options.*expected"),
        (["--runner=beam", "--beam-options=X"], "--beam-options must be options of Beam, such as"),
    ],
)
def test_mistakes_in_options_of_a_flat_dataclass(words, message):
    with pytest.raises(ConfigError, match=message):
        PrepareConfig(**vars(parse_prepare(*words)))


def test_a_file_whose_name_begins_as_an_option_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-x.avi").touch()
    parser = Parser("test", "explain", "")
    parser.add_argument("video")
    with pytest.raises(ConfigError, match=r"^-x.avi .* Write ./-x.avi, or -- before it$"):
        parser.parse(["-x.avi"])
    for words in (["--", "-x.avi"], ["./-x.avi"], ["-"]):
        assert parser.parse(words).video == words[-1]
