// The events of a recording while they are changed: undo, redo, and saving at once.

import { put } from "../api.js";

const RETRY_MILLISECONDS = 2000;

export class LabelDocument extends EventTarget {
  // video: path in the workspace; state: { name, events, is_listed, version } as saved; begun: events without an end yet
  constructor(video, state, begun) {
    super();
    Object.assign(this, { video, name: state.name });
    this.now = { events: state.events, isListed: state.is_listed, begun };
    this.saved = this.now;
    this.version = state.version;
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
    const event = { ...open, start: Math.min(open.start, time), end: Math.max(open.start, time) };
    this.change({ begun, events: inOrder([...this.events, event]), isListed: true });
    return event;
  }

  add(event) {
    this.change({ events: inOrder([...this.events, event]), isListed: true });
    return event;
  }

  // Takes up several events in one change.
  addAll(events) {
    this.change({ events: inOrder([...this.events, ...events]), isListed: true });
  }

  replace(old, event) {
    if (this.begun.includes(old)) this.change({ begun: this.begun.map((each) => (each === old ? event : each)) });
    else this.change({ events: inOrder(this.events.map((each) => (each === old ? event : each))) });
    return event;
  }

  remove(event) {
    const events = this.events.filter((each) => each !== event);
    this.change({ events, isListed: events.length > 0, begun: this.begun.filter((each) => each !== event) });
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
        this.tell("saving");
        if (error.status) return; // The server says why not; trying again would change nothing.
        await new Promise((done) => setTimeout(done, RETRY_MILLISECONDS));
      }
    }
    this.tell("saving");
  }

  // Events first: what has ended is then never neither begun nor there.
  async send(state) {
    if (state.events !== this.saved.events || state.isListed !== this.saved.isListed) {
      const content = { events: state.events, is_listed: state.isListed, version: this.version };
      this.version = (await put("/api/label/events", { video: this.video }, content)).version;
    }
    if (state.begun !== this.saved.begun) await this.onBegun(state.begun);
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

export function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

export function endOf(event) {
  return event.end ?? event.start;
}

function inOrder(events) {
  return [...events].sort((one, other) => one.start - other.start || endOf(one) - endOf(other));
}
