import logging
import os
import subprocess
import sys
import types

from pipeline.importing import import_tensorflow


def test_that_each_of_many_models_is_traced_is_not_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    import_tensorflow()
    logger = logging.getLogger("tensorflow")
    traced = "%d out of the last %d calls to %s triggered tf.function retracing."
    for text, arguments, told in ((traced, (5, 9, "f"), False), ("disk full", (), True)):
        record = logging.LogRecord("tensorflow", logging.WARNING, "", 0, text, arguments, None)
        assert bool(logger.filter(record)) == told


def test_onednn_is_taken_unless_the_user_says_no(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    import_tensorflow()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    import_tensorflow()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_what_keras_imports_for_others_is_left_out_until_it_is_asked_for(tmp_path):
    """Keras takes it for not installed, as one that is needed by nobody."""
    (tmp_path / "tensorflow.py").write_text(
        "try:\n    import sklearn\nexcept ImportError:\n    has_sklearn = False\n"
    )
    script = (
        "import importlib.util\n"
        "from pipeline.importing import import_tensorflow\n"
        "import_tensorflow()\n"
        "import tensorflow\n"
        "assert not tensorflow.has_sklearn\n"
        "assert importlib.util.find_spec('sklearn')\n"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": paths}, check=True
    )
