"""Trying a run on a webcam, which is a file here; the browser is told when it starts."""

import subprocess

import imageio_ffmpeg
from playwright.sync_api import expect

from tests.web.browser import NEEDS_CHROMIUM, chromium, findings, opened

pytestmark = NEEDS_CHROMIUM


def test_a_webcam_is_answered_again_and_again(app, right, tmp_path):
    camera = tmp_path / "camera.y4m"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", right]
    scaled = ["-vf", "scale=160:120:flags=neighbor", "-pix_fmt", "yuv420p", camera]
    subprocess.run([*ffmpeg, *scaled], check=True)
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    )
    with chromium(*fake) as browser, opened(browser, f"{app.address}/try") as page:
        page.click("#webcam")
        expect(page.locator("#seen")).to_have_text("Watching")
        expect(page.locator("#seen")).to_contain_text("0.", timeout=30_000)
        assert findings(page) == []
        page.click("#webcam")
        expect(page.locator("#live")).to_be_hidden()
