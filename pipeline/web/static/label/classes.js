// The classes of a folder with their keys, of recordings and of clips alike: what is kept of them, and their list.

import { put } from "../api.js";

export const COLOURS = ["#2f7ed8", "#d9622b", "#3a9d5d", "#b5479b", "#c99a16", "#5b5bd6", "#17a2a2", "#c23b4a", "#7c8a1d", "#8a5a3c"];

// What is kept of a folder, such as its classes. A change is seen at once; changes are sent one after another.
export class FolderSettings {
  constructor(folder, onChange) {
    Object.assign(this, { folder, onChange, waiting: 0, sent: Promise.resolve() });
    this.take({ classes: [], subjects: [], begun: {}, rejected: {} });
  }

  // Takes what was read of the folder.
  take(read) {
    this.now = this.saved = read;
  }

  // Saves some of them, such as { add: [class] }; what other windows changed meanwhile stays.
  async change(changes) {
    const { add = [], remove = [] } = changes;
    this.now = { ...this.now, classes: [...this.now.classes.filter((each) => !remove.includes(each.name)), ...add] };
    this.waiting++;
    this.onChange();
    try {
      this.saved = await this.send("/api/label/settings", {}, changes);
    } finally {
      this.waiting--;
      if (!this.waiting) this.now = this.saved;
      this.onChange();
    }
  }

  // Gives a class another name in all that is saved.
  async rename(name, given) {
    this.take(await this.send("/api/label/rename", { class: name }, given));
  }

  // The answer to what is sent after the answers to all before it.
  send(path, parameters, content) {
    const answer = this.sent.then(() => put(path, { folder: this.folder, ...parameters }, content));
    this.sent = answer.catch(() => {});
    return answer;
  }
}

// An element with properties and children, of which texts are never markup.
export function made(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.map((each) => (each instanceof Node ? each : String(each))));
  return element;
}

// The first letter of a name whose key is free, or else another one.
export function freeKey(name, classes, reserved) {
  const taken = [...classes.map((each) => each.key), ...reserved];
  const wanted = [...name.toLowerCase(), ..."123456789abcdefghijklmnopqrstuvwxyz"];
  return wanted.find((each) => /[\p{L}\p{N}]/u.test(each) && each.length === 1 && !taken.includes(each)) ?? "";
}

// A name as it was typed, or asked for; undefined: none was.
export function typedName(text) {
  return text?.trim().replace(/\s+/g, " ");
}

// The new name that somebody gives a class; empty: none. Why it cannot have one is told.
export function askName(name, classes, tell) {
  const given = typedName(prompt(`New name of the class ${name}`, name));
  if (given === undefined || given === name) return "";
  const refused = refusal(given, "", classes, []);
  if (refused) tell(refused);
  return refused ? "" : given;
}

// Why a class cannot be called so, or marked by the key; empty: it can.
export function refusal(name, key, classes, reserved) {
  if (!name) return "A class needs a name.";
  if (name === "*" || name.startsWith("* ")) return "* stands for what was watched. Choose another name.";
  if (classes.some((each) => each.name === name)) return `There is a class ${name} already.`;
  const taken = classes.find((each) => key && each.key === key);
  if (taken) return `The key ${key} marks ${taken.name} already.`;
  return reserved.includes(key) ? `The key ${key} is for the player. Choose another one.` : "";
}

// An item of the list: its button marks the class, others rename it and take it off the list.
export function classItem(each, colour, isPressed, { onMark, onRename, onRemove }) {
  const chip = made("span", { className: "chip" });
  chip.style.background = colour;
  const button = made("button", { type: "button", className: "mark" }, chip, made("b", {}, each.name), each.key ? made("kbd", {}, each.key) : "");
  button.setAttribute("aria-pressed", isPressed);
  button.addEventListener("click", onMark);
  return made("li", {}, button, small("✎", `Rename ${each.name}`, onRename), small("×", `Take ${each.name} off the list`, onRemove));
}

function small(sign, title, action) {
  const button = made("button", { type: "button", title, ariaLabel: title }, sign);
  button.addEventListener("click", action);
  return button;
}

export function isTyping(target) {
  return target.matches("input:not([type=checkbox]), select, textarea");
}

// After a click of the mouse, Enter and Space are for the page, not for the button once more.
export function leaveButton(event) {
  if (event.detail) event.target.closest("button")?.blur();
}
