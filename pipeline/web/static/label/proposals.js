// What a run proposes for recordings, until it is accepted or rejected.

import { get } from "../api.js";
import { endOf, round } from "./document.js";
import { nearest } from "./timing.js";

const SAME = 0.5;

export class Proposals {
  constructor() {
    this.found = new Map(); // by the path of the video: the proposals that are not decided
  }

  isAsked(document) {
    return this.found.has(document.video);
  }

  async ask(document, run) {
    const { proposals } = await get("/api/label/proposals", { video: document.video, run });
    this.found.set(document.video, proposals);
  }

  // Those that are to be decided: what is marked already is not asked again.
  open(document) {
    const found = this.found.get(document.video) ?? [];
    return found.filter((each) => !document.events.some((event) => event.label === each.label && overlap(event, each) > SAME));
  }

  decide(document, proposal) {
    this.found.set(
      document.video,
      this.found.get(document.video).filter((each) => each !== proposal),
    );
  }

  // The event of a proposal, from frame to frame.
  eventOf({ start, end, label }, times) {
    const first = times[nearest(times, start)];
    const last = end > times[times.length - 1] ? end : times[nearest(times, end)];
    return { start: round(first), end: round(Math.max(last, first + 0.001)), label, subject: "", notes: "" };
  }
}

// The share of two spans of time that they have in common.
function overlap(one, other) {
  const common = Math.min(endOf(one), other.end) - Math.max(one.start, other.start);
  return Math.max(0, common) / Math.max(endOf(one) - one.start + other.end - other.start - common, 1e-9);
}
