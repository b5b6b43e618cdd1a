// What to label next: stretches from which the labels so far would learn most, and what they are worth.

import { get } from "../api.js";
import { made } from "./classes.js";
import { drawLearning } from "./learning.js";
import { tell, untell } from "./notices.js";
import { spanOf } from "./spans.js";
import { clock } from "./timing.js";

const POLL_MILLISECONDS = 2000;
const LEAST_SECONDS = 1;
const byId = (id) => document.getElementById(id);

export class Guide extends EventTarget {
  // page: what is shown: { folder, player, axis, current, chosen, open(name), show() }
  constructor(page) {
    super();
    this.page = page;
    this.learnt = null;
    this.passed = []; // stretches that were skipped or watched
    this.queue = null; // stretches like one that was asked for
    this.stretch = null; // that is looked at
    this.arrived = null; // the same, once its frames are shown
    this.done = null; // what the last "Done" changed: { stretch, document, state }
    const clicks = { next: () => this.next(), watched: () => this.watched(), skip: () => this.next(), alike: () => this.alike(), back: () => this.back() };
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
    return found.filter((each) => !this.passed.some((other) => isMostly(each, other)));
  }

  async next() {
    if (this.stretch) this.passed.push(this.stretch);
    let [stretch] = this.waiting;
    if (!stretch && this.queue) {
      this.queue = null;
      [stretch] = this.waiting;
    }
    if (!stretch) {
      this.stretch = null;
      this.page.show();
      return tell("There is nothing left to look at for now.");
    }
    await this.goTo(stretch);
  }

  // What lies in the stretch is all that happens there.
  watched() {
    const { current, player } = this.page;
    const { shown } = this;
    if (!shown || this.arrived !== shown) return;
    const open = current.begun.find((each) => each.start < shown.end);
    if (open) return tell(`${open.label} has begun and not ended. Mark its end, or take it back, then go on.`);
    untell();
    current.watch([shown.start, Math.max(shown.start, Math.min(shown.end, player.duration))]);
    this.done = { stretch: shown, document: current, state: current.now };
    return this.next();
  }

  // Takes back the last "Done", and shows its stretch again.
  async back() {
    const { stretch, document, state } = this.done;
    this.done = null;
    if (document.now === state) document.undo();
    this.passed = this.passed.filter((each) => each !== stretch);
    await this.goTo(stretch);
  }

  async goTo(stretch) {
    this.stretch = stretch;
    if (this.page.current.name === stretch.recording) this.page.show();
    else await this.page.open(stretch.recording);
  }

  // Shows the stretch that is to be labelled, once its frames are there.
  arrive() {
    const { shown } = this;
    const { axis, player, current } = this.page;
    if (!shown) axis.stretch = player.until = null;
    if (!shown || axis.stretch === shown || !(player.times[player.times.length - 1] >= shown.start)) return;
    axis.stretch = this.arrived = shown;
    current.isGuided = true;
    sessionStorage.setItem(`guided ${current.video}`, "yes"); // for when the page is loaded again
    player.until = shown.end;
    const length = shown.end - shown.start;
    axis.look(shown.start - length / 2, 2 * length);
    player.seek(shown.start);
  }

  // Stretches that look like the chosen event, or like the one that is looked at.
  async alike() {
    const { current, chosen, player } = this.page;
    if (!current) return;
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
    this.arrive();
    const { learnt, shown } = this;
    if (this.done && !this.page.folder.isOpen(this.done.document)) this.done = null;
    byId("stretch").hidden = !shown;
    byId("next").hidden = Boolean(shown);
    byId("back").hidden = !this.done;
    byId("alike").disabled = !this.page.current;
    if (shown) byId("where").textContent = `${clock(shown.start)} to ${clock(shown.end)}${this.queue ? ", alike" : ""}. Mark all that happens here.`;
    if (!learnt) return;
    byId("learnt").textContent = said(learnt);
    byId("failed").replaceChildren(...Object.entries(learnt.failed).map(([name, why]) => made("li", {}, `${name}: ${why}`)));
    byId("next").disabled = !this.waiting.length;
    const { curve } = learnt;
    byId("curve").hidden = curve.length < 2;
    if (curve.length > 1) drawLearning(byId("curve"), curve);
  }
}

// Whether half of a stretch or more lies in another one.
function isMostly(one, other) {
  const common = Math.min(one.end, other.end) - Math.max(one.start, other.start);
  return one.recording === other.recording && common >= (one.end - one.start) / 2;
}

function said({ recordings, described, events, labelled, curve, error, is_learning: isLearning, is_scoring: isScoring }) {
  if (error) return error;
  const reading = described < recordings ? `Reading the recordings: ${described} of ${recordings}. ` : "";
  if (!events) return `${reading}Mark a few events: what they teach is shown here.`;
  const made = `${events} ${events === 1 ? "event" : "events"} in ${labelled} ${labelled === 1 ? "recording" : "recordings"}. `;
  const last = curve[curve.length - 1];
  if (last) return `${reading}${made}F1 of events in other recordings: ${last.f1_50.toFixed(2)} of 1, learnt from ${Math.round(last.events)} of the ${events} at a time.`;
  if (labelled < 2) return `${reading}${made}${recordings > 1 ? "Label a second recording to see what they are worth." : ""}`;
  if (reading || isLearning || isScoring) return `${reading}${made}Learning.`;
  return `${reading}${made}Watch two recordings, as a whole or in part (Next, Done), to see what they are worth.`;
}
