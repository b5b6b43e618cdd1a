// The events of a recording while they are changed: undo, redo, and saving at once.

import { put } from "../api.js";
import { endOf, merged, round, spanOf } from "./spans.js";

const RETRY_MILLISECONDS = 2000;

export class LabelDocument extends EventTarget {
  // video: path in the workspace; state: { name, events, is_listed, watched, version } as saved; begun: events without
  // an end yet; rejected: what was proposed and is no event
  constructor(video, state, begun, rejected) {
    super();
    Object.assign(this, { video, name: state.name });
    this.now = { events: state.events, isListed: state.is_listed, watched: state.watched, begun, rejected };
    this.saved = this.now;
    this.version = state.version;
    this.isGuided = false; // whether stretches of it are looked at, rather than the whole
    this.inPart = []; // where somebody watched, before it was the whole
    this.past = [];
    this.future = [];
    this.saving = null;
    this.failure = null;
  }

  get events() {
    return this.now.events;
  }

  get begun() {
    return this.now.begun;
  }

  // Whether all that is not marked is known not to happen.
  get isWhole() {
    return this.now.isListed && !this.now.watched.length;
  }

  get isSaved() {
    return this.now === this.saved;
  }

  // Changes the state to another one, which can be undone.
  change(changes) {
    this.past.push(this.now);
    this.future = [];
    this.become({ ...this.now, ...changes });
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.now);
    this.become(this.past.pop());
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.now);
    this.become(this.future.pop());
  }

  // Begins an event of a class, or ends it; a point is there at once.
  mark(label, isPoint, subject, seconds) {
    const time = round(seconds);
    if (isPoint) return this.add({ start: time, end: null, label, subject, notes: "" });
    const open = this.begun.find((each) => each.label === label && each.subject === subject);
    if (!open) {
      this.change({ begun: [...this.begun, { start: time, end: null, label, subject, notes: "" }] });
      return null;
    }
    const begun = this.begun.filter((each) => each !== open);
    if (open.start === time) return this.change({ begun });
    return this.add({ ...open, start: Math.min(open.start, time), end: Math.max(open.start, time) }, begun);
  }

  // Adds an event; gives the one that is the same, if there is one already.
  add(event, begun = this.begun) {
    const same = this.events.find((each) => isSame(each, event));
    const events = same ? this.events : inOrder([...this.events, event]);
    if (!same || begun !== this.begun) this.change({ begun, events, ...this.noted(event) });
    return same ?? event;
  }


  // What marking an event says of the rest of the recording.
  noted(event) {
    return this.isGuided ? this.watching([spanOf(event)]) : { isListed: true };
  }

  // Takes up events that were proposed; around them, nothing is known.
  accept(events) {
    this.change({ events: inOrder([...this.events, ...events]), ...this.watching(events.map(spanOf)) });
  }

  // What was proposed does not happen.
  reject(event) {
    this.change({ rejected: [...this.now.rejected, event], ...this.watching([spanOf(event)]) });
  }

  // Somebody watched from then to then; what happens there is marked.
  watch(span) {
    if (!this.isWhole && span[1] > span[0]) this.change(this.watching([span.map(round)]));
  }

  watching(spans) {
    return this.isWhole ? {} : { isListed: true, watched: merged([...this.now.watched, ...spans]) };
  }

  // Says whether somebody watched the whole recording, or only where events are.
  setWhole(isWhole) {
    if (isWhole) {
      this.inPart = this.now.watched;
      return this.change({ isListed: true, watched: [] });
    }
    const watched = merged([...this.inPart, ...this.events.map(spanOf)]);
    this.change({ isListed: watched.length > 0, watched });
  }

  // Changes an event; gives another one that would be the same, if there is one, and changes nothing.
  replace(old, event) {
    const same = !this.begun.includes(old) && !isSame(old, event) && this.events.find((each) => isSame(each, event));
    if (same) return same;
    if (this.begun.includes(old)) this.change({ begun: this.begun.map((each) => (each === old ? event : each)) });
    else this.change({ events: inOrder(this.events.map((each) => (each === old ? event : each))) });
    return event;
  }

  remove(event) {
    if (this.begun.includes(event)) return this.change({ begun: this.begun.filter((each) => each !== event) });
    const events = this.events.filter((each) => each !== event);
    this.change({ events, isListed: events.length + this.now.watched.length > 0 });
  }

  become(state) {
    this.now = state;
    this.tell("change");
    this.save();
  }

  // Saves what is there now, one request at a time; resolves when all is saved, or cannot be.
  save() {
    this.saving ??= this.saveAll().finally(() => (this.saving = null));
    return this.saving;
  }

  async saveAll() {
    while (!this.isSaved) {
      const state = this.now;
      this.tell("saving");
      try {
        await this.send(state);
        this.saved = state;
        this.failure = null;
      } catch (error) {
        this.failure = error;
        this.saved = {}; // Whatever is there now: until something is saved, nobody knows.
        this.tell("saving");
        if (error.status && state === this.now) return; // The server says why not; trying again would change nothing.
        if (!error.status) await new Promise((done) => setTimeout(done, RETRY_MILLISECONDS));
      }
    }
    this.tell("saving");
  }

  // Events first: what has ended is then never neither begun nor there.
  async send(state) {
    const isChanged = ["events", "isListed", "watched"].some((name) => state[name] !== this.saved[name]);
    if (isChanged) {
      const content = { events: state.events, is_listed: state.isListed, watched: state.watched, version: this.version };
      this.version = (await put("/api/label/events", { video: this.video }, content)).version;
    }
    for (const name of ["begun", "rejected"]) if (state[name] !== this.saved[name]) await this.onAside(name, state[name]);
  }

  // Writes over what somebody else wrote, whose version is given.
  overwrite(version) {
    this.version = version;
    this.failure = null;
    return this.save();
  }

  tell(kind) {
    this.dispatchEvent(new CustomEvent(kind));
  }
}

// Whether two events are of the same class, subject and times.
function isSame(one, other) {
  return ["label", "subject", "start", "end"].every((name) => one[name] === other[name]);
}

function inOrder(events) {
  return [...events].sort((one, other) => one.start - other.start || endOf(one) - endOf(other));
}
