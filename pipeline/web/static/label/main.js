// The page for labelling: what was pressed becomes events.

import { address, get, postBytes, put } from "../api.js";
import { Axis } from "./axis.js";
import { LabelDocument, endOf } from "./document.js";
import { Player } from "./player.js";
import { Proposals } from "./proposals.js";
import { COLOURS, classItem, freeKey, isTyping, made, refusal } from "./classes.js";
import { EventList } from "./events.js";
import { clock } from "./timing.js";

const RESERVED = [" ", "+", "-", "=", "[", "]", "?"];
const byId = (id) => document.getElementById(id);
const folder = byId("label").dataset.folder;
const pathOf = (name) => (folder ? `${folder}/${name}` : name);

const player = new Player(byId("screen"), byId("media"), byId("picture"), byId("waiting"));
const axis = new Axis(byId("axis"), player, colourOf);
const list = new EventList(byId("events"), colourOf);
const proposals = new Proposals();
const documents = new Map(); // by the name of the video
let settings = { classes: [], subjects: [], begun: {} };
let videos = [];
let current = null; // the LabelDocument
let chosen = null;

function colourOf(label) {
  const place = labels().indexOf(label);
  return COLOURS[(place < 0 ? 0 : place) % COLOURS.length];
}

// The names of all classes: those with a key first, then those that only the table has.
function labels() {
  const named = settings.classes.map((each) => each.name);
  const used = current ? [...current.events, ...current.begun, ...proposals.open(current)].map((each) => each.label) : [];
  return [...new Set([...named, ...used])];
}

// --- recordings

async function load() {
  await readFolder();
  const asked = new URLSearchParams(location.search).get("video");
  const first = videos.find((each) => each.name === asked) ?? videos.find((each) => !each.is_listed) ?? videos[0];
  show();
  if (first) await open(first.name);
  else tell("There are no videos in this folder.");
}

// Reads what is known of the folder; classes that only its table has get keys.
async function readFolder() {
  const found = await get("/api/label/folder", { folder });
  videos = found.videos;
  settings = found.settings;
  showRuns(found.runs);
  const used = new Set(videos.flatMap((video) => video.events.map((event) => event.label)));
  const added = [...used].filter((name) => !settings.classes.some((each) => each.name === name)).sort();
  if (!added.length) return;
  for (const name of added) {
    const isPoint = videos.every((video) => video.events.every((event) => event.label !== name || event.end === null));
    settings.classes.push({ name, key: freeKey(name, settings.classes, RESERVED), is_point: isPoint });
  }
  await saveSettings({ classes: settings.classes });
}

async function open(name) {
  await current?.save();
  chosen = null;
  current = documentOf(videos.find((each) => each.name === name));
  const here = new URL(location);
  here.searchParams.set("video", name);
  history.replaceState(null, "", here);
  byId("loop").checked = false;
  player.range = null;
  player.loops = false;
  axis.all();
  show();
  showSaved();
  untell();
  try {
    await player.open(pathOf(name));
  } catch (error) {
    tell(error.message);
  }
}

function documentOf(video) {
  const known = documents.get(video.name);
  if (known) return known;
  const found = new LabelDocument(folder, pathOf(video.name), video, settings.begun[video.name] ?? []);
  found.name = video.name;
  found.onBegun = (begun) => saveSettings({ begun: { [video.name]: begun } });
  found.addEventListener("change", show);
  found.addEventListener("saving", showSaved);
  documents.set(video.name, found);
  return found;
}

// Saves some of the settings; what other windows changed meanwhile stays.
async function saveSettings(changes) {
  if (changes.classes) settings.classes = changes.classes;
  settings = await put("/api/label/settings", { folder }, changes);
}

function openNeighbour(step) {
  const place = videos.findIndex((each) => each.name === current?.name) + step;
  if (videos[place]) open(videos[place].name);
}

// --- what is shown

function show() {
  showVideos();
  showClasses();
  showSubjects();
  if (!current) return;
  const proposed = proposals.open(current);
  if (chosen && !current.events.includes(chosen) && !proposed.includes(chosen)) chosen = null;
  list.show({ events: current.events, begun: current.begun, labels: labels(), subjects: settings.subjects, chosen });
  axis.show({ events: current.events, begun: current.begun, proposals: proposed, rows: labels(), chosen });
  showProposed(proposed);
  byId("count").textContent = current.events.length || "";
  byId("done").checked = current.now.isListed;
  byId("nothing").hidden = current.events.length + current.begun.length > 0;
  byId("undo").disabled = !current.past.length;
  byId("redo").disabled = !current.future.length;
}

function showRuns(runs) {
  const select = byId("run");
  const { value } = select;
  select.replaceChildren(...runs.map((name) => made("option", { value: name }, name)));
  if (runs.includes(value)) select.value = value;
  byId("propose").hidden = !runs.length;
}

function showProposed(proposed) {
  const isAsked = proposals.isAsked(current);
  byId("decide").hidden = !proposed.length;
  const isChosen = proposed.includes(chosen);
  byId("accept").disabled = byId("reject").disabled = !isChosen;
  const about = isChosen ? `${chosen.label} ${chosen.probability.toFixed(2)}. ` : "";
  byId("proposed").textContent = isAsked ? `${about}${proposed.length} to decide` : "";
}

function showVideos() {
  byId("videos").replaceChildren(
    ...videos.map((video) => {
      const known = documents.get(video.name)?.now ?? { events: video.events, isListed: video.is_listed };
      const button = made("button", { type: "button" }, made("span", {}, video.name), made("span", {}, known.events.length || (known.isListed ? "none" : "")));
      if (video.name === current?.name) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => open(video.name));
      return made("li", {}, button);
    }),
  );
}

function showClasses() {
  const subject = byId("subject").value;
  byId("hint").hidden = !settings.classes.length;
  byId("classes").replaceChildren(
    ...settings.classes.map((each) => {
      const isBegun = Boolean(current?.begun.some((event) => event.label === each.name && event.subject === subject));
      const remove = () => changeClasses(settings.classes.filter((other) => other !== each));
      return classItem(each, colourOf(each.name), isBegun, () => mark(each), remove);
    }),
  );
}

function showSubjects() {
  const select = byId("subject");
  const { value } = select;
  select.replaceChildren(made("option", { value: "" }, "Nobody in particular"), ...settings.subjects.map((each) => made("option", { value: each }, each)));
  select.value = settings.subjects.includes(value) ? value : "";
}

function showSaved() {
  const element = byId("saved");
  const open = [...documents.values()].filter((each) => !each.isSaved);
  const failed = open.find((each) => each.failure);
  element.classList.toggle("not", open.length > 0);
  if (failed) {
    element.textContent = "Not saved";
    if (failed.failure.status === 409) tellConflict(failed);
    else tell(failed.failure.message);
  } else {
    element.textContent = open.length ? "Saving" : "Saved";
    if (!open.length && byId("told").dataset.kind === "saving") untell();
  }
}

// --- what is told

function tell(text, ...buttons) {
  const told = byId("told");
  told.replaceChildren(made("span", {}, text), ...buttons);
  told.dataset.kind = buttons.length ? "question" : "saving";
  told.hidden = false;
}

function untell() {
  byId("told").hidden = true;
}

function say(text) {
  byId("said").textContent = text;
}

function tellConflict(changed) {
  const theirs = made("button", { type: "button" }, "Take theirs");
  const mine = made("button", { type: "button" }, "Keep mine");
  theirs.addEventListener("click", async () => {
    documents.delete(changed.name);
    untell();
    await refresh(changed.name);
  });
  mine.addEventListener("click", async () => {
    untell();
    const found = await get("/api/label/folder", { folder });
    await changed.overwrite(found.videos.find((each) => each.name === changed.name).version);
  });
  tell(`The events of ${changed.name} were changed in another window, or by somebody else. What you changed since is not saved.`, theirs, mine);
}

async function refresh(name) {
  await readFolder();
  showSaved();
  await open(name);
}

// --- what is done

function mark({ name, is_point: isPoint }) {
  if (!current || !player.times.length) return;
  const subject = byId("subject").value;
  const { seconds } = player;
  const event = current.mark(name, isPoint, subject, seconds);
  if (event) choose(event);
  const began = current.begun.some((each) => each.label === name && each.subject === subject);
  say(`${name} ${isPoint ? "at" : began ? "begins at" : "ended at"} ${clock(seconds)}`);
}

function choose(event, seek = false) {
  chosen = event;
  if (player.range && event) player.range = rangeOf(event);
  show();
  if (seek && event) player.seek(event.start);
}

function rangeOf(event) {
  return event && event.end !== null ? [event.start, event.end] : null;
}

function chooseNeighbour(step) {
  if (!current?.events.length) return;
  const place = current.events.indexOf(chosen);
  const after = current.events.findIndex((each) => each.start > player.seconds);
  const next = place >= 0 ? place + step : step > 0 ? after : (after < 0 ? current.events.length : after) - 1;
  if (current.events[next]) choose(current.events[next], true);
}

function changeClasses(classes) {
  saveSettings({ classes }).then(show, (error) => tell(error.message));
  show();
}

function addClass(event) {
  event.preventDefault();
  const name = byId("class-name").value.trim().replace(/\s+/g, " ");
  if (!name) return;
  const key = byId("class-key").value.toLowerCase() || freeKey(name, settings.classes, RESERVED);
  const refused = refusal(name, key, settings.classes, RESERVED);
  if (refused) return tell(refused);
  untell();
  changeClasses([...settings.classes, { name, key, is_point: byId("class-point").checked }]);
  byId("add-class").reset();
  byId("class-name").focus();
}

function addSubject() {
  const name = prompt("Name of the subject")?.trim().replace(/\s+/g, " ");
  if (!name || settings.subjects.includes(name)) return;
  saveSettings({ subjects: [...settings.subjects, name] }).then(
    () => {
      show();
      byId("subject").value = name;
      show();
    },
    (error) => tell(error.message),
  );
}

async function propose() {
  const document = current;
  byId("ask").disabled = true;
  byId("proposed").textContent = "Reading the recording";
  try {
    await proposals.ask(document, byId("run").value);
  } catch (error) {
    tell(error.message);
  }
  byId("ask").disabled = false;
  show();
}

// Decides on the chosen proposal, and goes on to the next one.
function decide(isAccepted) {
  const open = proposals.open(current);
  const place = open.indexOf(chosen);
  if (place < 0) return;
  proposals.decide(current, chosen);
  if (isAccepted) current.add(proposals.eventOf(chosen, player.times));
  const next = open[place + 1] ?? open[place - 1] ?? null;
  choose(next, true);
}

function acceptAll() {
  const least = Number(byId("above").value.replace(",", "."));
  if (!Number.isFinite(least)) return tell("Above: expected a probability, such as 0.8.");
  const sure = proposals.open(current).filter((each) => each.probability >= least);
  for (const each of sure) proposals.decide(current, each);
  if (sure.length) current.addAll(sure.map((each) => proposals.eventOf(each, player.times)));
  show();
}

function chooseUnsure() {
  const open = proposals.open(current);
  if (open.length) choose(open.reduce((one, other) => (other.probability < one.probability ? other : one)), true);
}

async function importFile(file) {
  try {
    await current?.save();
    const { added, notices } = await postBytes("/api/label/import", { folder, name: file.name }, file);
    documents.clear();
    await refresh(current?.name ?? Object.keys(added)[0]);
    const count = Object.values(added).reduce((sum, each) => sum + each, 0);
    const told = notices.filter((each) => each && !each.startsWith("tier:"));
    tell(`${file.name}: ${count} new events in ${Object.keys(added).length} recordings. ${told.join(" · ")}`);
  } catch (error) {
    tell(error.message);
  }
}

async function exportEvents() {
  await current.save();
  const link = made("a", { href: address("/api/label/export", { video: current.video, format: byId("format").value }), download: "" });
  link.click();
}

// --- keys

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: (event) => (event.shiftKey ? player.seek(player.seconds - 1) : player.step(-1)),
  ArrowRight: (event) => (event.shiftKey ? player.seek(player.seconds + 1) : player.step(1)),
  ArrowUp: () => chooseNeighbour(-1),
  ArrowDown: () => chooseNeighbour(1),
  Home: () => player.seek(0),
  End: () => player.seek(player.duration),
  PageUp: () => openNeighbour(-1),
  PageDown: () => openNeighbour(1),
  "+": () => axis.zoom(1.6),
  "=": () => axis.zoom(1.6),
  "-": () => axis.zoom(1 / 1.6),
  "[": () => changeRate(-1),
  "]": () => changeRate(1),
  Delete: () => removeChosen(),
  Backspace: () => removeChosen(),
  Enter: () => decide(true),
  "?": () => chooseUnsure(),
  Escape: () => choose(null),
};

function removeChosen() {
  if (!chosen) return;
  if (current.events.includes(chosen)) current.remove(chosen);
  else decide(false);
}

function press(event) {
  if (!current || event.isComposing) return;
  const withControl = event.ctrlKey || event.metaKey;
  if (withControl && !event.altKey && event.key.toLowerCase() === "z" && !isTyping(event.target)) {
    event.preventDefault();
    return event.shiftKey ? current.redo() : current.undo();
  }
  if (withControl && event.key.toLowerCase() === "y" && !isTyping(event.target)) {
    event.preventDefault();
    return current.redo();
  }
  if (withControl || event.altKey || isTyping(event.target)) return;
  if (event.key === " " && event.target.matches("button, input, summary, a") && event.target.id !== "play") event.target.blur();
  if (event.key === "Enter" && event.target.matches("button, a, summary")) return;
  const known = KEYS[event.key];
  if (known) {
    event.preventDefault();
    return known(event);
  }
  const found = settings.classes.find((each) => each.key && each.key === event.key.toLowerCase());
  if (found && !event.repeat) {
    event.preventDefault();
    mark(found);
  }
}

function changeRate(step) {
  const select = byId("rate");
  select.selectedIndex = Math.min(Math.max(0, select.selectedIndex + step), select.length - 1);
  player.setRate(Number(select.value));
}

// --- what listens to what

player.addEventListener("frame", () => {
  byId("clock").textContent = `${clock(player.seconds)}  ·  frame ${player.number}`;
  axis.follow();
});
player.addEventListener("growth", () => {
  const { about, times } = player;
  if (about.error) tell(`${current.name}: ${about.error} What was read until there can be labelled.`);
  const share = Math.floor((100 * (times[times.length - 1] ?? 0)) / (about.declared_seconds || 1));
  player.say(about.is_complete || about.error ? "" : `Reading the recording: ${Math.min(share, 99)} %`);
  axis.draw();
});
player.addEventListener("state", () => (byId("play").textContent = player.isPlaying ? "Pause" : "Play"));
player.addEventListener("failure", (event) => tell(event.detail));
axis.addEventListener("seek", (event) => player.seek(event.detail));
axis.addEventListener("choose", (event) => choose(event.detail));
axis.addEventListener("replace", ({ detail }) => choose(current.replace(detail.old, detail.event)));
list.addEventListener("choose", (event) => choose(event.detail, true));
list.addEventListener("replace", ({ detail }) => choose(current.replace(detail.old, detail.event)));
list.addEventListener("remove", (event) => current.remove(event.detail));

const CLICKS = {
  play: () => player.toggle(),
  "back-frame": () => player.step(-1),
  "next-frame": () => player.step(1),
  "back-second": () => player.seek(player.seconds - 1),
  "next-second": () => player.seek(player.seconds + 1),
  "zoom-in": () => axis.zoom(1.6),
  "zoom-out": () => axis.zoom(1 / 1.6),
  "zoom-all": () => axis.all(),
  undo: () => current?.undo(),
  redo: () => current?.redo(),
  "add-subject": addSubject,
  ask: propose,
  accept: () => decide(true),
  reject: () => decide(false),
  unsure: chooseUnsure,
  "accept-all": acceptAll,
  export: exportEvents,
  import: () => byId("file").click(),
};
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
byId("rate").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
byId("sound").addEventListener("change", (event) => (player.media.muted = !event.target.checked));
byId("loop").addEventListener("change", (event) => {
  player.loops = event.target.checked;
  player.range = event.target.checked ? rangeOf(chosen) : null;
});
byId("subject").addEventListener("change", show);
byId("done").addEventListener("change", (event) => current?.change({ isListed: event.target.checked }));
byId("add-class").addEventListener("submit", addClass);
byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) importFile(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("keydown", press);
addEventListener("beforeunload", (event) => {
  if ([...documents.values()].some((each) => !each.isSaved)) event.preventDefault();
});

load().catch((error) => tell(error.message));
