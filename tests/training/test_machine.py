"""What the memory of a machine holds, and what the precision `auto` means on it."""

import pytest

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.errors import ConfigError
from pipeline.training import fit, guards
from pipeline.training.cluster import Cluster
from pipeline.training.guards import check_memory, decide_precision
from tests.runs import changed

USUAL = RunConfig(frames=FramesConfig(fps=15, size=64, jpeg_quality=95))
FLOAT32 = changed(USUAL, {"train.precision": "float32"})
STEP = 16 * 16 * 64 * 64 * 143
"""16 clips of 16 frames of 64 x 64 pixels, with 15 bytes each, and 128 behind the CNN."""


@pytest.fixture
def limit(tmp_path, monkeypatch):
    """Of the memory of a container."""
    monkeypatch.setattr(guards, "_OF_GROUP", tmp_path / "memory.max")
    return tmp_path / "memory.max"


def test_what_is_usual_fits_and_what_fills_the_memory_many_times_is_refused(limit):
    large = {"frames.size": 4096, "clip.num_frames": 512, "model.streams": ("rgb", "flow")}
    for on_gpu in (True, False):
        check_memory(USUAL, 16, on_gpu=on_gpu)
        with pytest.raises(ConfigError, match="Choose train.batch_size below [1-9]"):
            check_memory(USUAL, 1_000_000, on_gpu=on_gpu)
        with pytest.raises(ConfigError, match="of memory, this machine has"):
            check_memory(changed(USUAL, large), 1000, on_gpu=on_gpu)
    # A container has what it may take.
    for fits in (f"{STEP}\n", "max\n"):
        limit.write_text(fits)
        check_memory(FLOAT32, 16, on_gpu=False)
    limit.write_text(f"{STEP - 1}\n")
    check_memory(FLOAT32, 16, on_gpu=True)
    with pytest.raises(ConfigError, match="at least 0 GB .* Choose train.batch_size below 15"):
        check_memory(FLOAT32, 16, on_gpu=False)
    stored = {"model.streams": ("flow",), "backbone.trainable": "none"}
    check_memory(changed(FLOAT32, {**stored, "train.cache_features": True}), 99, on_gpu=False)
    # Of four workers, two on it.
    addresses = ("one:1", "two:1", "two:2", "three:1")
    share = Cluster(index=2, addresses=addresses).share_of_machine
    assert (share, Cluster().share_of_machine) == (0.5, 1)
    limit.write_text(str(STEP // 2))
    check_memory(FLOAT32, 16, on_gpu=False, share=share)
    wanted = "the part .* of a step of train.batch_size 20 .* Choose train.batch_size below 16"
    with pytest.raises(ConfigError, match=wanted):
        check_memory(FLOAT32, 20, on_gpu=False, share=share)


AUTO = changed(RunConfig(), {"train.precision": "auto"})


def test_auto_takes_bfloat16_where_the_processor_has_amx(tmp_path, capsys, monkeypatch):
    """Which oneDNN uses; a machine may tell nothing."""
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(guards, "_CPU_FLAGS", cpuinfo)
    for flags, onednn, chosen in (
        (None, "1", "float32"),
        ("avx512f avx512_bf16", "1", "float32"),
        ("amx_tile", "1", "float32"),
        ("amx_bf16", "0", "float32"),
        ("avx512_bf16 amx_bf16 amx_tile", "1", "mixed_bfloat16"),
    ):
        if flags:
            cpuinfo.write_text(f"processor : 0\nflags\t\t: fpu {flags} sse\n")
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
        assert decide_precision(AUTO).train.precision == chosen
        assert capsys.readouterr().out.startswith(f"precision: {chosen}, ")
    # What is configured or was begun is not decided.
    configured = changed(AUTO, {"train.precision": "mixed_float16"})
    assert decide_precision(configured) is configured
    assert not capsys.readouterr().out
    save_config(changed(AUTO, {"train.precision": "float32"}), tmp_path / "config.toml")
    assert decide_precision(AUTO, tmp_path / "config.toml").train.precision == "float32"
    # Stored features are those of the network that is kept.
    stored = {"train.cache_features": True, "backbone.trainable": "none", "model.streams": ("rgb",)}
    assert decide_precision(changed(AUTO, stored)).train.precision == "float32"


def test_auto_takes_bfloat16_where_the_gpu_has_tensor_cores_for_it(monkeypatch):
    config, details = guards.tf.config, {}
    monkeypatch.setattr(config, "list_physical_devices", lambda _: ["GPU:0"])
    monkeypatch.setattr(config.experimental, "get_device_details", lambda _: details)
    for capability, chosen in (((9, 0), "mixed_bfloat16"), ((7, 5), "float32")):
        details["compute_capability"] = capability
        assert decide_precision(AUTO).train.precision == chosen


def test_memory_is_reckoned_in_the_precision_that_was_decided(tiny_config, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        fit, "check_memory", lambda config, *_, **__: seen.append(config.train.precision)
    )
    monkeypatch.setattr(fit, "_train_first", lambda *_, **__: None)
    fit.train(changed(tiny_config, {"train.precision": "auto"}), tmp_path / "run")
    assert seen == [guards.faster_precision()[0]]
