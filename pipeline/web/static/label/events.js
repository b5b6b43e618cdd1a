// The events as a table, in which all of them can be changed.

import { round } from "./spans.js";

const MOST_ROWS = 400;

export class EventList extends EventTarget {
  constructor(body, colour) {
    super();
    Object.assign(this, { body, colour });
    this.drawn = []; // what was asked for last
  }

  show({ events, begun, labels, subjects, chosen }) {
    if (this.isTyped()) return; // What is half typed is kept; what comes of it is shown.
    const asked = [events, begun, chosen, ...labels, "", ...subjects];
    if (!this.isTaken && asked.length === this.drawn.length && asked.every((each, place) => each === this.drawn[place])) return;
    this.drawn = asked; // A row that is drawn anew loses the focus, what is selected and an open list.
    const active = document.activeElement?.dataset.field;
    const from = Math.max(0, Math.min(events.indexOf(chosen) - MOST_ROWS / 2, events.length - MOST_ROWS));
    const shown = events.slice(from, from + MOST_ROWS);
    this.names = { labels, subjects };
    this.body.replaceChildren(...begun.map((each) => this.row(each, true)), ...shown.map((each) => this.row(each, false, each === chosen)));
    const row = this.body.querySelector(".chosen");
    if (!row) return;
    if (active) row.querySelector(`[data-field="${active}"]`)?.focus();
    const box = this.body.closest(".scroll");
    const top = row.offsetTop - box.offsetTop;
    if (top < box.scrollTop + 30 || top > box.scrollTop + box.clientHeight - 40) box.scrollTop = top - box.clientHeight / 2;
  }

  isTyped() {
    const active = document.activeElement;
    return this.body.contains(active) && active.matches("input") && active.value !== active.defaultValue && !this.isTaken;
  }

  row(event, isBegun, isChosen) {
    const row = document.createElement("tr");
    row.classList.toggle("chosen", Boolean(isChosen));
    const chip = document.createElement("span");
    chip.className = "chip";
    chip.style.background = this.colour(event.label);
    const end = isBegun ? this.begun() : this.time(event, "end");
    const cells = [[chip, this.select(event, "label", this.names.labels, "Class")], [this.time(event, "start")], [end]];
    cells.push([this.select(event, "subject", ["", ...this.names.subjects], "Subject")], [this.text(event)], [this.remove(event)]);
    for (const contents of cells) {
      const cell = document.createElement("td");
      cell.append(...contents);
      row.append(cell);
    }
    if (!isBegun) row.addEventListener("click", (click) => click.target.matches("td, .chip") && this.tell("choose", event));
    return row;
  }

  begun() {
    const element = document.createElement("span");
    element.className = "soft";
    element.textContent = "begun";
    return element;
  }

  select(event, field, names, label) {
    const element = this.field("select", event, field, label);
    for (const name of new Set([...names, event[field]])) element.append(new Option(name || "-", name));
    element.value = event[field];
    element.addEventListener("change", () => this.replace(event, { [field]: element.value }));
    return element;
  }

  time(event, field) {
    const element = this.field("input", event, field, field === "start" ? "Start in seconds" : "End in seconds");
    element.className = "time";
    element.inputMode = "decimal";
    element.defaultValue = event[field] === null ? "" : event[field].toFixed(3);
    element.placeholder = "point";
    element.addEventListener("change", () => {
      const text = element.value.trim().replace(",", ".");
      const value = text === "" && field === "end" ? null : round(Number(text));
      const changed = { ...event, [field]: value };
      const isRight = value === null || (Number.isFinite(value) && value >= 0 && text !== "");
      if (isRight && (changed.end === null || changed.end > changed.start)) this.replace(event, { [field]: value });
      else element.value = element.defaultValue;
    });
    return element;
  }

  text(event) {
    const element = this.field("input", event, "notes", "Notes");
    element.defaultValue = event.notes;
    element.maxLength = 1000;
    element.addEventListener("change", () => this.replace(event, { notes: element.value.trim() }));
    return element;
  }

  remove(event) {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = "×";
    element.setAttribute("aria-label", `Delete ${event.label} at ${event.start.toFixed(3)}`);
    element.addEventListener("click", () => this.tell("remove", event));
    return element;
  }

  field(name, event, field, label) {
    const element = document.createElement(name);
    element.dataset.field = field;
    element.setAttribute("aria-label", `${label} of ${event.label} at ${event.start.toFixed(3)}`);
    return element;
  }

  replace(old, changes) {
    this.isTaken = true;
    this.tell("replace", { old, event: { ...old, ...changes } });
    this.isTaken = false;
  }

  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
