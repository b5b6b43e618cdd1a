// The time axis: motion, events by class, edges to drag, the place of the player.

import { blank, colours } from "../colours.js";
import { endOf, hasLength, round } from "./spans.js";
import { clock, nearest } from "./timing.js";

const RULER = 22;
const MOTION = 34;
const ROW = 20;
const GRIP = 7;
const LEAST_SECONDS = 0.2;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];

export class Axis extends EventTarget {
  constructor(canvas, player, colour) {
    super();
    Object.assign(this, { canvas, player, colour });
    this.from = 0;
    this.to = 1;
    this.isWhole = true;
    this.events = [];
    this.begun = [];
    this.proposals = [];
    this.rows = [];
    this.watched = []; // from when to when, for all classes
    this.decided = []; // likewise, and the class
    this.chosen = null;
    this.drag = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => (this.drag = null));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  get width() {
    return this.canvas.clientWidth || 1;
  }

  x(seconds) {
    return ((seconds - this.from) / (this.to - this.from)) * this.width;
  }

  time(x) {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  // Shows these; `rows` are the names of classes, each a row.
  show({ events, begun, proposals, rows, chosen }) {
    Object.assign(this, { events, begun, proposals, rows, chosen });
    this.draw();
  }

  all() {
    this.isWhole = true;
    this.draw();
  }

  zoom(factor, around = this.player.seconds) {
    const length = Math.max(LEAST_SECONDS, (this.to - this.from) / factor);
    const share = (around - this.from) / (this.to - this.from);
    this.look(around - Math.min(1, Math.max(0, share)) * length, length);
  }

  look(from, length) {
    const whole = this.player.duration || 1;
    this.isWhole = length >= whole;
    if (!this.isWhole) {
      this.from = Math.min(Math.max(0, from), whole - length);
      this.to = this.from + length;
    }
    this.draw();
  }

  // Moves on so that the place of the player is to be seen.
  follow() {
    const { seconds } = this.player;
    const length = this.to - this.from;
    if (!this.isWhole && !this.drag && (seconds < this.from || seconds > this.to)) this.look(seconds - length * 0.1, length);
    else this.draw();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    const found = this.hit(x, y);
    this.drag = found?.edge ? { ...found } : { scrub: true };
    if (found) this.tell("choose", found.event);
    if (!found?.edge) this.tell("seek", this.time(x));
  }

  move(event) {
    const { offsetX: x, offsetY: y } = event;
    if (!this.drag) {
      this.canvas.style.cursor = this.hit(x, y)?.edge ? "ew-resize" : "pointer";
      return;
    }
    if (this.drag.scrub) return this.tell("seek", Math.min(Math.max(0, this.time(x)), this.player.duration));
    this.drag.changed = this.dragged(x);
    this.tell("seek", this.drag.changed[this.drag.edge]);
    this.draw();
  }

  release() {
    const drag = this.drag;
    this.drag = null;
    if (drag?.changed && drag.changed[drag.edge] !== drag.event[drag.edge]) this.tell("replace", { old: drag.event, event: drag.changed });
    this.draw();
  }

  // The event with its edge where the pointer is, at the time of a frame.
  dragged(x) {
    const { event, edge } = this.drag;
    const { times, duration } = this.player;
    const seconds = this.time(x);
    const last = times[times.length - 1];
    const isEnd = edge === "end" && seconds > (last + duration) / 2;
    const time = round(isEnd ? duration : times[nearest(times, seconds)]);
    if (event.end === null) return { ...event, start: time };
    if (edge === "start") return time < event.end ? { ...event, start: time } : event;
    return time > event.start ? { ...event, end: time } : event;
  }

  wheel(event) {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const moved = ((event.deltaX || event.deltaY) / this.width) * (this.to - this.from);
      this.look(this.from + moved, this.to - this.from);
    } else this.zoom(Math.exp(-event.deltaY / 300), this.time(event.offsetX));
  }

  // The event at a place, and which of its edges.
  hit(x, y) {
    const label = this.rows[Math.floor((y - RULER - MOTION) / ROW)];
    let best = null;
    for (const event of [...this.events, ...this.proposals]) {
      if (event.label !== label) continue;
      const [left, right] = [this.x(event.start), this.x(endOf(event))];
      if (x < left - GRIP || x > right + GRIP) continue;
      const toStart = Math.abs(x - left);
      const toEnd = Math.abs(x - right);
      const distance = Math.min(toStart, toEnd);
      const isProposal = event.probability !== undefined;
      const edge = isProposal || distance > GRIP ? null : event.end === null || toStart < toEnd ? "start" : "end";
      if (!best || distance < best.distance) best = { event, edge, distance };
    }
    return best;
  }

  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.paint());
  }

  paint() {
    if (this.isWhole) [this.from, this.to] = [0, this.player.duration || 1];
    const height = RULER + MOTION + Math.max(1, this.rows.length) * ROW + 4;
    this.canvas.style.height = `${height}px`;
    const context = blank(this.canvas, this.width, height);
    const ink = colours("page", "line", "soft", "ink", "wash", "blue", "good");
    this.paintUnread(context, ink, height);
    this.paintWatched(context, ink);
    this.paintStretch(context, ink, height);
    this.paintRuler(context, ink, height);
    this.paintMotion(context, ink);
    this.paintRows(context, ink);
    this.paintPlace(context, ink, height);
    this.label();
  }

  // What was not read through yet.
  paintUnread(context, ink, height) {
    const { times, about, duration } = this.player;
    if (!about || about.is_complete) return;
    const from = this.x(times[times.length - 1] ?? 0);
    context.fillStyle = ink.wash;
    context.fillRect(from, 0, this.x(duration) - from, height);
  }

  // Where somebody watched, if not everywhere: for all classes, or below the row of one.
  paintWatched(context, ink) {
    context.fillStyle = ink.good;
    for (const [start, end, label] of [...this.watched, ...this.decided].filter(hasLength)) {
      const bottom = label === undefined ? RULER : RULER + MOTION + (this.rows.indexOf(label) + 1) * ROW + 1;
      context.fillRect(this.x(start), bottom - 3, Math.max(2, this.x(end) - this.x(start)), 3);
    }
  }

  // What is to be labelled next.
  paintStretch(context, ink, height) {
    if (!this.stretch) return;
    const left = this.x(this.stretch.start);
    context.fillStyle = ink.blue;
    context.globalAlpha = 0.12;
    context.fillRect(left, 0, this.x(this.stretch.end) - left, height);
    context.globalAlpha = 1;
  }

  paintRuler(context, ink, height) {
    const step = STEPS.find((each) => (each / (this.to - this.from)) * this.width > 70) ?? STEPS[STEPS.length - 1];
    context.lineWidth = 1;
    for (let tick = Math.ceil(this.from / step); tick * step <= this.to; tick++) {
      const x = Math.round(this.x(tick * step)) + 0.5;
      context.strokeStyle = ink.line;
      context.beginPath();
      context.moveTo(x, 14);
      context.lineTo(x, height);
      context.stroke();
      context.fillStyle = ink.soft;
      context.fillText(clock(tick * step).replace(step < 1 ? /(\.\d)\d\d$/ : /\.000$/, step < 1 ? "$1" : ""), x + 3, 12);
    }
  }

  paintMotion(context, ink) {
    const { times, motion } = this.player;
    if (!times.length) return;
    context.fillStyle = ink.soft;
    const [least, most] = this.motionRange();
    let index = nearest(times, this.from);
    for (let x = 0; x < this.width; x++) {
      const until = this.time(x + 1);
      let here = times[index] < until + 0.1 ? motion[index] : 0;
      while (index + 1 < times.length && times[index + 1] < until) here = Math.max(here, motion[++index]);
      const bar = Math.min(1, Math.max(0, here - least) / (most - least)) * (MOTION - 4);
      context.fillRect(x, RULER + MOTION - 2 - bar, 1, bar);
    }
  }

  // From what a camera alone makes to what few frames are above.
  motionRange() {
    const { motion } = this.player;
    if (this.ranged !== motion) {
      this.ranged = motion;
      const sorted = Float32Array.from(motion).sort();
      const share = (part) => sorted[Math.floor(part * (sorted.length - 1))];
      this.range = [share(0.05), Math.max(share(0.995), share(0.05) + 1)];
    }
    return this.range;
  }

  paintRows(context, ink) {
    for (const each of this.proposals) this.paintProposal(context, ink, each);
    for (const event of this.events) this.paintEvent(context, ink, this.drag?.changed && event === this.drag.event ? this.drag.changed : event, event === this.chosen);
    for (const event of this.begun) this.paintEvent(context, ink, { ...event, end: Math.max(this.player.seconds, event.start) }, false, true);
    context.lineWidth = 3;
    context.strokeStyle = ink.page;
    context.fillStyle = ink.ink;
    this.rows.forEach((label, row) => {
      const y = RULER + MOTION + row * ROW + 14;
      context.strokeText(label, 4, y);
      context.fillText(label, 4, y);
    });
  }

  paintEvent(context, ink, event, isChosen, isBegun = false) {
    const row = this.rows.indexOf(event.label);
    const top = RULER + MOTION + row * ROW + 2;
    const left = this.x(event.start);
    const width = Math.max(2, this.x(endOf(event)) - left);
    if (row < 0 || left > this.width || left + width < 0) return;
    context.fillStyle = this.colour(event.label);
    context.globalAlpha = isBegun ? 0.45 : 0.85;
    if (event.end === null) {
      context.beginPath();
      context.moveTo(left, top);
      context.lineTo(left + 6, top + 8);
      context.lineTo(left, top + 16);
      context.lineTo(left - 6, top + 8);
      context.fill();
    } else context.fillRect(left, top, width, ROW - 4);
    context.globalAlpha = 1;
    if (!isChosen) return;
    context.strokeStyle = ink.ink;
    context.lineWidth = 2;
    context.strokeRect(left, top, width, ROW - 4);
  }

  // An outline, the fuller the surer.
  paintProposal(context, ink, proposal) {
    const row = this.rows.indexOf(proposal.label);
    const top = RULER + MOTION + row * ROW + 2;
    const left = this.x(proposal.start);
    const width = Math.max(2, this.x(proposal.end) - left);
    if (row < 0 || left > this.width || left + width < 0) return;
    context.fillStyle = context.strokeStyle = this.colour(proposal.label);
    context.globalAlpha = 0.4 * proposal.probability;
    context.fillRect(left, top, width, ROW - 4);
    context.globalAlpha = 1;
    context.lineWidth = proposal === this.chosen ? 2 : 1;
    if (proposal === this.chosen) context.strokeStyle = ink.ink;
    else context.setLineDash([3, 2]);
    context.strokeRect(left + 0.5, top + 0.5, width - 1, ROW - 5);
    context.setLineDash([]);
  }

  paintPlace(context, ink, height) {
    const x = this.x(this.player.seconds);
    context.strokeStyle = ink.blue;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
  }

  label() {
    this.canvas.setAttribute("aria-valuemax", this.player.duration.toFixed(3));
    this.canvas.setAttribute("aria-valuenow", this.player.seconds.toFixed(3));
    this.canvas.setAttribute("aria-valuetext", clock(this.player.seconds));
  }

  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
