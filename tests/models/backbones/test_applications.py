import urllib.request

import keras
import numpy as np
import pytest

from pipeline.config import BackboneConfig
from pipeline.errors import ConfigError, DataError
from pipeline.models.backbones.applications import APPLICATIONS, application

SHAPE = (32, 32, 3)


def test_all_applications_are_known_and_have_a_preprocessing():
    assert len(APPLICATIONS) >= 38
    for name in APPLICATIONS:
        family = getattr(keras.applications, name).__module__.rpartition(".")[2]
        assert hasattr(getattr(keras.applications, family), "preprocess_input"), name


# The one's preprocessing is BGR less the mean; the other's is within the network.
@pytest.mark.parametrize(
    ("name", "family"), [("VGG16", "vgg16"), ("MobileNetV3Small", "mobilenet_v3")]
)
def test_features_are_those_of_the_application_after_its_preprocessing(name, family, tmp_path):
    plain = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=SHAPE)
    path = tmp_path / "my.weights.h5"
    plain.save_weights(path)
    network = application(BackboneConfig(name=name, weights=str(path)), SHAPE)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    preprocessed = getattr(keras.applications, family).preprocess_input(pixels.copy())
    np.testing.assert_allclose(network(pixels), plain(preprocessed), rtol=1e-4, atol=1e-5)


def test_what_a_network_does_not_take_is_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(DataError, match="other.weights.h5: not weights of vgg16"):
        application(BackboneConfig(name="VGG16", weights=str(path)), SHAPE)
    with pytest.raises(ConfigError, match="imagenet, none, or a weights file.* no file imagnet"):
        application(BackboneConfig(name="VGG16", weights="imagnet"), SHAPE)
    with pytest.raises(ConfigError, match=r"24 x 24 pixels: .*at least 32x32.* larger --size"):
        application(BackboneConfig(name="VGG16", weights="none"), (24, 24, 3))


def test_without_a_network_the_file_to_download_is_named(monkeypatch, tmp_path):
    nowhere = urllib.request.ProxyHandler({"https": "http://127.0.0.1:9"})
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(nowhere))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"imagenet: .*https://\S+\.h5.* by hand.*weights none"):
        application(BackboneConfig(name="VGG16"), SHAPE)
