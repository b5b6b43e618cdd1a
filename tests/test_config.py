import dataclasses
import math
import re

import pytest

from pipeline.config import (
    AugmentConfig,
    BackboneConfig,
    Change,
    ClipConfig,
    EvaluateConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    SplitConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.config.file import PRESETS, differing, load_config, preset_names, save_config
from pipeline.config.prepare import PrepareConfig
from pipeline.config.values import Range, described, ranges_of
from pipeline.errors import ConfigError
from pipeline.tasks.calibration import Calibration
from pipeline.web.programs.options import Options

FOLDER = {"source": "folder", "path": "videos", "out": "data/mine"}


MIXUP = AugmentConfig(mixup=Change(strength=0.2))
CUTMIX = AugmentConfig(cutmix=Change(strength=0.2))
ONE = TrainConfig(batch_size=1)
CACHED = {
    "train": TrainConfig(cache_features=True),
    "backbone": BackboneConfig(trainable="none"),
    "model": ModelConfig(streams=("rgb",)),
}


EVERY_KIND = [
    *(AugmentConfig, BackboneConfig, ClipConfig, EvaluateConfig, FramesConfig, ModelConfig),
    *(RunConfig, SplitConfig, TemporalConfig, TrainConfig, PrepareConfig, Calibration, Options),
]


def test_values_out_of_range_are_refused():
    for kind, values, message in (
        (ClipConfig, {"num_frames": 0}, "clip.num_frames must be from 1 to 512. Received: 0"),
        (RunConfig, {"clip": ClipConfig(num_frames=1)}, "clip.num_frames must be at least 2"),
        (AugmentConfig, {"crop": Change(strength=0.95)}, "crop.strength must be from 0 to 0.9"),
        (AugmentConfig, {"hue": Change(probability=2)}, "augment.hue.probability must be from 0"),
        (BackboneConfig, {"trainable": 0}, "backbone.trainable must be all, none, or from 1"),
        (BackboneConfig, {"filters": ()}, "filters must be 1 to 12 numbers from 1 to 4096"),
        (BackboneConfig, {"filters": (8,) * 13}, "backbone.filters must be 1 to 12 numbers"),
        (BackboneConfig, {"filters": (8, 0)}, "filters must be 1 to 12 numbers from 1 to 4096"),
        (BackboneConfig, {"weights": "my.h5"}, "backbone.weights is for networks other than cnn"),
        (TrainConfig, {"epochs": 10**30}, "epochs must be from 1 to 1000000. Received: 1000"),
        (TrainConfig, {"learning_rate": 1e300}, "train.learning_rate must be above 0, at most"),
        (TrainConfig, {"class_weights": True, "balanced": True}, "choose one"),
        (SplitConfig, {"folds": 1}, "split.folds must be 0 or at least 2, or groups. Received: 1"),
        (SplitConfig, {"fold": 3}, "split.fold takes split.folds, the number of folds"),
        (SplitConfig, {"val_folds": 3, "val_fold": 4}, "split.val_fold must be from 1 to 3"),
        (SplitConfig, {"val_fold": 2}, "split.val_fold takes split.val_folds"),
        (RunConfig, {"train": ONE, "augment": MIXUP}, "batch_size must be at least 2 for mixup"),
        (RunConfig, {"train": CACHED["train"]}, "takes a frozen backbone"),
        (RunConfig, CACHED | {"augment": CUTMIX}, "stores features, of which mixup and cutmix"),
        (PrepareConfig, {"seed": 2**32}, "--seed must be from 0 to 4294967295"),
        (PrepareConfig, {"source": "folder"}, "--source folder needs --path"),
        (PrepareConfig, {"out": ""}, "needs --out"),
        (PrepareConfig, {"val_fraction": 0.2}, "--val-fraction is for your own videos"),
        (PrepareConfig, {"test_fraction": 0.2}, "--test-fraction is for your own videos"),
    ):
        with pytest.raises(ConfigError, match=message):
            kind(**values)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_the_range_of_each_setting_is_kept_and_told_in_its_help(kind):
    ranges, texts = ranges_of(kind), {name: text for name, _, text in described(kind)}
    given = FOLDER if kind is PrepareConfig else {}
    assert ranges
    for name, allowed in ranges.items():
        assert texts[name].lower().endswith(f"{allowed.text}.")
        outside = [math.nan, math.inf, allowed.low if allowed.is_above else allowed.low - 1]
        outside += [] if allowed.high == math.inf else [allowed.high * 1.01 + allowed.is_below]
        for value in outside:
            of_type = {Change: Change(strength=value), tuple: (value,)}
            taken = of_type.get(type(getattr(kind, name, None)), value)
            with pytest.raises(ConfigError, match=rf"must be {re.escape(allowed.text)}. Received"):
                kind(**given, **{name: taken})
    assert Range(0, 5).text == "from 0 to 5"
    for value in (0, 5):
        Range(0, 5).check(value, "x")
    Range(0, 1, is_above=True).check(1, "x")


@pytest.mark.parametrize("task", ["video-multilabel", "frames", "frames-multilabel"])
def test_what_takes_one_label_a_video_is_refused_elsewhere(task):
    dense, opposites = {"model.task": task, "clip.sampling": "dense"}, [["sit", "stand"]]
    pairs = {"augment.reverse_labels": opposites}
    load_config("small", {**dense, **pairs}).check_task()
    keys = {"augment.reverse": 0.5, "evaluate.order_pairs": opposites, "train.class_weights": True}
    for key, value in keys.items():
        load_config("small", {**pairs, key: value}).check_task()
        wrong = load_config("small", {**dense, **pairs, key: value})
        message = f"{key} (is for videos with one label|takes classes)"
        with pytest.raises(ConfigError, match=message):
            wrong.check_task()


def test_order_pairs_must_name_classes_and_a_saved_config_is_read_back_whole(tmp_path):
    pairs = RunConfig(evaluate=EvaluateConfig(order_pairs=(("sit", "stand"),)))
    pairs.check_classes(["sit", "stand", "walk"])
    message = r"must name classes \(sit, walk\), or none: .*. Received: 'stand'"
    with pytest.raises(ConfigError, match=message):
        pairs.check_classes(["sit", "walk"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        pairs.temporal.units = 3
    config = RunConfig(clip=ClipConfig(num_frames=1), model=ModelConfig(streams=("rgb",)))
    assert config.clip.num_frames == 1, "no difference is taken"
    config = RunConfig(
        data="data/ünï côde",
        model=ModelConfig(streams=("rgb",), l1=1e-7),
        backbone=BackboneConfig(filters=(3, 5), trainable=2),
        backbones={"flow": BackboneConfig(filters=(7,), trainable="none")},
        evaluate=load_config("demo").evaluate,
    )
    save_config(config, tmp_path / "config.toml")
    assert load_config(tmp_path / "config.toml") == config
    config = loaded(tmp_path, "[temporal]\nunits = 5\nlayers = 2\n", {"temporal.units": 7})
    assert (config.temporal.units, config.temporal.layers) == (7, 2)
    assert config.temporal.dropout == TemporalConfig().dropout


def loaded(folder, text, values=()):
    (folder / "mine.toml").write_text(text, encoding="utf-8-sig")
    return load_config(folder / "mine.toml", dict(values))


def test_the_backbone_of_a_stream_takes_nothing_from_that_of_all(tmp_path):
    text = "[backbone]\ngrid = 2\n[backbone.flow]\nfilters = [7]\n"
    config = loaded(tmp_path, text, {"backbone.rgb.momentum": 0.5})
    own = {"flow": BackboneConfig(filters=(7,)), "rgb": BackboneConfig(momentum=0.5)}
    assert config.backbones == own
    assert config.backbone_of("flow") == own["flow"]
    assert config.backbone_of("difference") == BackboneConfig(grid=2)
    other = loaded(tmp_path, text, {"backbone.rgb.momentum": 0.4})
    assert differing(config, other) == ["backbone.rgb.momentum"]
    changed = config.with_backbones(grid=1)
    assert [changed.backbone_of(s).grid for s in ("rgb", "difference", "flow")] == [1, 1, 1]
    assert changed.backbone_of("flow").filters == (7,)
    # An empty table is a backbone of its own.
    config = loaded(tmp_path, "[backbone]\ngrid = 2\n[backbone.flow]\n[temporal]\n")
    assert config.backbones == {"flow": BackboneConfig()}
    assert config.backbone_of("rgb").grid == 2
    # Stored features take frozen backbones of all streams.
    frozen = BackboneConfig(trainable="none")
    train = TrainConfig(cache_features=True)
    model = ModelConfig(streams=("rgb", "flow"))
    RunConfig(train=train, model=model, backbones={"rgb": frozen, "flow": frozen})
    with pytest.raises(ConfigError, match="frozen backbone: --backbone.trainable none"):
        RunConfig(train=train, model=model, backbones={"flow": frozen})
    with pytest.raises(ConfigError, match="frozen backbone: --backbone.rgb.trainable none"):
        RunConfig(train=train, model=model, backbone=frozen, backbones={"rgb": BackboneConfig()})
    with pytest.raises(ConfigError, match="do not depend on others: .* rgb"):
        RunConfig(train=train, backbone=frozen)


def test_presets_load_and_say_what_they_are_for():
    names = {"demo", "flow", "pose", "pretrained", "small", "three_stream", "tiny", "two_stream"}
    names |= {"recordings", "demo_recordings"}
    assert set(preset_names()) == names
    page = (PRESETS.parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name in names:
        assert isinstance(load_config(name), RunConfig)
        assert (PRESETS / f"{name}.toml").read_text().startswith("# For: ")
        assert f"| `{name}` |" in page
    for name, values, message in (
        ("smal", {}, r"'smal' is neither a preset nor a TOML file .* mean small\?"),
        ("V", {}, "Expected one of demo, demo_recordings, .*, two_stream$"),
        ("small", {"augment.crop": 0.3}, r"crop.probability or augment.crop.strength\?"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(name, values)


def test_mistakes_in_a_file(tmp_path):
    for text, message in (
        ("[temporal]\nunit = 5\n", r"unknown temporal.unit. Did you mean temporal.units\?"),
        ("[temporl]\nunits = 5\n", r"unknown temporl.units. Did you mean temporal.units\?"),
        ('[temporal]\nunits = "many"\n', "temporal.units.*many"),
        ('[model]\nstreams = ["RGB"]\n', "model.streams must be one or more of rgb, "),
        ('[model]\ninput = "both"\n', "toml: model.input is now model.streams, such as "),
        ("[train]\nkeep = 'last'\n", "toml: train.keep is now train.checkpoint"),
        ("model.task = 'single_label'\n", "one of auto, video, .* Received: 'single_label'"),
        ("[temporal]\nunits = 0\n", "temporal.units must be from 1"),
        ("[backbone.flw]\ngrid = 2\n", r"unknown backbone.flw.grid. Did you mean backbone.flow"),
        ("[backbone.flow]\ngird = 2\n", r"mean backbone.flow.grid\?"),
        ("[backbone]\nflow = 2\n", r"unknown backbone.flow"),
        ("[backbone.flow]\ngrid = 'x'\n", r"backbone.flow.grid: expected a whole number"),
        ("[backbone.flow]\ngrid = 0\n", r"toml: backbone.flow.grid must be from 1"),
        ("[backbone.flow]\nweights = 'x'\n", r"one as well \(--backbone.flow.name\)"),
        ("[tempral]\n", r"toml: unknown tempral. Did you mean temporal\?"),
        ("[backbone.flw]\n", r"unknown backbone.flw. Did you mean backbone.flow\?"),
        ("temporal.units = {}\n", r"temporal.units: expected a whole number. Received: {}"),
        ("model.streams = 'rgb,flow'", r'expected a list in brackets, such as \["a", "b"\]'),
        ("model.streams = ['rbg']", r'such as rgb,flow or, in a file, \["rgb", "flow"\]'),
        ("[model]\nstreams = []\n", "model.streams must be one or more of rgb"),
        ("model = [", "not a TOML file"),
        ('evaluate.order_pairs = [["left"]]', "order_pairs: expected pairs, such as"),
        (f"seed = {'[' * 5000}{']' * 5000}", "expected sections and values, got them nested deep"),
        (f"{'a.' * 5000}a = 1", "expected sections and values, got them nested deep"),
        (f"seed = {'9' * 5000}", "not a TOML file: Exceeds the limit"),
        (f"train.learning_rate = {'9' * 400}", "learning_rate: expected numbers of less than 64"),
        (f"backbone.filters = [0x{'f' * 5000}]", "filters: expected numbers of less than 64 bits"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            loaded(tmp_path, text)
        assert "\n" not in str(caught.value)
