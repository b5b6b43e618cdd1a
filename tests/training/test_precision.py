"""What `auto` means on a machine, and that a training which goes on keeps it."""

import dataclasses

import pytest

from pipeline.config import BackboneConfig, ModelConfig, RunConfig, TrainConfig
from pipeline.config.file import save_config
from pipeline.training import precision
from pipeline.training.precision import decide_precision

AUTO = RunConfig(train=TrainConfig(precision="auto"))


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Sets what the machine says of its processor."""

    def set_flags(flags):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu {flags} sse\n")
        monkeypatch.setattr(precision, "_CPU_FLAGS", tmp_path / "cpuinfo")

    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    return set_flags


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ("avx512_bf16 amx_bf16 amx_tile", "mixed_bfloat16"),
        ("avx512f avx512_bf16", "float32"),
        ("amx_tile", "float32"),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_has_amx(processor, flags, chosen, capsys):
    processor(flags)
    assert decide_precision(AUTO).train.precision == chosen
    assert capsys.readouterr().out.startswith(f"precision: {chosen}, ")


def test_without_onednn_nothing_uses_amx(processor, monkeypatch):
    processor("amx_bf16")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert decide_precision(AUTO).train.precision == "float32"


def test_a_machine_that_tells_nothing_takes_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_CPU_FLAGS", tmp_path / "none")
    assert decide_precision(AUTO).train.precision == "float32"


@pytest.mark.parametrize(
    ("capability", "chosen"), [((9, 0), "mixed_bfloat16"), ((7, 5), "float32")]
)
def test_auto_takes_bfloat16_where_the_gpu_has_tensor_cores_for_it(capability, chosen, monkeypatch):
    config = precision.tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda _: ["GPU:0"])
    monkeypatch.setattr(
        config.experimental,
        "get_device_details",
        lambda _: {"compute_capability": capability},
    )
    assert decide_precision(AUTO).train.precision == chosen


def test_a_training_that_goes_on_keeps_its_precision_on_another_machine(processor, tmp_path):
    processor("amx_bf16")
    begun = dataclasses.replace(AUTO, train=TrainConfig(precision="float32"))
    save_config(begun, tmp_path / "config.toml")
    assert decide_precision(AUTO, tmp_path / "config.toml").train.precision == "float32"


def test_what_is_configured_is_not_decided(processor, capsys):
    processor("amx_bf16")
    config = dataclasses.replace(AUTO, train=TrainConfig(precision="mixed_float16"))
    assert decide_precision(config) is config
    assert not capsys.readouterr().out


def test_stored_features_are_those_of_the_network_that_is_kept(processor):
    processor("flags : amx_bf16")
    stored = TrainConfig(precision="auto", cache_features=True)
    backbone = BackboneConfig(trainable="none")
    config = dataclasses.replace(
        AUTO, train=stored, backbone=backbone, model=ModelConfig(streams=("rgb",))
    )
    assert decide_precision(config).train.precision == "float32"
