// What the page tells: above the player, and to those who cannot see it.

import { made } from "./classes.js";

const told = document.getElementById("told");
const said = document.getElementById("said");

// Tells something, with buttons for what can be done.
export function tell(text, ...buttons) {
  told.replaceChildren(made("span", {}, text), ...buttons);
  told.hidden = false;
}

export function untell() {
  told.hidden = true;
}

// "1 event", "2 events"
export function counted(number, name) {
  return `${number} ${name}${number === 1 ? "" : "s"}`;
}

export function say(text) {
  said.textContent = text;
}
