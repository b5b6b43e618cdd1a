// What to label next: stretches from which the labels so far would learn most, and what they are worth.

import { get } from "../api.js";
import { made } from "./classes.js";
import { drawLearning } from "./learning.js";
import { tell } from "./notices.js";
import { spanOf } from "./spans.js";
import { clock } from "./timing.js";

const POLL_MILLISECONDS = 2000;
const LEAST_SECONDS = 1;
const byId = (id) => document.getElementById(id);

export class Guide extends EventTarget {
  // page: what is shown: { folder, player, current, chosen, open(name), show() }
  constructor(page) {
    super();
    this.page = page;
    this.learnt = null;
    this.passed = new Set(); // stretches that were skipped or watched
    this.queue = null; // stretches like one that was asked for
    this.stretch = null; // that is looked at
    const clicks = { next: () => this.next(), watched: () => this.watched(), skip: () => this.next(), alike: () => this.alike() };
    for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);
    document.addEventListener("visibilitychange", () => this.poll());
  }

  // Asks what was learnt, again and again while the page is looked at.
  async poll() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    try {
      const learnt = await get("/api/label/learnt", { folder: this.page.folder.name });
      const isNew = learnt.lesson !== this.learnt?.lesson;
      this.learnt = learnt;
      this.show();
      if (isNew) this.dispatchEvent(new CustomEvent("lesson"));
    } catch {
      // Whatever is wrong with the server, saving tells.
    }
    this.timer = setTimeout(() => this.poll(), POLL_MILLISECONDS);
  }

  // Stretches in their order that were neither skipped nor watched.
  get waiting() {
    const found = this.queue ?? this.learnt?.stretches ?? [];
    return found.filter((each) => !this.passed.has(nameOf(each)));
  }

  async next() {
    if (this.stretch) this.passed.add(nameOf(this.stretch));
    let [stretch] = this.waiting;
    if (!stretch && this.queue) {
      this.queue = null;
      [stretch] = this.waiting;
    }
    this.stretch = stretch ?? null;
    if (!stretch) {
      this.page.show();
      return tell("There is nothing left to look at for now.");
    }
    if (this.page.current.name === stretch.recording) this.page.show();
    else await this.page.open(stretch.recording);
  }

  // What lies in the stretch is all that happens there.
  watched() {
    const { current } = this.page;
    if (this.stretch && current.name === this.stretch.recording) current.watch([this.stretch.start, Math.min(this.stretch.end, this.page.player.duration)]);
    return this.next();
  }

  // Stretches that look like the chosen event, or like the one that is looked at.
  async alike() {
    const { current, chosen, player } = this.page;
    const [start, end] = chosen ? spanOf(chosen) : this.shown ? [this.shown.start, this.shown.end] : [player.seconds, player.seconds];
    byId("alike").disabled = true;
    try {
      const middle = (start + end) / 2;
      const half = Math.max(end - start, LEAST_SECONDS) / 2;
      const { stretches } = await get("/api/label/similar", { video: current.video, start: Math.max(0, middle - half), end: middle + half });
      this.queue = stretches;
      this.stretch = null;
      await this.next();
    } catch (error) {
      tell(error.message);
    }
    byId("alike").disabled = false;
  }

  // The stretch that is looked at, if it is of the recording that is shown.
  get shown() {
    return this.stretch?.recording === this.page.current?.name ? this.stretch : null;
  }

  show() {
    const { learnt, shown } = this;
    byId("stretch").hidden = !shown;
    byId("next").hidden = Boolean(shown);
    if (shown) byId("where").textContent = `${clock(shown.start)} to ${clock(shown.end)}${this.queue ? ", alike" : ""}. Mark what happens here.`;
    if (!learnt) return;
    byId("learnt").textContent = said(learnt);
    byId("failed").replaceChildren(...Object.entries(learnt.failed).map(([name, why]) => made("li", {}, `${name}: ${why}`)));
    byId("next").disabled = !this.waiting.length;
    const { curve } = learnt;
    byId("curve").hidden = curve.length < 2;
    if (curve.length > 1) drawLearning(byId("curve"), curve);
  }
}

function nameOf({ recording, start, end }) {
  return `${start} ${end} ${recording}`;
}

function said({ recordings, described, events, labelled, curve, error, is_learning: isLearning, is_scoring: isScoring }) {
  if (error) return error;
  const reading = described < recordings ? `Reading the recordings: ${described} of ${recordings}. ` : "";
  if (!events) return `${reading}Mark a few events: what they teach is shown here.`;
  const made = `${events} events in ${labelled} ${labelled === 1 ? "recording" : "recordings"}. `;
  const last = curve[curve.length - 1];
  if (last) return `${reading}${made}Expected F1 of events in others: ${last.f1_50.toFixed(2)}.`;
  return `${reading}${made}${isLearning || isScoring ? "Learning." : "Label a second recording to see what they are worth."}`;
}
