import pytest

from pipeline.errors import VideoDecodeError
from pipeline.text import without_secrets


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "0"),
        ("clips/a@b?token=1.mp4", "clips/a@b?token=1.mp4"),
        ("rtsp://camera:554/stream1", "rtsp://camera:554/stream1"),
        ("rtsp://ann:SECRET@camera:554/stream1", "rtsp://***@camera:554/stream1"),
        ("rtsp://ann:SEC/@RE:T?#@camera/1", "rtsp://***@camera/1"),
        ("rtsp://ann@camera/1", "rtsp://***@camera/1"),
        (
            "http://camera/1?user=ann&PWD=SECRET&channel=2",
            "http://camera/1?user=***&PWD=***&channel=2",
        ),
        ("https://host/a.m3u8?access_token=SECRET#t=1", "https://host/a.m3u8?access_token=***#t=1"),
        ("no arguments: rtsp://ann:SECRET@camera/1 left", "no arguments: rtsp://***@camera/1 left"),
    ],
)
def test_what_is_shown_of_a_source(source, shown):
    assert without_secrets(source) == shown
    error = VideoDecodeError(source, "it is gone.")
    assert (error.path, str(error)) == (shown, f"{shown}: it is gone.")
