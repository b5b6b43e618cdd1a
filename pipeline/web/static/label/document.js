// The events of a recording while they are changed: undo, redo, and saving at once.

import { put } from "../api.js";
import { endOf, hasLength, merged, round, spanOf } from "./spans.js";

const RETRY_MILLISECONDS = 2000;
const IN_PART = [[0, 0]]; // what was watched, where nothing more is known than that it was not the whole

export class LabelDocument extends EventTarget {
  // video: path in the workspace; state: { name, events, is_listed, watched, decided, version } as saved, of which
  // decided is [start, end, class] where somebody looked for that class alone; begun: events without an end yet;
  // rejected: what was proposed and is no event
  constructor(video, state, begun, rejected) {
    super();
    Object.assign(this, { video, name: state.name });
    const { events, watched, decided } = state;
    this.now = { events, isListed: state.is_listed, watched, decided, begun, rejected };
    this.saved = this.now;
    this.version = state.version;
    this.isGuided = false; // whether stretches of it are looked at, rather than the whole
    this.inPart = { watched: [], decided: [] }; // what was known, before it was the whole
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
    return this.now.isListed && !this.now.watched.length && !this.now.decided.length;
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
    if (!same || begun !== this.begun) this.change({ begun, events, ...this.noted() });
    return same ?? event;
  }

  // What marking an event says of the rest of the recording: where stretches are looked at, nothing, until it is done.
  noted() {
    return this.isGuided ? this.listed() : { isListed: true };
  }

  // One that is not in the table yet is so in part: events happen, and that is all that is known.
  listed() {
    return this.now.isListed ? {} : { isListed: true, watched: IN_PART };
  }

  // Takes up events that were proposed; of what else happens meanwhile, and around them, nothing is known.
  accept(events) {
    this.change({ events: inOrder([...this.events, ...events]), ...this.listed() });
  }

  // What was proposed does not happen; other classes may.
  reject(event) {
    const decided = this.isWhole ? [] : [...this.now.decided, decision(event)];
    const watched = this.now.watched.filter(hasLength);
    this.change({ rejected: [...this.now.rejected, event], isListed: true, watched, decided });
  }

  // Somebody watched from then to then; what happens there is marked.
  watch(span) {
    if (this.isWhole || span[1] <= span[0]) return;
    this.change({ isListed: true, watched: merged([...this.now.watched.filter(hasLength), span.map(round)]) });
  }

  // Says whether somebody watched the whole recording, or no more is known than what was marked and decided.
  setWhole(isWhole) {
    if (isWhole) {
      const { watched, decided } = this.now;
      this.inPart = { watched, decided };
      return this.change({ isListed: true, watched: [], decided: [] });
    }
    const { watched, decided } = this.inPart;
    if (watched.length || decided.length) this.change({ watched, decided });
    else this.change(this.events.length ? { watched: IN_PART } : { isListed: false });
  }

  // Stretches that count as watched, and are exactly what was marked or rejected: earlier versions took them to be.
  get doubtful() {
    const spans = [...this.events, ...this.now.rejected].map(spanOf);
    return this.now.watched.filter(hasLength).filter(([start, end]) => {
      const [first, ...others] = merged(spans.filter((span) => span[0] >= start && span[1] <= end));
      return first?.[0] === start && first[1] === end && !others.length;
    });
  }

  // Takes back that these were watched; what was marked and rejected there stays so.
  forgetDoubtful() {
    const { doubtful } = this;
    const { rejected, watched, decided } = this.now;
    const left = watched.filter((span) => !doubtful.includes(span));
    const inside = rejected.filter((event) => doubtful.some(([start, end]) => event.start >= start && endOf(event) <= end));
    const known = [...decided, ...inside.map(decision)];
    this.change({ watched: left.length || known.length ? left : IN_PART, decided: known });
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
    const watched = events.length ? this.now.watched : this.now.watched.filter(hasLength);
    this.change({ events, watched, isListed: events.length + watched.length + this.now.decided.length > 0 });
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
    const isChanged = ["events", "isListed", "watched", "decided"].some((name) => state[name] !== this.saved[name]);
    if (isChanged) {
      const { events, isListed, watched, decided } = state;
      const content = { events, is_listed: isListed, watched, decided, version: this.version };
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

function decision(event) {
  return [...spanOf(event), event.label];
}

function inOrder(events) {
  return [...events].sort((one, other) => one.start - other.start || endOf(one) - endOf(other));
}
