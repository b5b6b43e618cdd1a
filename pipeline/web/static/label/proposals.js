// What is proposed for recordings, by a run or by the labels so far, until it is accepted or rejected.

import { get } from "../api.js";
import { holds, overlap, round } from "./spans.js";
import { nearest } from "./timing.js";

const SAME = 0.5;

export class Proposals {
  constructor() {
    this.found = new Map(); // by the path of the video
  }

  isAsked(document) {
    return this.found.has(document.video);
  }

  // run: its name; empty: the labels so far
  // isStillWanted: asked when the answer is there
  async ask(document, run, isStillWanted) {
    const { proposals } = await get("/api/label/proposals", { video: document.video, run });
    if (isStillWanted()) this.found.set(document.video, proposals);
  }

  forget() {
    this.found.clear();
  }

  // Those that are to be decided: not what is marked already, was rejected, or was watched for its class.
  open(document) {
    const found = this.found.get(document.video) ?? [];
    const { events, rejected, watched, decided } = document.now;
    return found.filter((each) => {
      const isOfClass = ({ label }) => label === each.label;
      const looked = [...watched, ...decided.filter(([, , label]) => label === each.label)];
      const isKnown = [...events, ...rejected].filter(isOfClass).some((event) => overlap(event, each) > SAME);
      return !isKnown && !holds(looked, (each.start + each.end) / 2);
    });
  }
}

// The event of a proposal, from frame to frame.
export function eventOf({ start, end, label }, times) {
  const first = times[nearest(times, start)];
  const last = end > times[times.length - 1] ? end : times[nearest(times, end)];
  return { start: round(first), end: round(Math.max(last, first + 0.001)), label, subject: "", notes: "" };
}
