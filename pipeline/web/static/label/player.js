// A player that is exact to the frame.
//
// At rest it shows the frame that the server's reader gives. While it plays, the browser's own player
// runs where it can, whose frames say their times; of all other files, frames are shown one by one.

import { address, get } from "../api.js";
import { Frames } from "./frames.js";
import { nearest, shownAt } from "./timing.js";

const POLL_MILLISECONDS = 250;
const RETRY_MILLISECONDS = 2000;
const MOST_WIDTH = 1280;

export class Player extends EventTarget {
  constructor(screen, media, picture, waiting) {
    super();
    Object.assign(this, { screen, media, picture, waiting });
    this.rate = 1;
    this.range = null; // [start, end] in seconds that is looped
    this.until = null; // seconds at which playing stops once
    this.opened = 0;
    this.reset();
    media.addEventListener("ended", () => this.isPlaying && this.end());
    media.addEventListener("error", () => (this.plays = false));
    media.addEventListener("loadeddata", () => this.findOffset());
  }

  reset() {
    this.times = [];
    this.motion = [];
    this.about = null;
    this.number = 0;
    this.isPlaying = false;
    this.plays = false; // whether the browser can play the file
    this.offset = 0; // of the browser's times to those of the reader
    this.isGone = false; // whether the server is
    this.frames?.close();
    this.frames = null;
  }

  get seconds() {
    return this.times[this.number] ?? 0;
  }

  get duration() {
    if (!this.about) return 0;
    return this.about.is_complete ? this.about.duration_seconds : Math.max(this.about.declared_seconds, this.about.duration_seconds);
  }

  // How the server is asked for a video: by its path in the workspace, or as one that is tried.
  source(video) {
    return video.tried ? video : { video };
  }

  // Opens a recording, and follows while its frames are found.
  async open(video) {
    const opened = ++this.opened;
    this.pause();
    this.reset();
    this.video = video;
    this.media.removeAttribute("src");
    this.media.load();
    this.picture.getContext("2d").clearRect(0, 0, this.picture.width, this.picture.height);
    const width = Math.min(MOST_WIDTH, Math.round(this.screen.clientWidth * devicePixelRatio));
    this.frames = new Frames(this.source(video), width);
    while (true) {
      const about = await this.ask(video, opened);
      if (opened !== this.opened) return;
      const isFirst = !this.times.length && about.seconds.length;
      this.times = this.times.concat(about.seconds);
      this.motion = this.motion.concat(about.motion);
      if (!this.about && about.may_play) this.media.src = address("/api/video/file", this.source(video));
      this.about = about;
      if (isFirst) await this.show(0);
      if (opened !== this.opened) return;
      this.tell("growth");
      if (about.is_complete || about.error) return;
      await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
      if (opened !== this.opened) return;
    }
  }

  // What the server knows of the video; while it is gone, it is asked once in a while.
  async ask(video, opened) {
    while (opened === this.opened) {
      try {
        const about = await get("/api/video", { ...this.source(video), from: this.times.length });
        if (this.isGone) this.tell("recovery");
        this.isGone = false;
        return about;
      } catch (error) {
        if (error.status !== 0) throw error;
        await this.wait(error);
      }
    }
  }

  async wait(error) {
    if (!this.isGone) this.tell("failure", error.message);
    this.isGone = true;
    await new Promise((done) => setTimeout(done, RETRY_MILLISECONDS));
  }

  // Tells why a frame cannot be shown; where the server is gone, shows it once that is back.
  async fail(error) {
    const { opened, video } = this;
    if (error.status !== 0) return this.tell("failure", error.message);
    if (this.isGone) return;
    try {
      await this.wait(error);
      await this.ask(video, opened);
      if (opened === this.opened) this.show(this.number);
    } catch (later) {
      this.isGone = false;
      this.tell("failure", later.message);
    }
  }

  // Shows the frame of a number, exactly.
  async show(number) {
    if (!this.times.length) return;
    this.number = Math.min(Math.max(0, number), this.times.length - 1);
    this.tell("frame");
    if (this.isGone && !this.frames.has(this.number)) return; // It is shown once the server is back.
    const wanted = this.number;
    const { opened } = this;
    const late = setTimeout(() => this.say("Reading the frame"), 300);
    try {
      const bitmap = await this.frames.bitmap(wanted);
      if (opened !== this.opened) return;
      if (bitmap && wanted === this.number && !this.isPlaying) this.draw(bitmap, wanted);
    } catch (error) {
      if (opened === this.opened) this.fail(error);
    } finally {
      clearTimeout(late);
      if (opened === this.opened) this.say("");
    }
    if (wanted === this.number && !this.isPlaying && wanted % 16 > 11) this.frames.ahead(wanted);
    if (wanted === this.number && !this.isPlaying && wanted % 16 < 4 && wanted > 15) this.frames.ahead(wanted - 32);
  }

  draw(bitmap, number) {
    if (this.picture.width !== bitmap.width || this.picture.height !== bitmap.height) {
      this.picture.width = bitmap.width;
      this.picture.height = bitmap.height;
    }
    this.picture.getContext("2d").drawImage(bitmap, 0, 0);
    this.picture.dataset.number = number;
    this.screen.classList.remove("playing-media");
  }

  step(frames) {
    this.pause();
    return this.show(this.number + frames);
  }

  seek(seconds) {
    const number = shownAt(this.times, seconds);
    if (!this.isPlaying) return this.show(number);
    this.begin(number);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (this.isPlaying || !this.times.length) return;
    this.isPlaying = true;
    const isAtEnd = this.number >= this.times.length - 1;
    this.begin(isAtEnd ? 0 : this.number);
    this.tell("state");
  }

  pause() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.media.pause();
    this.tell("state");
    this.show(this.number);
  }

  end() {
    if (this.range || this.loops) return this.begin(this.range ? shownAt(this.times, this.range[0]) : 0);
    this.number = this.times.length - 1;
    this.pause();
  }

  setRate(rate) {
    this.rate = rate;
    if (this.isPlaying) this.begin(this.number);
  }

  // Plays on from a frame, in whichever way goes.
  begin(number) {
    this.run = (this.run ?? 0) + 1;
    this.number = number;
    const isRead = this.about.is_complete;
    if (this.plays && isRead) this.playMedia(this.run);
    else this.playFrames(this.run);
  }

  async playMedia(run) {
    const { media } = this;
    const length = (this.times[this.number + 1] ?? this.duration) - this.times[this.number];
    media.currentTime = this.times[this.number] + this.offset + Math.min(length / 2, 0.02);
    media.playbackRate = this.rate;
    const each = (_, frame) => {
      if (run !== this.run || !this.isPlaying) return;
      this.screen.classList.add("playing-media");
      this.arrive(nearest(this.times, frame.mediaTime - this.offset));
      if (run === this.run) media.requestVideoFrameCallback(each);
    };
    media.requestVideoFrameCallback(each);
    try {
      await media.play();
    } catch {
      if (run === this.run && this.isPlaying) this.playFrames(run);
    }
  }

  playFrames(run) {
    this.screen.classList.remove("playing-media");
    let clockStart = performance.now();
    let start = this.times[this.number];
    const each = async (now) => {
      if (run !== this.run || !this.isPlaying) return;
      const number = shownAt(this.times, start + ((now - clockStart) / 1000) * this.rate);
      this.frames.ahead(number, this.rate > 1 ? 4 : 2);
      if (!this.frames.has(number)) {
        const bitmap = await this.frames.bitmap(number).catch((error) => void this.fail(error));
        if (run !== this.run || !this.isPlaying) return;
        if (!bitmap) return this.pause();
        clockStart = performance.now();
        start = this.times[number];
      }
      this.draw(await this.frames.bitmap(number), number);
      if (run !== this.run || !this.isPlaying) return;
      this.arrive(number);
      if (run !== this.run) return;
      if (number >= this.times.length - 1) return this.end();
      requestAnimationFrame(each);
    };
    requestAnimationFrame(each);
  }

  // Takes up the frame that is shown while it plays.
  arrive(number) {
    if (this.range && this.times[number] >= this.range[1]) return this.begin(shownAt(this.times, this.range[0]));
    if (number === this.number) return;
    const isOver = this.until !== null && this.seconds < this.until && this.times[number] >= this.until;
    this.number = number;
    this.tell("frame");
    if (isOver) this.pause();
  }

  // The first frame has the time 0 for the reader; for the browser it may have a later one.
  findOffset() {
    const { media, opened } = this;
    if (!media.requestVideoFrameCallback || !media.videoWidth) return;
    media.requestVideoFrameCallback((_, frame) => {
      if (opened !== this.opened || this.isPlaying) return;
      this.offset = frame.mediaTime;
      this.plays = true;
    });
    media.currentTime = 0;
  }

  say(text) {
    this.waiting.textContent = text;
    this.waiting.hidden = !text;
  }

  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
