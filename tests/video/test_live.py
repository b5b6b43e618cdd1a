"""Streams from a file, a pipe and a server, which break off and are taken too slowly."""

import http.server
import threading
import time

import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import LiveVideo, encode_jpeg, iter_frames, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """30 frames, each of one grey; the frame says which one it is."""
    path = tmp_path_factory.mktemp("live") / "grey.avi"
    frames = [np.full((32, 48, 3), 8 * number, np.uint8) for number in range(30)]
    write_video(path, frames, fps=10, codec="FFV1")
    return path


class Camera:
    """A camera behind an address, which breaks off after some frames of each connection."""

    def __init__(self, *lengths, frame_seconds=0.0):
        self.connections = 0
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if camera.connections == len(lengths):
                    self.send_error(503)
                    return
                length = lengths[camera.connections]
                camera.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                for number in range(length):
                    frame = np.full((32, 48, 3), 8 * number, np.uint8)
                    data = encode_jpeg(frame, quality=95)
                    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                    self.wfile.write(f"{head}\r\n\r\n".encode() + data + b"\r\n")
                    time.sleep(frame_seconds)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/camera"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def test_a_file_waits_and_ends(video):
    with LiveVideo(str(video), most_waiting=2) as live:
        frames = []
        for frame in live:
            frames.append(frame)
            time.sleep(0.005)
    assert live.dropped == live.reconnects == 0
    np.testing.assert_array_equal([f.image for f in frames], list(iter_frames(video)))
    np.testing.assert_allclose([f.seconds for f in frames], np.arange(30) / 10)
    arrived = [frame.arrived for frame in frames]
    assert arrived == sorted(arrived)
    assert arrived[-1] <= time.perf_counter()


def test_a_camera_that_breaks_off_is_opened_again():
    with (
        Camera(12, 7) as camera,
        LiveVideo(camera.address, most_waiting=100, tries=2, pause_seconds=0.05) as live,
    ):
        frames = list(live)
    assert camera.connections == 2
    assert live.reconnects >= 2
    assert 17 <= len(frames) <= 19, "a last frame may not be whole"
    seconds = [frame.seconds for frame in frames]
    assert np.all(np.diff(seconds) > 0), "time goes on where it broke off"


def test_of_a_camera_the_oldest_frames_are_dropped():
    with (
        Camera(25) as camera,
        LiveVideo(camera.address, most_waiting=3, tries=1, pause_seconds=0.05) as live,
    ):
        frames = []
        for frame in live:
            frames.append(frame)
            time.sleep(0.3 if len(frames) == 1 else 0)
    assert live.dropped >= 15
    assert len(frames) + live.dropped in (24, 25)
    assert frames[-1].image.mean() == pytest.approx(8 * (len(frames) + live.dropped - 1), abs=3)


@pytest.mark.parametrize("content", [None, b"no video"])
def test_a_file_without_video(tmp_path, content):
    path = tmp_path / "no.avi"
    if content:
        path.write_bytes(content)
    with LiveVideo(str(path)) as live, pytest.raises(VideoDecodeError, match="no video that"):
        list(live)


def test_a_camera_that_is_not_there():
    with Camera() as camera:
        live = LiveVideo(camera.address, tries=2, pause_seconds=0.01)
        with live, pytest.raises(VideoDecodeError, match="no frame came in 2 tries"):
            list(live)


def test_leaving_early_leaves_no_thread_behind(video):
    before = threading.active_count()
    with LiveVideo(str(video), most_waiting=2) as live:
        next(iter(live))
    assert threading.active_count() == before
