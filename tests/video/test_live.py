"""Streams from a file, a pipe and a server, which break off and are taken too slowly."""

import contextlib
import functools
import http.server
import socket
import threading
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import LiveVideo, encode_jpeg, iter_frames, probe
from pipeline.video.address import has_length
from tests.video.videos import SpoiltFrame, cut, lossless, noise

GREYS = [np.full((32, 48, 3), 8 * number, np.uint8) for number in range(30)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """30 frames, each of one grey; the frame says which one it is."""
    return lossless(tmp_path_factory.mktemp("live") / "grey.avi", GREYS)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Gives addresses of files behind a server, whose handler a test may choose."""
    with contextlib.ExitStack() as stack:

        def serve(path, handler=QuietHandler):
            handler = functools.partial(handler, directory=path.parent)
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/{path.name}"

        yield serve


def until_lost(live):
    frames = []
    with pytest.raises(VideoDecodeError, match="it broke off, and then no frame came in . tries"):
        frames.extend(live)
    return frames


def test_a_file_waits_and_ends(video, serve, tmp_path):
    """As does one that does not say how long it is if its server does."""
    for address in (str(video), f"file://{video}", serve(video)):
        with LiveVideo(address, most_waiting=2) as live:
            frames = [time.sleep(0.005) or frame for frame in live]
        assert live.dropped == live.reconnects == 0
        np.testing.assert_array_equal([f.image for f in frames], list(iter_frames(video)))
        np.testing.assert_allclose([f.seconds for f in frames], np.arange(30) / 10)
        arrived = [frame.arrived for frame in frames]
        assert arrived == sorted(arrived)
        assert arrived[-1] <= time.perf_counter()
    raw = tmp_path / "raw.mjpeg"
    raw.write_bytes(b"".join(encode_jpeg(frame, quality=95) for frame in GREYS))
    with LiveVideo(serve(raw), most_waiting=2) as live:
        found = [time.sleep(0.005) or int(frame.image.mean()) for frame in live]
    assert (live.is_live, live.dropped, live.reconnects) == (False, 0, 0)
    np.testing.assert_allclose(found, 8 * np.arange(30), atol=1)


def test_a_camera_that_breaks_off_is_opened_again_until_it_is_lost(make_camera):
    """Where it has no timestamps, it keeps to the clock."""
    camera = make_camera(12, 7)
    with LiveVideo(camera.address, most_waiting=100, tries=2, pause_seconds=0.4) as live:
        frames = until_lost(live)
    assert live.is_live
    assert camera.connections == 2
    assert live.reconnects >= 2
    assert 17 <= len(frames) <= 19, "a last frame may not be whole"
    seconds = [frame.seconds for frame in frames]
    assert np.all(np.diff(seconds) > 0), "time goes on where it broke off"
    assert max(np.diff(seconds)) >= 0.4, "and the pause counts"
    camera = make_camera(16, frame_seconds=0.15)
    with LiveVideo(camera.address, most_waiting=100, tries=1, pause_seconds=0.05) as live:
        frames = until_lost(live)
    seconds = np.array([frame.seconds for frame in frames])
    arrived = np.array([frame.arrived for frame in frames])
    assert np.all(np.diff(seconds) >= 0)
    np.testing.assert_allclose(seconds, arrived - arrived[0], atol=1)


def test_of_a_camera_the_oldest_frames_are_dropped(make_camera):
    camera = make_camera(25)
    with LiveVideo(camera.address, most_waiting=3, tries=1, pause_seconds=0.05) as live:
        first = next(iter(live))
        time.sleep(0.3)
        frames = [first, *until_lost(live)]
    assert live.dropped >= 15
    assert len(frames) + live.dropped in (24, 25)
    assert frames[-1].image.mean() == pytest.approx(8 * (len(frames) + live.dropped - 1), abs=3)


def test_a_camera_that_is_not_there_and_files_without_video(make_camera, tmp_path):
    path = tmp_path / "no.avi"
    for why in ("there is no such file", "no video that"):
        with LiveVideo(str(path)) as live, pytest.raises(VideoDecodeError, match=why):
            list(live)
        path.touch()
    live = LiveVideo(make_camera().address, tries=2, pause_seconds=0.01)
    with live, pytest.raises(VideoDecodeError, match="in 2 tries. Try the address in a player"):
        list(live)
    live = LiveVideo("987", tries=1)
    with live, pytest.raises(VideoDecodeError, match="in 1 tries. .* or try another number"):
        list(live)
    with pytest.raises(VideoDecodeError, match="99999999999: no camera has such a number"):
        LiveVideo("99999999999")
    live = LiveVideo("rtsp://ann:secret@127.0.0.1:1/x?pwd=secret", tries=1)
    with live, pytest.raises(VideoDecodeError) as caught:
        list(live)
    assert live.name == caught.value.path == "rtsp://***@127.0.0.1:1/x?pwd=***"
    assert "secret" not in f"{caught.value}{live!r}"


def test_a_frame_that_cannot_be_decoded_has_not_come(monkeypatch):
    opened = []

    def undecodable():
        """A connection with a frame that is grabbed, but not retrieved; after ten, none is."""
        opened.append("one")
        grabs = iter([len(opened) <= 10, False])
        return SimpleNamespace(
            isOpened=lambda: True,
            get=lambda _: 0.0,
            grab=lambda: next(grabs),
            retrieve=lambda: (False, None),
            release=lambda: None,
        )

    live = LiveVideo("0", tries=2, pause_seconds=0.01)
    monkeypatch.setattr(live, "_open", undecodable)
    with live, pytest.raises(VideoDecodeError, match="no frame came in 2 tries"):
        list(live)
    assert len(opened) == 2
    live = LiveVideo("0")  # What goes wrong in the thread is raised.
    monkeypatch.setattr(live, "_open", lambda: int("no backend"))
    with live, pytest.raises(ValueError, match="no backend"):
        list(live)


def test_a_camera_that_says_nothing_keeps_no_other_video_from_opening(video):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1"
        with LiveVideo(address, tries=1) as live:
            camera, _ = silent.accept()
            assert probe(video).declared_frames == 30
            assert not live._ended, "it still waits"
            camera.close()


def test_a_password_follows_a_redirect_to_its_own_server_alone(video, serve, tmp_path):
    notes = []

    class Asked(QuietHandler):
        """Notes the port and the password of who asks for the length of a file."""

        def do_HEAD(self):
            notes.append((self.server.server_address[1], self.headers["Authorization"]))
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to/"))
                self.end_headers()
            else:
                super().do_HEAD()

    first, second = (urlsplit(serve(video, Asked)) for _ in "ab")
    guarded = f"http://ann:p%40ss@{first.netloc}"
    assert has_length(f"{guarded}{first.path}", timeout_seconds=10)
    assert not has_length(f"{guarded}{first.path}.gone", timeout_seconds=10)
    assert has_length(f"{guarded}/to/{first.path}", timeout_seconds=10)
    for host in ("127.0.0.1", "localhost"):
        address = f"http://{host}:{second.port}{second.path}"
        assert has_length(f"{guarded}/to/{address}", timeout_seconds=10)
    own = (first.port, "Basic YW5uOnBAc3M=")
    other = (second.port, None)
    assert notes == [own, own, own, own, own, other, own, other]
    # A server without video is not asked for its length.
    notes.clear()
    (tmp_path / "a.avi").write_text("no video")
    live = LiveVideo(serve(tmp_path / "a.avi", Asked), tries=1)
    with live, pytest.raises(VideoDecodeError, match="no frame came in 1 tries"):
        list(live)
    assert not notes


def test_a_server_that_is_slow_with_its_headers_is_not_waited_for(video, serve):
    class Slow(QuietHandler):
        def end_headers(self):
            with contextlib.suppress(BrokenPipeError):
                for number in range(10):
                    self.send_header(f"X-{number}", "0")
                    self.flush_headers()
                    time.sleep(0.05)
                super().end_headers()

    address = serve(video, Slow)
    assert not has_length(address, timeout_seconds=0.15)
    assert has_length(address, timeout_seconds=30)


class Breaking(QuietHandler):
    """Says how long a file is, and breaks off at half of it."""

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2])


def test_ten_of_the_declared_frames_may_be_missing_and_no_more(tmp_path):
    path = lossless(tmp_path / "a.avi", noise(30, 32, 48))
    chunks = path.read_bytes().split(b"00dc")  # The first holds no frame, the last one is cut.
    for count in (20, 19):
        path.write_bytes(b"00dc".join(chunks[: 2 + count]))
        is_cut = pytest.raises(VideoDecodeError, match=f"it ended after {count} of 30 frames")
        with LiveVideo(str(path)) as live, is_cut if count < 20 else contextlib.nullcontext():
            assert len(list(live)) == count


def test_a_file_that_ends_before_its_end(video, tmp_path, serve, monkeypatch):
    """A frame that cannot be decoded is counted."""
    whole, half = (lossless(tmp_path / f"{name}.avi", noise(30, 32, 48)) for name in "ab")
    for address in (serve(whole, Breaking), str(cut(half))):
        frames, message = [], r"it ended after \d+ of 30 frames: it is dam"
        with LiveVideo(address) as live, pytest.raises(VideoDecodeError, match=message):
            frames.extend(live)
        assert 5 < len(frames) < 25
        assert live.reconnects == 0
    live = LiveVideo(str(video))
    opening = live._open
    monkeypatch.setattr(live, "_open", lambda: SpoiltFrame(opening(), 28, grabbed=0))
    frames = []
    with live, pytest.raises(VideoDecodeError, match="it ended after 28 of 30 frames"):
        frames.extend(live)
    assert (len(frames), live.undecodable) == (28, 1)
    before = threading.active_count()
    with LiveVideo(str(video), most_waiting=2) as live:
        next(iter(live))
    assert threading.active_count() == before, "leaving early leaves no thread behind"
